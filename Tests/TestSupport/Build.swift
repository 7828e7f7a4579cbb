/// How the tests were compiled.
package enum Build {
    #if DEBUG
        private static let isDebug = true
    #else
        private static let isDebug = false
    #endif

    /// `full`, or `small` in debug builds, such as the sanitizers', which run a hundred times slower: there, a test of a bound on time
    /// only has to reach the code.
    package static func size(_ full: Int, debug small: Int) -> Int { isDebug ? small : full }
}
