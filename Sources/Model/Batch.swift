package import Inference

/// What one step computes: tokens of several sequences, each at its place.
///
/// Built anew for each step in the same memory: `removeAll` keeps it.
package struct Batch: Sendable {
    /// Whose logits a segment asks for.
    package enum Wanted: Sendable {
        case none
        /// Of its last token: to choose the next one.
        case last
        /// Of every token: for log probabilities of a prompt.
        case all
    }

    /// Consecutive tokens of one sequence.
    package struct Segment: Sendable {
        /// The row of its first token.
        package let row: Int
        package let count: Int
        /// The first token's position in the sequence.
        package let position: Int
        /// `pages[i]` holds tokens 64i..<64i+64 of the sequence. Those before `position` are written already.
        package let pages: [PageIndex]
        package let logits: Wanted
        /// The row of its first logits, among all that the batch asks for.
        package let logitRow: Int

        package var logitRows: Int {
            switch logits {
            case .none: 0
            case .last: 1
            case .all: count
            }
        }
    }

    package private(set) var tokens: [TokenID] = []
    package private(set) var segments: [Segment] = []
    /// Rows of logits asked for.
    package private(set) var logitRows = 0

    package init() {}

    package var rows: Int { tokens.count }

    package mutating func removeAll() {
        tokens.removeAll(keepingCapacity: true)
        segments.removeAll(keepingCapacity: true)
        logitRows = 0
    }

    /// Adds at least one token.
    package mutating func append(_ new: some Collection<TokenID>, position: Int, pages: [PageIndex], logits: Wanted) {
        precondition(!new.isEmpty, "a segment without tokens at position \(position)")
        let segment = Segment(
            row: tokens.count, count: new.count, position: position, pages: pages, logits: logits, logitRow: logitRows)
        tokens.append(contentsOf: new)
        segments.append(segment)
        logitRows += segment.logitRows
    }
}
