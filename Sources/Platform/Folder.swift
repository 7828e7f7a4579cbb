internal import Glibc

/// Folders, by path.
package enum Folder {
    /// Makes `path` and what is missing above it: for this user only, or for others to read as far as the process's mask allows.
    package static func create(_ path: String, readableByAll: Bool = false) throws(FileError) {
        if exists(path) { return }
        let parent = parent(of: path)
        if parent != path && !exists(parent) { try create(parent, readableByAll: readableByAll) }
        guard unsafe mkdir(path, readableByAll ? 0o755 : 0o700) == 0 || (errno == EEXIST && exists(path)) else {
            throw FileError("create", path: path, code: errno)
        }
    }

    package static func exists(_ path: String) -> Bool { kind(of: path) == S_IFDIR }

    /// Whether `path` leads to a regular file.
    package static func holdsFile(_ path: String) -> Bool { kind(of: path) == S_IFREG }

    private static func kind(of path: String) -> mode_t? {
        var status = stat()
        return unsafe stat(path, &status) == 0 ? status.st_mode & S_IFMT : nil
    }

    package static func removeFile(_ path: String) throws(FileError) {
        guard unsafe unlink(path) == 0 || errno == ENOENT else { throw FileError("remove", path: path, code: errno) }
    }

    /// Names of what is in `path`, in no order; none when it cannot be read.
    package static func names(in path: String) -> [String] {
        guard let stream = unsafe opendir(path) else { return [] }
        defer { unsafe _ = closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// The folder that holds `path`: "." for a bare name, "/" for the root.
    package static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// `path` without symbolic links and relative parts; of what does not exist yet, the part that does. As given where nothing can be
    /// resolved.
    package static func canonical(_ path: String) -> String {
        guard let resolved = unsafe realpath(path, nil) else {
            let code = errno
            let parent = parent(of: path)
            guard code == ENOENT, parent != path else { return path }
            let name = path[(path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex)...]
            let folder = canonical(parent)
            return name.isEmpty ? folder : folder == "/" ? "/\(name)" : "\(folder)/\(name)"
        }
        defer { unsafe free(resolved) }
        return unsafe String(cString: resolved)
    }
}
