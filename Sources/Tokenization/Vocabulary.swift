internal import Inference
internal import Platform

/// The tokens by id and by text: one buffer of bytes and one flat hash table over it.
///
/// Ids may have gaps. Immutable once the tokenizer is built.
struct Vocabulary: Sendable {
    private var bytes: [UInt8] = []
    private var starts: [UInt32] = []
    /// Bytes of each token; -1 for an id that has none.
    private var lengths: [Int32] = []
    /// Open addressing with linear probing: ids, or -1.
    private var slots: [Int32]
    private let mask: Int
    /// Random, so that no file can be made whose tokens collide.
    private let seed = UInt64.random(in: 0...UInt64.max)
    private(set) var count = 0

    /// - Parameter capacity: the most tokens that will be inserted.
    init(capacity: Int) {
        var size = 16
        while size < capacity * 2 { size *= 2 }
        slots = [Int32](repeating: -1, count: size)
        mask = size - 1
    }

    /// One more than the highest id.
    var idLimit: Int { lengths.count }

    /// What stood in the way of an insertion.
    enum Conflict {
        /// The text has this id already.
        case text(TokenID)
        /// The id has this text already.
        case id(String)
        /// All tokens together are larger than `TokenizerLimits.vocabularyBytes`.
        case size
    }

    /// Gives `text` the id `id`, which is within `TokenizerLimits.vocabulary`. Returns what stood in the way, if anything.
    mutating func insert(_ text: String, id: TokenID) -> Conflict? {
        let added = Array(text.utf8)
        if let known = self.id(of: added.span) { return .text(known) }
        if let present = self.text(of: id) { return .id(present) }
        guard bytes.count + added.count <= TokenizerLimits.vocabularyBytes else { return .size }
        precondition(count * 2 < slots.count, "a vocabulary of \(count) tokens in \(slots.count) slots")
        while lengths.count <= Int(id) {
            lengths.append(-1)
            starts.append(0)
        }
        starts[Int(id)] = UInt32(bytes.count)
        lengths[Int(id)] = Int32(added.count)
        bytes.append(contentsOf: added)
        var slot = firstSlot(of: added.span)
        while slots[slot] >= 0 { slot = (slot + 1) & mask }
        slots[slot] = id
        count += 1
        return nil
    }

    func id(of text: borrowing Span<UInt8>) -> TokenID? {
        var slot = firstSlot(of: text)
        while slots[slot] >= 0 {
            let id = Int(slots[slot])
            if Int(lengths[id]) == text.count, equal(text, at: Int(starts[id])) { return TokenID(id) }
            slot = (slot + 1) & mask
        }
        return nil
    }

    /// `text` as the vocabulary spells it (`Ġthe`, `▁the`).
    func id(of text: String) -> TokenID? { id(of: Array(text.utf8).span) }

    func range(of id: TokenID) -> Range<Int>? {
        guard id >= 0, Int(id) < lengths.count, lengths[Int(id)] >= 0 else { return nil }
        let start = Int(starts[Int(id)])
        return start..<(start + Int(lengths[Int(id)]))
    }

    func bytes(of id: TokenID) -> [UInt8]? { range(of: id).map { Array(bytes[$0]) } }

    func text(of id: TokenID) -> String? { range(of: id).map { String(decoding: bytes[$0], as: UTF8.self) } }

    private func firstSlot(of text: borrowing Span<UInt8>) -> Int {
        Int(truncatingIfNeeded: Digest(of: text, seed: seed).low) & mask
    }

    private func equal(_ text: borrowing Span<UInt8>, at start: Int) -> Bool {
        for index in text.indices where text[index] != bytes[start + index] { return false }
        return true
    }
}
