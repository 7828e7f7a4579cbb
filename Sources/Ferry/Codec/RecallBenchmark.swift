internal import Inference
internal import Kernels
internal import Model
internal import Platform
internal import Tokenization

/// A question about what stands in its prompt.
struct RecallTask {
    var prompt: [TokenID]
    var answer: String
    /// What a right answer contains, all of it.
    var keys: [String]

    /// - Parameter text: of an answer that the model has ended.
    func isRight(_ text: String) -> Bool { text == answer || (!keys.isEmpty && keys.allSatisfy(text.contains)) }
}

/// Greedy answers from exact KV and from KV that was on a trip.
final class RecallBenchmark {
    private let prompts: PromptModel
    private let tokenizer: Tokenizer
    private let endTokens: Set<TokenID>
    private let scan: LogitScan

    /// Tokens of an answer at most; one that goes on is wrong.
    static let longestAnswer = 200

    init(_ prompts: PromptModel, tokenizer: Tokenizer, endTokens: Set<TokenID>) {
        self.prompts = prompts
        self.tokenizer = tokenizer
        self.endTokens = endTokens
        scan = LogitScan(instructionSet: prompts.model.team.instructionSet)
    }

    /// Whether the exact answer is right, and those behind each trip.
    func measure(_ task: RecallTask, _ trips: [any KeyValueTrip], arrived: (Int) throws -> Void = { _ in }) throws -> (
        exact: Bool, trips: [Bool]
    ) {
        prompts.clear(.exact)
        var first = TokenID(0)
        prompts.run(task.prompt[...], at: 0, in: .exact, logits: .last) { _, logits in first = TokenID(scan.largest(of: logits).index) }
        let exact = isRight(task, from: first, in: .exact)
        let others = try trips.enumerated().map { index, trip in
            prompts.clear(.reconstructed)
            try trip.take(prompts.prompt(task.prompt.count))
            try arrived(index)
            return isRight(task, from: first, in: .reconstructed)
        }
        return (exact, others)
    }

    private func isRight(_ task: RecallTask, from first: TokenID, in copy: PromptModel.Copy) -> Bool {
        var answer: [TokenID] = []
        var next = first
        while !endTokens.contains(next) {
            answer.append(next)
            let position = task.prompt.count + answer.count - 1
            guard answer.count < Self.longestAnswer, position < prompts.context else { return false }
            prompts.run([next], at: position, in: copy, logits: .last) { _, logits in next = TokenID(scan.largest(of: logits).index) }
        }
        return task.isRight(tokenizer.decode(answer, skipSpecialTokens: true))
    }
}
