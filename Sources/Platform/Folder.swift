internal import Glibc

/// Folders, by path.
package enum Folder {
    /// Makes `path` and what is missing above it, for this user only.
    package static func create(_ path: String) throws(FileError) {
        if exists(path) { return }
        let parent = parent(of: path)
        if parent != path && !exists(parent) { try create(parent) }
        guard unsafe mkdir(path, 0o700) == 0 || (errno == EEXIST && exists(path)) else {
            throw FileError("create", path: path, code: errno)
        }
    }

    package static func exists(_ path: String) -> Bool {
        var status = stat()
        return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
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

    /// `path` without symbolic links and relative parts; as given where it cannot be resolved.
    package static func canonical(_ path: String) -> String {
        guard let resolved = unsafe realpath(path, nil) else { return path }
        defer { unsafe free(resolved) }
        return unsafe String(cString: resolved)
    }
}
