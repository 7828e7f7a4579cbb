/// Where files that can be made again are kept for the next start.
package struct CacheFolder: Sendable, Equatable {
    package let path: String

    package init(path: String) { self.path = path }

    /// `$FERRY_CACHE`, else `$XDG_CACHE_HOME/ferry`, else `$HOME/.cache/ferry`; nil where none of them is set.
    /// `variable` looks up an environment variable. Relative paths in the last two are ignored, as the XDG rules say.
    package static func standard(_ variable: (String) -> String?) -> CacheFolder? {
        if let path = variable("FERRY_CACHE"), !path.isEmpty { return CacheFolder(path: path) }
        if let path = variable("XDG_CACHE_HOME"), path.hasPrefix("/") { return CacheFolder(path: path + "/ferry") }
        if let path = variable("HOME"), path.hasPrefix("/") { return CacheFolder(path: path + "/.cache/ferry") }
        return nil
    }
}
