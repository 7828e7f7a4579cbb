/// Bytes in, bytes out, in order. What comes in small pieces is joined, one copy each way, and memory is at most about twice the content;
/// a large array stays as it came and leaves by reference.
struct ByteQueue {
    /// Arrays above this size are kept: below it a copy costs less than one more element for the socket.
    static let joinLimit = 8 << 10
    private static let joinedCapacity = 64 << 10

    private struct Piece {
        var bytes: [UInt8]
        /// Small pieces may follow in the same array; nobody else holds it.
        var isJoined: Bool
    }

    private var pieces: [Piece] = []
    /// Pieces before this one are gone; `offset` bytes of this one, too.
    private var head = 0
    private var offset = 0
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    mutating func append(_ bytes: RawSpan) { unsafe bytes.withUnsafeBytes { unsafe join($0) } }

    mutating func append(_ text: StaticString) {
        unsafe join(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    mutating func append(_ text: String) { join(text.utf8) }

    mutating func append(_ byte: UInt8) { join(CollectionOfOne(byte)) }

    /// Takes the array over where it is large.
    mutating func append(_ bytes: consuming [UInt8]) {
        guard bytes.count > Self.joinLimit else { return join(bytes) }
        count += bytes.count
        pieces.append(Piece(bytes: bytes, isJoined: false))
    }

    private mutating func join(_ bytes: some Collection<UInt8>) {
        guard !bytes.isEmpty else { return }
        count += bytes.count
        let last = pieces.count - 1
        if last >= head, pieces[last].isJoined, pieces[last].bytes.count + bytes.count <= max(Self.joinedCapacity, pieces[last].bytes.capacity) {
            pieces[last].bytes.append(contentsOf: bytes)
        } else {
            pieces.append(Piece(bytes: Array(bytes), isJoined: true))
        }
    }

    /// Moves the first `amount` bytes to the end of `target`.
    mutating func move(_ amount: Int, to target: inout [UInt8]) {
        take(amount) { bytes, range, _ in target.append(contentsOf: bytes[range]) }
    }

    mutating func move(_ amount: Int, to target: inout HTTPOutput) {
        take(amount) { bytes, range, isJoined in
            if isJoined || range.count <= Self.joinLimit { target.append(bytes[range]) } else { target.append(bytes, range) }
        }
    }

    private mutating func take(_ amount: Int, _ body: ([UInt8], Range<Int>, _ isJoined: Bool) -> Void) {
        precondition(amount <= count, "moving \(amount) of \(count) bytes")
        var left = amount
        while left > 0 {
            let part = min(left, pieces[head].bytes.count - offset)
            body(pieces[head].bytes, offset..<(offset + part), pieces[head].isJoined)
            left -= part
            offset += part
            count -= part
            if offset == pieces[head].bytes.count { dropHead() }
        }
    }

    private mutating func dropHead() {
        offset = 0
        // A queue that is often empty keeps its memory; one that once held a burst does not.
        if head == pieces.count - 1, pieces[head].isJoined, pieces[head].bytes.capacity <= Self.joinedCapacity {
            var kept = pieces[head]
            pieces.removeAll(keepingCapacity: true)
            kept.bytes.removeAll(keepingCapacity: true)
            pieces.append(kept)
            head = 0
            return
        }
        pieces[head].bytes = []
        head += 1
        if head == pieces.count {
            pieces.removeAll(keepingCapacity: true)
            head = 0
        } else if head > 64, head * 2 > pieces.count {
            pieces.removeFirst(head)
            head = 0
        }
    }

    /// Keeps the first `amount` bytes.
    mutating func truncate(to amount: Int) {
        guard amount > 0 else { return removeAll() }
        while count > amount {
            let last = pieces.count - 1
            let available = pieces[last].bytes.count - (last == head ? offset : 0)
            let excess = min(count - amount, available)
            count -= excess
            if excess == available { pieces.removeLast() } else { pieces[last].bytes.removeLast(excess) }
        }
    }

    mutating func removeAll() { self = ByteQueue() }
}
