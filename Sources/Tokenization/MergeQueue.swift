internal import Inference

/// The symbols of one word while they merge. Scratch memory: kept between words, no state survives one.
struct MergeQueue: Sendable {
    /// Words up to this many symbols are merged by scanning for the best pair, which is quadratic but has no bookkeeping;
    /// longer ones by a heap, which is O(n log n). The two cross between 50 and 100 symbols.
    static let scanLimit = 64

    var symbols: [TokenID] = []
    /// The merge of each symbol with its right neighbour, or `MergeTable.none`.
    private var merges: [MergeTable.Merge] = []
    private var previous: [Int32] = []
    /// -1: the last; -2: merged into its left neighbour.
    private var next: [Int32] = []
    /// A binary min-heap of (rank, position) words.
    private var heap: [UInt64] = []

    /// Merges `symbols` until no pair merges: always the lowest rank, the leftmost among equals.
    mutating func merge(by table: borrowing MergeTable) {
        if symbols.count <= Self.scanLimit { mergeByScanning(table) } else { mergeByHeap(table) }
    }

    /// Gives back memory that only an exceptionally long word needed.
    mutating func trim(toCapacity limit: Int) {
        guard symbols.capacity > limit || heap.capacity > limit else { return }
        self = MergeQueue()
    }

    private mutating func mergeByScanning(_ table: borrowing MergeTable) {
        var count = symbols.count
        guard count > 1 else { return }
        merges.removeAll(keepingCapacity: true)
        for index in 0..<(count - 1) { merges.append(table[symbols[index], symbols[index + 1]]) }
        while true {
            var best = MergeTable.none
            var position = 0
            for index in 0..<(count - 1) where merges[index] < best {
                best = merges[index]
                position = index
            }
            guard best != MergeTable.none else { break }
            symbols[position] = TokenID(truncatingIfNeeded: best)
            count -= 1
            var index = position + 1
            while index < count {
                symbols[index] = symbols[index + 1]
                merges[index - 1] = merges[index]
                index += 1
            }
            if position > 0 { merges[position - 1] = table[symbols[position - 1], symbols[position]] }
            if position < count - 1 { merges[position] = table[symbols[position], symbols[position + 1]] }
        }
        symbols.removeSubrange(count...)
    }

    private mutating func mergeByHeap(_ table: borrowing MergeTable) {
        let count = symbols.count
        link(count)
        heap.removeAll(keepingCapacity: true)
        for index in 0..<(count - 1) {
            let merge = table[symbols[index], symbols[index + 1]]
            merges.append(merge)
            if merge != MergeTable.none { heap.append(entry(merge, index)) }
        }
        merges.append(MergeTable.none)
        for index in stride(from: heap.count / 2 - 1, through: 0, by: -1) { sink(from: index) }
        while let first = pop() {
            let position = Int(first & 0xFFFF_FFFF)
            let merge = merges[position]
            // An entry is current if the pair at its position still has the rank it was made for.
            guard merge != MergeTable.none, merge >> 32 == first >> 32 else { continue }
            let right = Int(next[position])
            let following = next[right]
            symbols[position] = TokenID(truncatingIfNeeded: merge)
            next[position] = following
            next[right] = -2
            merges[right] = MergeTable.none
            if following >= 0 { previous[Int(following)] = Int32(position) }
            rank(position, table)
            if previous[position] >= 0 { rank(Int(previous[position]), table) }
        }
        var kept = 0
        for index in 0..<count where next[index] != -2 {
            symbols[kept] = symbols[index]
            kept += 1
        }
        symbols.removeSubrange(kept...)
    }

    private mutating func link(_ count: Int) {
        merges.removeAll(keepingCapacity: true)
        previous.removeAll(keepingCapacity: true)
        next.removeAll(keepingCapacity: true)
        merges.reserveCapacity(count)
        previous.reserveCapacity(count)
        next.reserveCapacity(count)
        for index in 0..<count {
            previous.append(Int32(index - 1))
            next.append(index + 1 < count ? Int32(index + 1) : -1)
        }
    }

    /// Looks the pair at `position` up again and queues it.
    private mutating func rank(_ position: Int, _ table: borrowing MergeTable) {
        let right = next[position]
        let merge = right < 0 ? MergeTable.none : table[symbols[position], symbols[Int(right)]]
        merges[position] = merge
        if merge != MergeTable.none { push(entry(merge, position)) }
    }

    @inline(__always)
    private func entry(_ merge: MergeTable.Merge, _ position: Int) -> UInt64 {
        merge & 0xFFFF_FFFF_0000_0000 | UInt64(position)
    }

    private mutating func push(_ entry: UInt64) {
        heap.append(entry)
        var index = heap.count - 1
        while index > 0 {
            let parent = (index - 1) / 2
            guard entry < heap[parent] else { break }
            heap[index] = heap[parent]
            index = parent
        }
        heap[index] = entry
    }

    private mutating func pop() -> UInt64? {
        guard let last = heap.popLast() else { return nil }
        guard let first = heap.first else { return last }
        heap[0] = last
        sink(from: 0)
        return first
    }

    private mutating func sink(from start: Int) {
        let entry = heap[start]
        let count = heap.count
        var index = start
        while true {
            var child = 2 * index + 1
            guard child < count else { break }
            if child + 1 < count, heap[child + 1] < heap[child] { child += 1 }
            guard heap[child] < entry else { break }
            heap[index] = heap[child]
            index = child
        }
        heap[index] = entry
    }
}
