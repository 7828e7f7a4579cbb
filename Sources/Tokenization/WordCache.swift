internal import Inference

/// The tokens of words seen before: a direct-mapped table whose memory never grows beyond its bounds.
///
/// A new word replaces the one in its slot. Words and ids lie in two arenas; when either is full everything is forgotten, which
/// costs one clearing per several ten thousand new words.
struct WordCache: Sendable {
    /// Longer words are rare and not worth the comparison.
    static let maximumWord = 48

    private struct Slot {
        var hash: UInt64 = 0
        var word: UInt32 = 0
        var ids: UInt32 = 0
        /// 0: free.
        var wordLength: UInt16 = 0
        var idCount: UInt16 = 0
    }

    private var slots: [Slot] = []
    private var words: [UInt8] = []
    private var ids: [TokenID] = []
    private let slotBits: Int
    private let arenaBytes: Int

    /// At most `2^slotBits` words (24 bytes each) and `arenaBytes` of their text and ids; older words are forgotten.
    init(slotBits: Int, arenaBytes: Int) {
        self.slotBits = slotBits
        self.arenaBytes = arenaBytes
    }

    @inline(__always)
    static func hash(_ text: borrowing Span<UInt8>, _ start: Int, _ end: Int) -> UInt64 {
        var hash: UInt64 = 0x9E37_79B9_7F4A_7C15
        for index in start..<end { hash = (hash ^ UInt64(text[index])) &* 0x2127_599B_F432_5C37 }
        return hash ^ hash >> 32
    }

    /// Appends the tokens of `text[start..<end]` to `output` if they are known.
    @inline(__always)
    func append(_ text: borrowing Span<UInt8>, _ start: Int, _ end: Int, hash: UInt64, to output: inout [TokenID]) -> Bool {
        guard !slots.isEmpty else { return false }
        let slot = slots[Int(truncatingIfNeeded: hash >> (64 - UInt64(slotBits)))]
        guard slot.hash == hash, Int(slot.wordLength) == end - start else { return false }
        let word = Int(slot.word)
        for index in start..<end where text[index] != words[word + index - start] { return false }
        let first = Int(slot.ids)
        for index in first..<(first + Int(slot.idCount)) { output.append(ids[index]) }
        return true
    }

    mutating func remember(_ text: borrowing Span<UInt8>, _ start: Int, _ end: Int, hash: UInt64, tokens: ArraySlice<TokenID>) {
        if slots.isEmpty { slots = [Slot](repeating: Slot(), count: 1 << slotBits) }
        if words.count + ids.count * MemoryLayout<TokenID>.size + Self.maximumWord * 9 > arenaBytes { forget() }
        slots[Int(truncatingIfNeeded: hash >> (64 - UInt64(slotBits)))] = Slot(
            hash: hash, word: UInt32(words.count), ids: UInt32(ids.count),
            wordLength: UInt16(end - start), idCount: UInt16(tokens.count)
        )
        words.append(text, start..<end)
        ids.append(contentsOf: tokens)
    }

    private mutating func forget() {
        words.removeAll(keepingCapacity: true)
        ids.removeAll(keepingCapacity: true)
        for index in slots.indices { slots[index] = Slot() }
    }
}
