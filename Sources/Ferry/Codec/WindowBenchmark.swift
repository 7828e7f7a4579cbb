internal import Inference
internal import Kernels
internal import Model
internal import Platform

/// A prompt, and how it goes on.
struct TextWindow: Equatable {
    var prompt: [TokenID]
    /// The first of these is predicted by the prompt's last token, which no codec touches. From the second one on they count.
    var continuation: [TokenID]

    /// Predictions that are compared.
    var positions: Int { continuation.count - 1 }
}

/// Predicts how prompts go on, from exact KV and from KV that was on a trip, token by token of the text itself.
///
/// A prompt is computed once and its KV taken through each trip; the tokens behind it are computed anew each time and keep KV of their own.
final class WindowBenchmark {
    private let prompts: PromptModel
    /// Exact logits of the window at hand.
    private var exact: FloatMatrix
    private let scan: LogitScan

    /// - Parameter positions: of a window at most. Their logits are kept.
    init(_ prompts: PromptModel, positions: Int) throws {
        self.prompts = prompts
        exact = try prompts.model.logitMatrix(rows: positions)
        scan = LogitScan(instructionSet: prompts.model.team.instructionSet)
    }

    /// What each trip costs in this window. `arrived` is called when a trip has brought its copy.
    func measure(_ window: TextWindow, _ trips: [any KeyValueTrip], arrived: (Int) throws -> Void = { _ in }) throws -> [PredictionSums] {
        precondition(window.positions > 0 && window.positions <= exact.rows && !window.prompt.isEmpty, "\(window.positions) positions")
        let fed = window.continuation.dropLast()
        prompts.clear(.exact)
        prompts.run(window.prompt[...], at: 0, in: .exact)
        prompts.run(fed, at: window.prompt.count, in: .exact, logits: .all) { row, logits in exact.fill(rows: row..<(row + 1), with: logits)
        }
        return try trips.enumerated().map { index, trip in
            prompts.clear(.reconstructed)
            try trip.take(prompts.prompt(window.prompt.count))
            try arrived(index)
            var sums = PredictionSums()
            prompts.run(fed, at: window.prompt.count, in: .reconstructed, logits: .all) { row, logits in
                let next = Int(window.continuation[row + 1])
                exact.withRow(row) { sums.add(exact: $0, other: logits, next: next, scan: scan) }
            }
            return sums
        }
    }
}
