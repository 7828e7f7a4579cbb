/// An index into a model's vocabulary.
package typealias TokenID = Int32

/// One sequence of tokens inside the engine. A request with `n` choices has `n` sequences. Never reused within a process.
package struct SequenceID: Hashable, Sendable, CustomStringConvertible {
    package let value: UInt64
    package init(_ value: UInt64) { self.value = value }
    package var description: String { "seq-\(value)" }
}
