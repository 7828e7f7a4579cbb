package import Inference
package import Kernels

/// Chooses the next token of one sequence from its row of logits.
///
/// A pure function of logits, parameters, history and position: the scratch inside only saves allocations. One per thread.
/// The order is vLLM's: bias, penalties, (greedy), temperature, min-p, top-k, top-p, draw; tokens that the minimum length excludes stay
/// excluded throughout.
package struct Sampler: Sendable {
    package let vocabulary: Int
    private let scan: LogitScan
    /// Logits after penalties, later weights relative to the likeliest token.
    private var scratch: [Float]
    /// Sums of blocks of weights.
    private var sums: [Double]
    private var candidates: [ScoredIndex] = []

    /// Below this a temperature means greedy, as in vLLM.
    package static let greedyTemperature: Float = 1e-5
    /// Alternatives that can be reported. Beyond: cut.
    package static let mostAlternatives = 64

    /// Tokens at least this likely, relative to the likeliest, are tried first as candidates: usually they suffice.
    private static let likelyCutoff: Float = 0x1p-6

    /// - Parameter scan: draws are equal on all instruction sets.
    package init(vocabulary: Int, scan: LogitScan = LogitScan()) {
        precondition(vocabulary > 0, "a sampler of an empty vocabulary")
        self.vocabulary = vocabulary
        self.scan = scan
        scratch = [Float](repeating: 0, count: vocabulary)
        sums = [Double](repeating: 0, count: LogitScan.blocks(vocabulary))
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
        let raw = scan.largest(of: logits)
        guard !raw.hasNaN, raw.value < .infinity else { throw .notANumber }

        let token: TokenID
        if parameters.isPlainGreedy(position: position) {
            guard raw.value > -.infinity else { throw .nothingLeft }
            token = TokenID(raw.index)
        } else {
            let adjusts = parameters.adjustsLogits(position: position)
            var best = raw
            if adjusts {
                adjust(logits, parameters, history, position: position)
                best = scan.largest(of: scratch.span)
            }
            guard !best.hasNaN, best.value < .infinity else { throw .notANumber }
            guard best.value > -.infinity else { throw .nothingLeft }
            if parameters.temperature < Self.greedyTemperature {
                token = TokenID(best.index)
            } else {
                let scale = 1 / parameters.temperature
                let total =
                    adjusts
                    ? scan.exponentiate(&scratch, minus: best.value, scale: scale, zeroBelow: parameters.minP, sums: &sums)
                    : scan.exponentiate(logits, minus: best.value, scale: scale, zeroBelow: parameters.minP, into: &scratch, sums: &sums)
                token = draw(parameters, total: total, position: position)
            }
        }

        guard let count = parameters.topLogprobs else { return SampledToken(token: token) }
        let logSum = Double(raw.value) + scan.logSumOfExponentials(logits, minus: raw.value)
        let logprob = Float(Double(logits[Int(token)]) - logSum)
        return SampledToken(
            token: token, logprob: logprob,
            alternatives: Self.likeliest(min(count, Self.mostAlternatives), of: logits, logSum: logSum))
    }

    /// Log probability of `token` under the distribution that `logits` describe; nil when they describe none.
    package static func logprob(of token: TokenID, in logits: Span<Float>) -> Float? {
        let scan = LogitScan()
        let largest = scan.largest(of: logits)
        guard !largest.hasNaN, largest.value.isFinite, logits.indices.contains(Int(token)) else { return nil }
        let logSum = Double(largest.value) + scan.logSumOfExponentials(logits, minus: largest.value)
        return Float(Double(logits[Int(token)]) - logSum)
    }

    /// The `count` likeliest tokens, likeliest first, the lowest id first among equals. O(vocabulary + changes · count).
    package static func likeliest(_ count: Int, of logits: Span<Float>) -> [TokenLogprob] {
        let scan = LogitScan()
        let largest = scan.largest(of: logits)
        guard !largest.hasNaN, largest.value.isFinite else { return [] }
        let logSum = Double(largest.value) + scan.logSumOfExponentials(logits, minus: largest.value)
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
    private mutating func adjust(_ logits: Span<Float>, _ parameters: SamplingParameters, _ history: TokenHistory?, position: Int)
    {
        LogitScan.copy(logits, into: &scratch)
        for (token, bias) in parameters.logitBias { scratch[Int(token)] += bias }
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
        if position < parameters.minTokens {
            for token in parameters.stopTokens where token >= 0 && Int(token) < vocabulary { scratch[Int(token)] = -.infinity }
        }
    }

    /// Draws from the weights in `scratch`, which sum to `total`.
    private mutating func draw(_ parameters: SamplingParameters, total: Double, position: Int) -> TokenID {
        let uniform = CounterGenerator.uniform(seed: parameters.seed, position: position)
        let keepsAll = parameters.topK <= 0 || parameters.topK >= vocabulary
        if keepsAll && parameters.topP >= 1 { return drawInIDOrder(uniform * total) }

        let kept = select(
            count: keepsAll ? vocabulary : parameters.topK, share: Double(parameters.topP), total: total, all: keepsAll)
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

    /// The first token whose weights up to and including it exceed `target`. Whole blocks are passed over by their sums.
    private func drawInIDOrder(_ target: Double) -> TokenID {
        var before = 0.0
        var chosen = 0
        for block in sums.indices where sums[block] > 0 {
            chosen = block
            if before + sums[block] > target { break }
            before += sums[block]
        }
        let (first, weights) = (chosen * LogitScan.blockCount, scratch.span)
        var (sum, last) = (before, first)
        for index in first..<min(vocabulary, first + LogitScan.blockCount) where weights[index] > 0 {
            sum += Double(weights[index])
            last = index
            // A block's sum is rounded otherwise than this one: where the target lies between the two, the block's last token has it.
            if sum > target { break }
        }
        return TokenID(last)
    }

    /// Fills `candidates` so that its first n, in some fixed order, are those that top-k and top-p keep; returns n ≥ 1.
    ///
    /// Nothing is sorted. Expected O(vocabulary), also where the distribution is flat.
    private mutating func select(count: Int, share: Double, total: Double, all: Bool) -> Int {
        LogitScan.gather(scratch, atLeast: Self.likelyCutoff, into: &candidates)
        // With top-k the share is one of the k kept, known only once k are there.
        let suffices = all ? candidates.reduce(0.0) { $0 + Double($1.value) } >= share * total : candidates.count >= count
        if !suffices { LogitScan.gather(scratch, atLeast: .leastNonzeroMagnitude, into: &candidates) }
        var kept = candidates.count
        if count < kept { kept = lead(of: kept, reaching: Double(count)) { _ in 1 } }
        guard share < 1 else { return kept }
        let mass = all ? total : candidates[..<kept].reduce(0.0) { $0 + Double($1.value) }
        return lead(of: kept, reaching: share * mass) { Double($0.value) }
    }

    /// Rearranges the first `count` candidates so that the likeliest n, the fewest whose measures sum to `target` > 0, come
    /// first; returns n. Quickselect: each round decides one side of a pivot.
    private mutating func lead(of count: Int, reaching target: Double, measure: (ScoredIndex) -> Double) -> Int {
        var (low, high) = (0, count)
        // What the candidates before `low`, all of which belong, measure together. Always less than the target.
        var before = 0.0
        while low < high {
            candidates.swapAt(median(low, low + (high - low) / 2, high - 1), high - 1)
            let pivot = candidates[high - 1]
            var place = low
            var sum = 0.0
            for index in low..<(high - 1) where candidates[index].precedes(pivot) {
                sum += measure(candidates[index])
                candidates.swapAt(place, index)
                place += 1
            }
            candidates.swapAt(place, high - 1)
            if before + sum >= target {
                high = place
            } else if before + sum + measure(pivot) >= target {
                return place + 1
            } else {
                before += sum + measure(pivot)
                low = place + 1
            }
        }
        return high
    }

    /// Of three places in `candidates`, that of the middle one.
    private func median(_ a: Int, _ b: Int, _ c: Int) -> Int {
        let (first, second) = candidates[a].precedes(candidates[b]) ? (a, b) : (b, a)
        if candidates[c].precedes(candidates[first]) { return first }
        return candidates[c].precedes(candidates[second]) ? c : second
    }
}
