internal import Foundation

/// A folder for this process's sockets that only this user can enter.
struct RuntimeFolder {
    let path: String

    /// In `$XDG_RUNTIME_DIR` where there is one, else in `/tmp`: socket paths must be short.
    init() throws(ConfigurationError) {
        let parent = Environment.variables["XDG_RUNTIME_DIR"] ?? ""
        let folders = [parent, "/tmp"].filter { !$0.isEmpty && $0.utf8.count < 60 }
        for folder in folders {
            var template = Array("\(folder)/ferry-XXXXXX".utf8CString)
            // Made with mode 0700.
            if unsafe mkdtemp(&template) != nil {
                path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
                return
            }
        }
        throw ConfigurationError("no folder for sockets could be made in \(folders.joined(separator: " or "))")
    }

    /// With everything in it.
    func remove() { try? FileManager.default.removeItem(atPath: path) }
}
