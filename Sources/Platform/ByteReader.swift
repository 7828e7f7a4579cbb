/// What is wrong with a piece of binary input.
package struct ByteReaderError: Error, Equatable, CustomStringConvertible {
    package let needed: Int
    package let available: Int
    package let offset: Int

    package var description: String { "need \(needed) bytes at offset \(offset), have \(available)" }
}

/// Reads little-endian binary input front to back. Never reads past the end: a short input is an error, not a trap.
package struct ByteReader: ~Escapable {
    private let bytes: RawSpan
    package private(set) var offset = 0

    @_lifetime(copy bytes)
    package init(_ bytes: RawSpan) { self.bytes = bytes }

    package var remaining: Int { bytes.byteCount - offset }

    package mutating func read<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type) throws(ByteReaderError) -> T {
        let size = MemoryLayout<T>.size
        try require(size)
        let value = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: T.self)
        offset += size
        return T(littleEndian: value)
    }

    @_lifetime(copy self)
    package mutating func read(count: Int) throws(ByteReaderError) -> RawSpan {
        try require(count)
        let part = bytes.extracting(offset..<(offset + count))
        offset += count
        return part
    }

    private func require(_ count: Int) throws(ByteReaderError) {
        guard count >= 0, count <= remaining else {
            throw ByteReaderError(needed: count, available: remaining, offset: offset)
        }
    }
}
