internal import Glibc

/// A file open for writing under no name, or under one of its own where the file system insists: what becomes of it is `place`d or
/// leaves nothing behind.
struct UnnamedFile: ~Copyable {
    let descriptor: Int32
    /// Where the file will be.
    let path: String
    /// The name it has meanwhile, where it must have one.
    private let temporaryPath: String?

    /// - Throws: `FileError` when the folder refuses the file.
    init(for path: String) throws(FileError) {
        var temporaryPath: String? = nil
        var descriptor = unsafe open(Folder.parent(of: path), unnamedFlag | O_RDWR | O_CLOEXEC, 0o644)
        if descriptor < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT || errno == EINVAL) {
            let name = Self.temporaryName(for: path)
            temporaryPath = name
            descriptor = unsafe open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        }
        guard descriptor >= 0 else { throw FileError("create", path: path, code: errno) }
        self.descriptor = descriptor
        self.temporaryPath = temporaryPath
        self.path = path
    }

    deinit {
        close(descriptor)
        // Once placed, the temporary name is gone and this finds nothing.
        if let temporaryPath { unsafe _ = unlink(temporaryPath) }
    }

    /// Writes everything to the disk and gives the file its name, replacing what had it. Whoever reads the name sees the old file or
    /// the whole new one.
    func place() throws(FileError) {
        guard fsync(descriptor) == 0 else { throw FileError("write", path: path, code: errno) }
        let name = temporaryPath ?? Self.temporaryName(for: path)
        if temporaryPath == nil {
            guard unsafe linkat(AT_FDCWD, "/proc/self/fd/\(descriptor)", AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0 else {
                throw FileError("create", path: name, code: errno)
            }
        }
        guard unsafe rename(name, path) == 0 else {
            let code = errno
            unsafe unlink(name)
            throw FileError("rename to", path: path, code: code)
        }
        // The name itself survives a power cut only when the folder is written too; a refusal costs at most a rebuild.
        let folder = unsafe open(Folder.parent(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if folder >= 0 {
            fsync(folder)
            close(folder)
        }
    }

    /// Removes files beside `path` whose processes have ended: what a crash left behind where files need names.
    static func removeAbandoned(beside path: String) {
        let folder = Folder.parent(of: path)
        for name in Folder.names(in: folder) where name.hasSuffix(".draft") {
            let parts = name.split(separator: ".")
            guard parts.count >= 4, let process = pid_t(parts[parts.count - 3]), process > 0 else { continue }
            if kill(process, 0) != 0, errno == ESRCH { unsafe _ = unlink(folder + "/" + name) }
        }
    }

    private static func temporaryName(for path: String) -> String {
        "\(path).\(getpid()).\(String(UInt64.random(in: 0 ... .max), radix: 36)).draft"
    }
}

/// O_TMPFILE, which is no simple constant in the header.
private let unnamedFlag = 0o20_000_000 | O_DIRECTORY
