internal import Inference
internal import Kernels
internal import Model
internal import Platform

/// A model with room for one sequence twice: with the KV that it computed, and with KV that came back from blocks.
final class PromptModel {
    enum Copy: Int {
        case exact = 0
        case reconstructed = 1
    }

    let model: DecoderModel
    let memory: KeyValueMemory
    /// Tokens of a sequence at most.
    let context: Int
    private var logits: FloatMatrix
    private var batch = Batch()

    /// Tokens of a step.
    private static let step = 256
    /// Those of a step that asks for the logits of each: bounds their memory.
    private static let logitStep = 32

    init(_ weights: DecoderWeights, context: Int, team: ThreadTeam) throws {
        self.context = context
        model = try DecoderModel(weights, limits: .init(rows: Self.step, logitRows: Self.logitStep, context: context), team: team)
        memory = try KeyValueMemory(geometry: weights.keyValueGeometry, pages: 2 * Page.count(forTokens: context))
        logits = try model.logitMatrix(rows: Self.logitStep)
    }

    func pages(_ copy: Copy, tokens: Int) -> [PageIndex] {
        let first = copy.rawValue * Page.count(forTokens: context)
        return (0..<Page.count(forTokens: tokens)).map { PageIndex(first + $0) }
    }

    /// Makes the copy fit for a new sequence.
    func clear(_ copy: Copy) {
        for page in pages(copy, tokens: context) { memory.zero(page: page) }
    }

    /// Computes `tokens`, which stand at `position` on; calls `row` for each whose logits are wanted, counted from the first of them.
    func run(
        _ tokens: ArraySlice<TokenID>, at position: Int, in copy: Copy, logits wanted: Batch.Wanted = .none,
        row: (Int, Span<Float>) -> Void = { _, _ in }
    ) {
        let pages = pages(copy, tokens: context)
        let size = if case .all = wanted { Self.logitStep } else { Self.step }
        for first in stride(from: 0, to: tokens.count, by: size) {
            let piece = tokens.dropFirst(first).prefix(size)
            let isLast = first + piece.count == tokens.count
            batch.removeAll()
            let asked: Batch.Wanted
            switch wanted {
            case .all: asked = .all
            case .last: asked = isLast ? .last : .none
            case .none: asked = .none
            }
            batch.append(piece, position: position + first, pages: pages, logits: asked)
            model.forward(batch, memory: memory, into: &logits)
            for index in 0..<batch.logitRows { logits.withRow(index) { row(first + index, $0) } }
        }
    }

    func prompt(_ tokens: Int) -> PromptKeyValues {
        PromptKeyValues(memory: memory, from: pages(.exact, tokens: tokens), to: pages(.reconstructed, tokens: tokens), tokens: tokens)
    }
}

/// The KV of a prompt, and the cleared pages to which it is to come back.
struct PromptKeyValues {
    let memory: KeyValueMemory
    let from: [PageIndex]
    let to: [PageIndex]
    let tokens: Int

    /// As the elements of bf16 or f32 that the tokens are, without what else is in their pages.
    var rawBytes: Int { tokens * memory.geometry.pageBytes / KeyValueGeometry.tokens }
}

/// Brings a prompt's KV to its other pages. Some of it may be lost on the way.
protocol KeyValueTrip: AnyObject {
    func take(_ prompt: PromptKeyValues) throws
}
