internal import CLibUV

/// Bytes on their way to a socket, in order. Small pieces are joined, large arrays are kept as they came.
struct OutputQueue {
    /// Pieces up to this size are copied behind one another: below it a memory copy is cheaper than one more vector element.
    private static let joinLimit = 8 << 10
    private static let joinedCapacity = 32 << 10
    /// Elements of one vectored write. The system allows 1024; 32 joined pieces already fill the largest socket buffers.
    private static let vectorLimit = 32

    private struct Piece {
        var bytes: [UInt8]
        /// Which of them are to be sent.
        var range: Range<Int>
        /// Small pieces may follow in the same array; nobody else holds it.
        var isJoined: Bool
    }

    private var pieces: [Piece] = []
    /// Pieces before this one are gone; `offset` bytes of this one, too.
    private var head = 0
    private var offset = 0
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    mutating func append(_ bytes: RawSpan) {
        guard bytes.byteCount > 0 else { return }
        count += bytes.byteCount
        unsafe bytes.withUnsafeBytes { bytes in
            let last = pieces.count - 1
            if last >= head, pieces[last].isJoined, pieces[last].bytes.count + bytes.count <= max(Self.joinedCapacity, pieces[last].bytes.capacity) {
                unsafe pieces[last].bytes.append(contentsOf: bytes)
                pieces[last].range = 0..<pieces[last].bytes.count
            } else {
                var piece: [UInt8] = []
                piece.reserveCapacity(max(bytes.count, bytes.count < 64 ? 64 : 4 << 10))
                unsafe piece.append(contentsOf: bytes)
                pieces.append(Piece(bytes: piece, range: 0..<piece.count, isJoined: true))
            }
        }
    }

    mutating func append(_ bytes: consuming [UInt8]) { append(bytes, 0..<bytes.count) }

    mutating func append(_ bytes: [UInt8], _ range: Range<Int>) {
        guard range.count > Self.joinLimit else { return append(unsafe bytes.span.bytes.extracting(range)) }
        count += range.count
        pieces.append(Piece(bytes: bytes, range: range, isJoined: false))
    }

    /// Calls `body` with the first bytes of the queue as vector elements, valid for the call.
    func withVectors(_ body: (UnsafeBufferPointer<uv_buf_t>) -> Int32) -> Int32 {
        unsafe withUnsafeTemporaryAllocation(of: uv_buf_t.self, capacity: Self.vectorLimit) { vectors in
            unsafe gather(0, into: vectors, body)
        }
    }

    /// Adds piece after piece, each pinned by its own call frame, then calls `body` innermost.
    private func gather(
        _ filled: Int, into vectors: UnsafeMutableBufferPointer<uv_buf_t>, _ body: (UnsafeBufferPointer<uv_buf_t>) -> Int32
    ) -> Int32 {
        let index = head + filled
        guard filled < Self.vectorLimit, index < pieces.count else {
            return unsafe body(UnsafeBufferPointer(rebasing: vectors[..<filled]))
        }
        let skipped = filled == 0 ? offset : 0
        let range = pieces[index].range
        return unsafe pieces[index].bytes.withUnsafeBytes { bytes in
            let start = unsafe UnsafeMutableRawPointer(mutating: bytes.baseAddress! + range.lowerBound + skipped)
            let vector = unsafe uv_buf_t(base: start.assumingMemoryBound(to: CChar.self), len: range.count - skipped)
            unsafe vectors.initializeElement(at: filled, to: vector)
            return unsafe gather(filled + 1, into: vectors, body)
        }
    }

    /// Moves up to `buffer.count` bytes out of the queue.
    mutating func take(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        var taken = 0
        while taken < buffer.count, head < pieces.count {
            let part = min(buffer.count - taken, pieces[head].range.count - offset)
            let start = pieces[head].range.lowerBound + offset
            unsafe pieces[head].bytes.withUnsafeBytes { bytes in
                unsafe buffer.baseAddress!.advanced(by: taken).copyMemory(from: bytes.baseAddress! + start, byteCount: part)
            }
            taken += part
            drop(part)
        }
        return taken
    }

    /// Removes bytes that the system has taken.
    mutating func drop(_ number: Int) {
        precondition(number <= count, "dropping \(number) of \(count) queued bytes")
        count -= number
        var left = number
        while left > 0 {
            let available = pieces[head].range.count - offset
            if left < available {
                offset += left
                return
            }
            left -= available
            offset = 0
            pieces[head].bytes = []
            head += 1
        }
        if head == pieces.count {
            pieces.removeAll(keepingCapacity: true)
            head = 0
        } else if head > 64, head * 2 > pieces.count {
            pieces.removeFirst(head)
            head = 0
        }
    }

    mutating func removeAll() { self = OutputQueue() }
}
