internal import Glibc

/// A file being made: invisible until it is whole.
///
/// Space is reserved before the first byte is written, so that a full disk is an error here and never a fault later.
/// Uniquely owned; a draft that is not committed leaves nothing behind, also when the process dies (where the file system
/// knows unnamed files).
@safe
package struct FileDraft: ~Copyable, @unchecked Sendable {
    // Sendable by argument: uniquely owned, so at most one thread reaches it at a time.
    /// Nil once the mapping has gone to a `MappedFile`.
    private var base: UnsafeMutableRawPointer?
    /// -1 for a file in memory only.
    private let descriptor: Int32
    /// Where the file will be; what it is for where it will be nowhere.
    package let path: String
    package let count: Int
    /// The name it has meanwhile, where the file system insists on one.
    private let temporaryPath: String?

    /// A zeroed file of `count` bytes that `commit` will place at `path`, mapped for writing.
    ///
    /// - Throws: `FileError` when the folder refuses the file or the disk has no room for it.
    package init(path: String, bytes count: Int) throws(FileError) {
        let folder = Folder.parent(of: path)
        var temporaryPath: String? = nil
        var descriptor = unsafe open(folder, unnamedFile | O_RDWR | O_CLOEXEC, 0o644)
        if descriptor < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT || errno == EINVAL) {
            let name = Self.temporaryName(for: path)
            temporaryPath = name
            descriptor = unsafe open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        }
        guard descriptor >= 0 else { throw FileError("create", path: path, code: errno) }
        try self.init(descriptor: descriptor, temporaryPath: temporaryPath, path: path, count: count)
    }

    /// A zeroed file of `count` bytes in this process's memory only, in huge pages where the system allows; for `map`.
    /// `purpose` is for errors.
    package init(inMemoryFor purpose: String, bytes count: Int) throws(FileError) {
        precondition(count > 0, "an empty draft for \(purpose)")
        let mapping = unsafe mmap(nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let mapping = unsafe mapping, unsafe mapping != MAP_FAILED else {
            throw FileError("allocate \(count) bytes for", path: purpose, code: errno)
        }
        unsafe _ = madvise(mapping, count, MADV_HUGEPAGE)
        unsafe self.base = mapping
        descriptor = -1
        path = purpose
        self.count = count
        temporaryPath = nil
    }

    private init(descriptor: Int32, temporaryPath: String?, path: String, count: Int) throws(FileError) {
        precondition(count > 0, "an empty draft of \(path)")
        var status = posix_fallocate(descriptor, 0, count)
        var mapping: UnsafeMutableRawPointer? = nil
        if status == 0 {
            unsafe mapping = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
            if unsafe mapping == MAP_FAILED { status = errno }
        }
        guard status == 0, let mapping = unsafe mapping else {
            close(descriptor)
            if let temporaryPath { unsafe _ = unlink(temporaryPath) }
            throw FileError("reserve \(count) bytes for", path: path, code: status)
        }
        unsafe self.base = mapping
        self.descriptor = descriptor
        self.temporaryPath = temporaryPath
        self.path = path
        self.count = count
    }

    deinit {
        if let base = unsafe base { unsafe _ = munmap(base, count) }
        if descriptor >= 0 { close(descriptor) }
        // After a commit the temporary name is gone and this finds nothing.
        if let temporaryPath { unsafe _ = unlink(temporaryPath) }
    }

    /// Lets `body` write the bytes at `range`.
    package mutating func change<Result>(_ range: Range<Int>, _ body: (inout MutableRawSpan) -> Result) -> Result {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "bytes \(range) of a draft of \(count)")
        var span = unsafe MutableRawSpan(_unsafeStart: base! + range.lowerBound, byteCount: range.count)
        return body(&span)
    }

    /// Digest of the bytes at `range` as they are now.
    package func digest(of range: Range<Int>) -> Digest {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "bytes \(range) of a draft of \(count)")
        return Digest(of: unsafe RawSpan(_unsafeStart: base! + range.lowerBound, byteCount: range.count))
    }

    /// Writes `bytes` at `offset`.
    package mutating func replace(at offset: Int, with bytes: RawSpan) {
        precondition(
            offset >= 0 && offset <= count - bytes.byteCount, "\(bytes.byteCount) bytes at \(offset) of a draft of \(count)")
        unsafe bytes.withUnsafeBytes { source in
            guard let start = source.baseAddress else { return }
            unsafe (base! + offset).copyMemory(from: start, byteCount: source.count)
        }
    }

    /// Writes everything to the disk and gives the file its name, replacing what had it. Whoever reads the name sees the
    /// old file or the whole new one.
    package consuming func commit() throws(FileError) {
        precondition(descriptor >= 0, "the draft for \(path) is in memory only")
        guard unsafe msync(base!, count, MS_SYNC) == 0, fsync(descriptor) == 0 else {
            throw FileError("write", path: path, code: errno)
        }
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

    /// Ends the writing of a file that will have no name: its bytes, for as long as somebody holds them.
    package consuming func map() -> MappedFile {
        let mapping = unsafe base!
        unsafe base = nil
        unsafe _ = mprotect(mapping, count, PROT_READ)
        return unsafe MappedFile(adopting: mapping, count: count, path: path)
    }

    /// Removes drafts beside `path` whose processes have ended: what a crash left behind where drafts need names.
    package static func removeAbandoned(beside path: String) {
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
private let unnamedFile = 0o20_000_000 | O_DIRECTORY
