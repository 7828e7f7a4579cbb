/// Writes little-endian binary output front to back, into memory of its own that grows.
package struct ByteWriter: Sendable {
    package private(set) var bytes: [UInt8]

    package init(capacity: Int = 64) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    /// Goes on behind `bytes`.
    package init(after bytes: consuming [UInt8]) { self.bytes = bytes }

    package mutating func write<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
        var little = value.littleEndian
        unsafe withUnsafeBytes(of: &little) { unsafe bytes.append(contentsOf: $0) }
    }

    package mutating func write(_ span: RawSpan) { bytes.append(span) }

    package mutating func write(_ other: [UInt8]) { bytes.append(contentsOf: other) }
}

extension Array where Element == UInt8 {
    /// Adds a copy of the span's bytes.
    package mutating func append(_ span: RawSpan) {
        unsafe span.withUnsafeBytes { unsafe append(contentsOf: $0) }
    }
}
