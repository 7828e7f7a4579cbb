internal import Glibc

/// A file being made whose size shows only while it is written: invisible until it is whole.
///
/// A full disk, or a limit on the size of files, is an error of the write that meets it. Uniquely owned; a file that is not committed
/// leaves nothing behind, also when the process dies (where the file system knows unnamed files).
package struct FileAppender: ~Copyable {
    private let file: UnnamedFile
    /// Bytes so far.
    package private(set) var count = 0

    private static let pieceBytes = 1 << 20

    /// An empty file that `commit` will place at `path`.
    ///
    /// - Throws: `FileError` when the folder refuses the file.
    package init(path: String) throws(FileError) {
        file = try UnnamedFile(for: path)
    }

    /// Where the file will be.
    package var path: String { file.path }

    package mutating func append(_ bytes: RawSpan) throws(FileError) {
        try write(bytes, at: count)
        count += bytes.byteCount
    }

    package mutating func appendZeros(_ zeros: Int) throws(FileError) {
        precondition(zeros >= 0, "\(zeros) zeros at the end of \(path)")
        let piece = [UInt8](repeating: 0, count: min(zeros, Self.pieceBytes))
        var left = zeros
        while left > 0 {
            let size = min(left, piece.count)
            try append(piece.rawSpan.extracting(0..<size))
            left -= size
        }
    }

    /// Writes over what was appended before.
    package mutating func replace(at offset: Int, with bytes: RawSpan) throws(FileError) {
        precondition(
            offset >= 0 && offset <= count - bytes.byteCount, "\(bytes.byteCount) bytes at \(offset) of the \(count) of \(path)")
        try write(bytes, at: offset)
    }

    /// Takes back what was appended behind the first `size` bytes.
    package mutating func rewind(to size: Int) throws(FileError) {
        precondition(size >= 0 && size <= count, "\(size) of the \(count) bytes of \(path)")
        guard ftruncate(file.descriptor, off_t(size)) == 0 else { throw FileError("cut", path: path, code: errno) }
        count = size
    }

    /// Digest of the bytes at `range`, read back.
    package func digest(of range: Range<Int>) throws(FileError) -> Digest {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "bytes \(range) of the \(count) of \(path)")
        var stream = DigestStream()
        var piece = [UInt8](repeating: 0, count: min(range.count, Self.pieceBytes))
        var offset = range.lowerBound
        while offset < range.upperBound {
            let wanted = min(piece.count, range.upperBound - offset)
            let got = unsafe piece.withUnsafeMutableBytes { unsafe pread(file.descriptor, $0.baseAddress, wanted, off_t(offset)) }
            if got < 0, errno == EINTR { continue }
            guard got > 0 else { throw FileError("read back", path: path, code: got < 0 ? errno : EIO) }
            stream.append(piece.rawSpan.extracting(0..<got))
            offset += got
        }
        return stream.digest
    }

    /// Writes everything to the disk and gives the file its name, replacing what had it.
    package consuming func commit() throws(FileError) { try file.place() }

    private func write(_ bytes: RawSpan, at offset: Int) throws(FileError) {
        let failure = unsafe bytes.withUnsafeBytes { buffer -> Int32 in
            var done = 0
            while done < buffer.count {
                let written = unsafe pwrite(file.descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset + done))
                if written < 0, errno == EINTR { continue }
                guard written > 0 else { return written < 0 ? errno : EIO }
                done += written
            }
            return 0
        }
        if failure != 0 { throw FileError("write", path: path, code: failure) }
    }
}
