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
    /// Nil for a file in memory only.
    private let file: UnnamedFile?
    /// Of a file in memory that other processes may map.
    private let memory: MemoryFile?
    /// Where the file will be; what it is for where it will be nowhere.
    package let path: String
    package let count: Int

    /// A zeroed file of `count` bytes that `commit` will place at `path`, mapped for writing.
    ///
    /// - Throws: `FileError` when the folder refuses the file or the disk has no room for it.
    package init(path: String, bytes count: Int) throws(FileError) {
        precondition(count > 0, "an empty draft of \(path)")
        let file = try UnnamedFile(for: path)
        var status = posix_fallocate(file.descriptor, 0, count)
        var mapping: UnsafeMutableRawPointer? = nil
        if status == 0 {
            unsafe mapping = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_SHARED, file.descriptor, 0)
            if unsafe mapping == MAP_FAILED { status = errno }
        }
        guard status == 0, let mapping = unsafe mapping else {
            throw FileError("reserve \(count) bytes for", path: path, code: status)
        }
        unsafe self.base = mapping
        self.file = .some(file)
        memory = nil
        self.path = path
        self.count = count
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
        file = nil
        memory = nil
        path = purpose
        self.count = count
    }

    /// A zeroed file of `count` bytes in memory that other processes can map too; for `share`. `purpose` is for errors.
    package init(sharedFor purpose: String, bytes count: Int) throws(FileError) {
        precondition(count > 0, "an empty draft for \(purpose)")
        let memory = try MemoryFile(for: purpose, bytes: count)
        let mapping = unsafe mmap(nil, count, PROT_READ | PROT_WRITE, MAP_SHARED, memory.descriptor, 0)
        guard let mapping = unsafe mapping, unsafe mapping != MAP_FAILED else {
            throw FileError("allocate \(count) bytes for", path: purpose, code: errno)
        }
        unsafe _ = madvise(mapping, count, MADV_HUGEPAGE)
        unsafe self.base = mapping
        file = nil
        self.memory = memory
        path = purpose
        self.count = count
    }

    deinit {
        if let base = unsafe base { unsafe _ = munmap(base, count) }
    }

    /// Lets `body` write the bytes at `range`.
    package mutating func change<Result, Failure: Error>(
        _ range: Range<Int>, _ body: (inout MutableRawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "bytes \(range) of a draft of \(count)")
        var span = unsafe MutableRawSpan(_unsafeStart: base! + range.lowerBound, byteCount: range.count)
        return try body(&span)
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
        guard unsafe msync(base!, count, MS_SYNC) == 0 else { throw FileError("write", path: path, code: errno) }
        switch file {
        case .some(let file): try file.place()
        case .none: preconditionFailure("the draft for \(path) is in memory only")
        }
    }

    /// Ends the writing of a file that will have no name: its bytes, for as long as somebody holds them.
    package consuming func map() -> MappedFile {
        let mapping = unsafe base!
        unsafe base = nil
        unsafe _ = mprotect(mapping, count, PROT_READ)
        return unsafe MappedFile(adopting: mapping, count: count, path: path)
    }

    /// Ends the writing of a file in memory that other processes may map under its path, for as long as the result lives.
    ///
    /// - Throws: `FileError` when the system refuses to map it for reading.
    package consuming func share() throws(FileError) -> MappedFile {
        guard let memory else { preconditionFailure("the draft for \(path) is not made to be shared") }
        // No mapping for writing may be left when it is sealed.
        unsafe _ = munmap(base!, count)
        unsafe base = nil
        try memory.seal()
        return try MappedFile(holding: memory)
    }

    /// Removes drafts beside `path` whose processes have ended: what a crash left behind where drafts need names.
    package static func removeAbandoned(beside path: String) {
        UnnamedFile.removeAbandoned(beside: path)
    }
}
