/// Bytes for a socket, in order: small ones joined in one buffer, large ones as they lie in the arrays that hold them.
///
/// Kept by whoever flushes connections, for the buffer's capacity.
package struct HTTPOutput {
    private struct Large {
        /// How many joined bytes go before it.
        var position: Int
        var bytes: [UInt8]
        var range: Range<Int>
    }

    private var joined: [UInt8] = []
    private var larges: [Large] = []
    package private(set) var count = 0

    package init() {}

    package var isEmpty: Bool { count == 0 }

    mutating func append(_ bytes: some Collection<UInt8>) {
        joined.append(contentsOf: bytes)
        count += bytes.count
    }

    mutating func append(_ bytes: [UInt8], _ range: Range<Int>) {
        larges.append(Large(position: joined.count, bytes: bytes, range: range))
        count += range.count
    }

    /// For those who write into an array.
    mutating func append(by body: (inout [UInt8]) -> Void) {
        let before = joined.count
        body(&joined)
        count += joined.count - before
    }

    /// Hands everything on, in order, and is empty. `small` gets bytes that are valid for the call, `large` parts of arrays to be held as long
    /// as it likes. At most `keeping` bytes of memory stay for the next time.
    package mutating func drain(keeping: Int = 512 << 10, small: (RawSpan) -> Void, large: ([UInt8], Range<Int>) -> Void) {
        var position = 0
        for piece in larges {
            if piece.position > position { unsafe small(joined.span.bytes.extracting(position..<piece.position)) }
            position = piece.position
            large(piece.bytes, piece.range)
        }
        if joined.count > position { unsafe small(joined.span.bytes.extracting(position..<joined.count)) }
        larges.removeAll(keepingCapacity: larges.capacity <= 64)
        joined.removeAll(keepingCapacity: joined.capacity <= keeping)
        count = 0
    }
}

extension Array where Element == UInt8 {
    /// Appends everything, copied.
    mutating func append(contentsOf output: inout HTTPOutput) {
        output.drain(small: { span in unsafe span.withUnsafeBytes { unsafe append(contentsOf: $0) } }, large: { append(contentsOf: $0[$1]) })
    }
}
