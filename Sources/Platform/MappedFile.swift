internal import Glibc

/// A regular file mapped read-only. Immutable after opening, so every thread may read it.
///
/// The pages are shared with every other process that maps the same file: this is how N workers on one machine
/// hold one copy of the weights. Unmapped when the last reference goes.
@safe
package final class MappedFile: @unchecked Sendable {
    // Sendable by argument: the mapping is read-only and fixed between `init` and `deinit`.
    private let base: UnsafeRawPointer?
    package let path: String
    package let count: Int
    /// What `path` leads to, where that ends with this process's hold on it.
    private let memory: MemoryFile?

    /// Maps the whole of `path`. An empty file maps to an empty span.
    ///
    /// - Throws: `FileError` when the file cannot be opened, is not a regular file, or cannot be mapped.
    package convenience init(path: String) throws(FileError) { try self.init(path: path, holding: nil) }

    /// Maps a file in memory and keeps it there.
    convenience init(holding memory: MemoryFile) throws(FileError) { try self.init(path: memory.path, holding: memory) }

    private init(path: String, holding memory: MemoryFile?) throws(FileError) {
        self.memory = memory
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError("open", path: path, code: errno) }
        defer { close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw FileError("stat", path: path, code: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw FileError("map", path: path, detail: "not a regular file")
        }
        self.path = path
        self.count = Int(status.st_size)
        guard count > 0 else {
            unsafe self.base = nil
            return
        }
        let mapping = unsafe mmap(nil, count, PROT_READ, MAP_SHARED, descriptor, 0)
        guard let mapping = unsafe mapping, unsafe mapping != MAP_FAILED else {
            throw FileError("map", path: path, code: errno)
        }
        unsafe self.base = UnsafeRawPointer(mapping)
    }

    /// Takes over a mapping that nobody writes any more.
    init(adopting base: UnsafeRawPointer, count: Int, path: String) {
        unsafe self.base = base
        self.count = count
        self.path = path
        memory = nil
    }

    deinit {
        if let base = unsafe base { unsafe _ = munmap(UnsafeMutableRawPointer(mutating: base), count) }
    }

    /// The file's bytes. Truncating the file while it is mapped makes reads fault: Ferry replaces files, never edits them.
    package var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            let span = unsafe RawSpan(_unsafeStart: base ?? UnsafeRawPointer(bitPattern: 64)!, byteCount: count)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// The address of byte `offset`, for kernels that keep a pointer while they hold this object.
    package func address(at offset: Int) -> UnsafeRawPointer {
        precondition(offset >= 0 && offset <= count, "offset \(offset) outside \(path) of \(count) bytes")
        return unsafe (base ?? UnsafeRawPointer(bitPattern: 64)!) + offset
    }
}
