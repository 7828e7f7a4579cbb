/// Which neighbouring symbols merge, in which order, into what: a flat hash table from (left, right) to (rank, merged).
struct MergeTable: Sendable {
    /// A merge as one word: rank in the high half, merged id in the low half, so that the smallest word merges first.
    typealias Merge = UInt64

    /// No merge; larger than any other.
    static let none = Merge.max

    /// Key and value alternate. A free slot has the key `UInt64.max`, which no pair of ids (31 bits each) makes.
    private var entries: [UInt64]
    private let shift: UInt64
    /// Odd and random, so that no file can be made whose pairs collide.
    private let multiplier = UInt64.random(in: 0...UInt64.max) | 1

    /// - Parameter capacity: the most merges that will be inserted.
    init(capacity: Int) {
        var bits: UInt64 = 4
        while 1 << bits < capacity * 3 / 2 + 1 { bits += 1 }
        entries = [UInt64](repeating: .max, count: 2 << bits)
        shift = 64 - bits
    }

    /// A later insertion of the same pair replaces the earlier one.
    mutating func insert(_ left: Int32, _ right: Int32, rank: UInt32, merged: Int32) {
        let key = UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
        var slot = firstSlot(of: key)
        while entries[slot] != .max && entries[slot] != key { slot = following(slot) }
        entries[slot] = key
        entries[slot + 1] = UInt64(rank) << 32 | UInt64(UInt32(bitPattern: merged))
    }

    @inline(__always)
    subscript(left: Int32, right: Int32) -> Merge {
        let key = UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
        var slot = firstSlot(of: key)
        while true {
            let present = entries[slot]
            if present == key { return entries[slot + 1] }
            if present == .max { return Self.none }
            slot = following(slot)
        }
    }

    @inline(__always)
    private func firstSlot(of key: UInt64) -> Int { Int(truncatingIfNeeded: ((key ^ (key >> 29)) &* multiplier) >> shift) << 1 }

    @inline(__always)
    private func following(_ slot: Int) -> Int { (slot + 2) & (entries.count - 1) }
}
