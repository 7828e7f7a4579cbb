/// Bytes in, bytes out, in order. Amortised one copy each way; memory is at most about twice the content.
struct ByteQueue {
    private var storage: [UInt8] = []
    private var head = 0

    var count: Int { storage.count - head }
    var isEmpty: Bool { head == storage.count }

    mutating func append(_ bytes: RawSpan) {
        unsafe bytes.withUnsafeBytes { unsafe storage.append(contentsOf: $0) }
    }

    mutating func append(_ text: StaticString) {
        unsafe storage.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    mutating func append(_ text: String) { storage.append(contentsOf: text.utf8) }

    mutating func append(_ byte: UInt8) { storage.append(byte) }

    /// Moves the first `amount` bytes to the end of `target`.
    mutating func move(_ amount: Int, to target: inout [UInt8]) {
        precondition(amount <= count, "moving \(amount) of \(count) bytes")
        unsafe storage.withUnsafeBufferPointer { all in
            unsafe target.append(contentsOf: UnsafeBufferPointer(rebasing: all[head..<(head + amount)]))
        }
        head += amount
        if head == storage.count {
            // A queue that once held a burst does not keep its memory.
            storage.removeAll(keepingCapacity: storage.capacity <= 64 << 10)
            head = 0
        } else if head >= 32 << 10, head * 2 >= storage.count {
            storage.removeFirst(head)
            head = 0
        }
    }

    /// Keeps the first `amount` bytes.
    mutating func truncate(to amount: Int) {
        guard amount > 0 else { return removeAll() }
        storage.removeLast(max(0, count - amount))
    }

    mutating func removeAll() {
        storage = []
        head = 0
    }
}
