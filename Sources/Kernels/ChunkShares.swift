internal import Synchronization

/// Which thread of a team does which chunks of a call.
///
/// Every thread has a share of consecutive chunks and takes them from the front, so that what it reads follows what it has just read, and
/// what it prefetched is for itself. Whoever is done with its own takes single chunks from the back of another's: a thread that another
/// process delays costs one chunk.
@safe
package struct ChunkShares: ~Copyable, @unchecked Sendable {
    // Sendable by argument: the slots are atomic, and `deal` is called while nobody takes.
    private let threads: Int
    /// For each thread the next chunk (low half) and the end (high half) of what is left of its share.
    private let slots: UnsafeMutablePointer<Atomic<UInt64>>

    /// Slots stand two cache lines apart: processors fetch lines in pairs.
    private static let apart = 128 / MemoryLayout<Atomic<UInt64>>.stride

    package init(threads: Int) {
        self.threads = threads
        unsafe slots = .allocate(capacity: threads * Self.apart)
        for slot in 0..<threads * Self.apart { unsafe (slots + slot).initialize(to: Atomic(0)) }
    }

    deinit {
        unsafe slots.deinitialize(count: threads * Self.apart)
        unsafe slots.deallocate()
    }

    /// The share of `thread` when `chunks` are dealt to `threads`.
    package static func share(of thread: Int, chunks: Int, threads: Int) -> Range<Int> {
        chunks * thread / threads..<chunks * (thread + 1) / threads
    }

    /// Whose share `chunk` is in.
    package static func thread(of chunk: Int, chunks: Int, threads: Int) -> Int { ((chunk + 1) * threads - 1) / chunks }

    /// Deals 0..<chunks. Nobody may take meanwhile.
    package func deal(chunks: Int) {
        precondition(chunks < 1 << 31, "\(chunks) chunks")
        for thread in 0..<threads {
            let share = Self.share(of: thread, chunks: chunks, threads: threads)
            unsafe slots[thread * Self.apart].store(Self.packed(share.lowerBound, share.upperBound), ordering: .relaxed)
        }
    }

    /// A chunk for `thread`; nil when none is left.
    package func take(_ thread: Int) -> Int? {
        if let chunk = take(from: thread, front: true) { return chunk }
        for distance in 1..<max(1, threads) {
            if let chunk = take(from: (thread + distance) % threads, front: false) { return chunk }
        }
        return nil
    }

    private func take(from thread: Int, front: Bool) -> Int? {
        let slot = thread * Self.apart
        var left = unsafe slots[slot].load(ordering: .relaxed)
        while true {
            let (next, end) = (Int(left & 0xFFFF_FFFF), Int(left >> 32))
            guard next < end else { return nil }
            let after = front ? Self.packed(next + 1, end) : Self.packed(next, end - 1)
            let (done, found) = unsafe slots[slot].weakCompareExchange(expected: left, desired: after, ordering: .relaxed)
            if done { return front ? next : end - 1 }
            left = found
        }
    }

    private static func packed(_ next: Int, _ end: Int) -> UInt64 { UInt64(end) << 32 | UInt64(next) }
}
