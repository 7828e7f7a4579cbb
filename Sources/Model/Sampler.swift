package import Inference
internal import Kernels

/// Chooses the next token of one sequence from its row of logits.
///
/// A pure function of logits, parameters, history and position: the scratch inside only saves allocations. One per thread.
/// The order is vLLM's: penalties, bias, minimum length, (greedy), temperature, min-p, top-k, top-p, draw.
package struct Sampler: Sendable {
    package let vocabulary: Int
    /// Logits after penalties, later weights relative to the likeliest token.
    private var scratch: [Float]
    private var candidates: [ScoredIndex] = []

    /// Below this a temperature means greedy, as in vLLM.
    package static let greedyTemperature: Float = 1e-5
    /// Alternatives that can be reported. Beyond: cut.
    package static let mostAlternatives = 64

    package init(vocabulary: Int) {
        precondition(vocabulary > 0, "a sampler of an empty vocabulary")
        self.vocabulary = vocabulary
        scratch = [Float](repeating: 0, count: vocabulary)
        candidates.reserveCapacity(min(vocabulary, 4096))
    }

    /// - Parameters:
    ///   - logits: `vocabulary` values, unmodified.
    ///   - history: needed where `parameters.penalizes`.
    ///   - position: how many tokens of the answer came before.
    /// - Throws: `SamplingError` for logits that are not numbers and for parameters outside their domain; never traps on either.
    package mutating func sample(
        _ logits: Span<Float>, parameters: SamplingParameters, history: TokenHistory? = nil, position: Int
    ) throws(SamplingError) -> SampledToken {
        precondition(logits.count == vocabulary, "\(logits.count) logits for a vocabulary of \(vocabulary)")
        try parameters.check(vocabulary: vocabulary)
        let raw = LogitScan.largest(of: logits)
        guard !raw.hasNaN, raw.value < .infinity else { throw .notANumber }

        let token: TokenID
        if parameters.isPlainGreedy(position: position) {
            guard raw.value > -.infinity else { throw .nothingLeft }
            token = TokenID(raw.index)
        } else {
            adjust(logits, parameters, history, position: position)
            let best = LogitScan.largest(of: scratch.span)
            guard !best.hasNaN, best.value < .infinity else { throw .notANumber }
            guard best.value > -.infinity else { throw .nothingLeft }
            token =
                parameters.temperature < Self.greedyTemperature
                ? TokenID(best.index) : draw(parameters, largest: best.value, position: position)
        }

        guard let count = parameters.topLogprobs else { return SampledToken(token: token) }
        let logSum = Double(raw.value) + LogitScan.logSumOfExponentials(logits, minus: raw.value)
        let logprob = Float(Double(logits[Int(token)]) - logSum)
        return SampledToken(
            token: token, logprob: logprob, alternatives: Self.likeliest(min(count, Self.mostAlternatives), of: logits, logSum: logSum))
    }

    /// Log probability of `token` under the distribution that `logits` describe; nil when they describe none.
    package static func logprob(of token: TokenID, in logits: Span<Float>) -> Float? {
        let largest = LogitScan.largest(of: logits)
        guard !largest.hasNaN, largest.value.isFinite, logits.indices.contains(Int(token)) else { return nil }
        let logSum = Double(largest.value) + LogitScan.logSumOfExponentials(logits, minus: largest.value)
        return Float(Double(logits[Int(token)]) - logSum)
    }

    /// The `count` likeliest tokens, likeliest first, the lowest id first among equals. O(vocabulary + changes · count).
    package static func likeliest(_ count: Int, of logits: Span<Float>) -> [TokenLogprob] {
        let largest = LogitScan.largest(of: logits)
        guard !largest.hasNaN, largest.value.isFinite else { return [] }
        let logSum = Double(largest.value) + LogitScan.logSumOfExponentials(logits, minus: largest.value)
        return likeliest(min(count, mostAlternatives), of: logits, logSum: logSum)
    }

    private static func likeliest(_ count: Int, of logits: Span<Float>, logSum: Double) -> [TokenLogprob] {
        let count = min(count, logits.count)
        guard count > 0 else { return [] }
        var best: [ScoredIndex] = []
        best.reserveCapacity(count + 1)
        var floor = -Float.infinity
        for index in logits.indices where best.count < count || logits[index] > floor {
            let candidate = ScoredIndex(value: logits[index], index: Int32(index))
            let place = best.firstIndex { candidate.precedes($0) } ?? best.count
            best.insert(candidate, at: place)
            if best.count > count { best.removeLast() }
            if best.count == count { floor = best[count - 1].value }
        }
        return best.map { TokenLogprob(token: $0.index, logprob: Float(Double($0.value) - logSum)) }
    }

    /// Copies the logits into `scratch` and applies what works on single tokens.
    private mutating func adjust(_ logits: Span<Float>, _ parameters: SamplingParameters, _ history: TokenHistory?, position: Int) {
        LogitScan.copy(logits, into: &scratch)
        if parameters.penalizes {
            guard let history else { preconditionFailure("penalties without a history at position \(position)") }
            for entry in history.entries where Int(entry.token) < vocabulary && entry.token >= 0 {
                var logit = scratch[Int(entry.token)]
                if parameters.repetitionPenalty != 1 {
                    logit = logit > 0 ? logit / parameters.repetitionPenalty : logit * parameters.repetitionPenalty
                }
                if entry.generated > 0 {
                    logit -= parameters.presencePenalty + parameters.frequencyPenalty * Float(entry.generated)
                }
                scratch[Int(entry.token)] = logit
            }
        }
        for (token, bias) in parameters.logitBias { scratch[Int(token)] += bias }
        if position < parameters.minTokens {
            for token in parameters.stopTokens where token >= 0 && Int(token) < vocabulary { scratch[Int(token)] = -.infinity }
        }
    }

    /// Draws from `scratch`, whose largest value is `largest`.
    private mutating func draw(_ parameters: SamplingParameters, largest: Float, position: Int) -> TokenID {
        let uniform = CounterGenerator.uniform(seed: parameters.seed, position: position)
        let total = LogitScan.exponentiate(
            &scratch, minus: largest, scale: 1 / parameters.temperature, zeroBelow: parameters.minP)
        let keepsAll = parameters.topK <= 0 || parameters.topK >= vocabulary
        if keepsAll && parameters.topP >= 1 { return drawInIDOrder(uniform * total) }

        let kept = select(count: keepsAll ? vocabulary : parameters.topK, share: Double(parameters.topP), total: total, all: keepsAll)
        var mass = 0.0
        for candidate in candidates[..<kept] { mass += Double(candidate.value) }
        let target = uniform * mass
        var sum = 0.0
        for candidate in candidates[..<kept] {
            sum += Double(candidate.value)
            if sum > target { return candidate.index }
        }
        return candidates[kept - 1].index
    }

    /// The first token whose weights up to and including it exceed `target`.
    private func drawInIDOrder(_ target: Double) -> TokenID {
        var sum = 0.0
        var last = 0
        let weights = scratch.span
        // Sums are taken the same way as the total was: in one order, in double precision.
        for index in weights.indices where weights[index] > 0 {
            sum += Double(weights[index])
            last = index
            if sum > target { break }
        }
        return TokenID(last)
    }

    /// Fills `candidates` so that its first n, likeliest first, are those that top-k and top-p keep; returns n ≥ 1.
    ///
    /// The vocabulary is never sorted whole unless its distribution is nearly flat: tokens above a falling cutoff are
    /// gathered until they hold the wanted count or share.
    private mutating func select(count: Int, share: Double, total: Double, all: Bool) -> Int {
        var cutoff: Float = 0x1p-6
        while true {
            LogitScan.gather(scratch, atLeast: cutoff, into: &candidates)
            let isComplete = cutoff == 0
            let mass = candidates.reduce(0.0) { $0 + Double($1.value) }
            // With top-k the share is one of the k kept, known only once k are there.
            let suffices = all ? mass >= share * total : candidates.count >= count
            if suffices || isComplete { break }
            cutoff = cutoff < 0x1p-40 ? 0 : cutoff * 0x1p-6
        }
        candidates.sort { $0.precedes($1) }
        let limit = min(count, candidates.count)
        guard share < 1 else { return limit }
        let mass = all ? total : candidates[..<limit].reduce(0.0) { $0 + Double($1.value) }
        var sum = 0.0
        for index in 0..<limit {
            sum += Double(candidates[index].value)
            if sum >= share * mass { return index + 1 }
        }
        return limit
    }
}
