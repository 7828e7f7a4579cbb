internal import Glibc

// Which pages of a mapped file are in memory, and when they should be.
extension MappedFile {
    private static let pageBytes = 4096
    /// Pages that are looked at in one call.
    private static let lookPages = 1 << 16

    /// Asks the system to read the bytes at `range` soon. Returns when the reading is under way.
    package func adviseWillNeed(_ range: Range<Int>) {
        let first = range.lowerBound / Self.pageBytes * Self.pageBytes
        guard range.upperBound > first else { return }
        unsafe _ = madvise(UnsafeMutableRawPointer(mutating: address(at: first)), range.upperBound - first, MADV_WILLNEED)
    }

    /// Says that the bytes at `range` are not read again soon: pages that lie whole inside it are no memory of this process any more. They
    /// stay in the system's cache until it needs their place, for the next start.
    package func adviseDone(_ range: Range<Int>) {
        guard let pages = Self.pages(inside: range) else { return }
        unsafe _ = madvise(UnsafeMutableRawPointer(mutating: address(at: pages.lowerBound)), pages.count, MADV_DONTNEED)
    }

    /// Bytes at `range` that the disk must be asked for, in whole pages. None where the system does not say: of files that are neither
    /// this user's nor writable.
    package func coldBytes(_ range: Range<Int>) -> Int {
        let first = range.lowerBound / Self.pageBytes
        let last = (range.upperBound + Self.pageBytes - 1) / Self.pageBytes
        guard !range.isEmpty else { return 0 }
        var cold = 0
        var states = [UInt8](repeating: 1, count: min(last - first, Self.lookPages))
        for page in stride(from: first, to: last, by: Self.lookPages) {
            let pages = min(Self.lookPages, last - page)
            let start = unsafe UnsafeMutableRawPointer(mutating: address(at: page * Self.pageBytes))
            guard unsafe mincore(start, min(count - page * Self.pageBytes, pages * Self.pageBytes), &states) == 0 else { return 0 }
            cold += states[..<pages].count { $0 & 1 == 0 }
        }
        return min(range.count, cold * Self.pageBytes)
    }

    package var coldBytes: Int { coldBytes(0..<count) }

    /// Reads the bytes at `range` of what the path leads to now, so that all of them are in memory; false where they cannot be read.
    @discardableResult
    package func touch(_ range: Range<Int>) -> Bool {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var piece = [UInt8](repeating: 0, count: min(range.count, 1 << 20))
        var offset = range.lowerBound
        while offset < range.upperBound {
            let wanted = min(piece.count, range.upperBound - offset)
            let got = unsafe piece.withUnsafeMutableBytes { unsafe pread(descriptor, $0.baseAddress, wanted, off_t(offset)) }
            if got < 0, errno == EINTR { continue }
            guard got > 0 else { return false }
            offset += got
        }
        return true
    }

    /// Asks the system to forget the pages that lie whole inside `range`, so that reading them needs the disk. It may decline.
    package func forget(_ range: Range<Int>) {
        guard let pages = Self.pages(inside: range) else { return }
        adviseDone(range)
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        posix_fadvise(descriptor, off_t(pages.lowerBound), off_t(pages.count), POSIX_FADV_DONTNEED)
        close(descriptor)
    }

    private static func pages(inside range: Range<Int>) -> Range<Int>? {
        let first = (range.lowerBound + pageBytes - 1) / pageBytes * pageBytes
        let last = range.upperBound / pageBytes * pageBytes
        return last > first ? first..<last : nil
    }
}
