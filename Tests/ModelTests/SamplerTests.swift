import Glibc
import Inference
import TestSupport
import Testing

@testable import Model

@Suite struct SamplerTests {
    private func parameters(_ change: (inout SamplingParameters) -> Void) -> SamplingParameters {
        var parameters = SamplingParameters()
        change(&parameters)
        return parameters
    }

    private func sample(
        _ logits: [Float], _ parameters: SamplingParameters, history: TokenHistory? = nil, position: Int = 0
    ) throws(SamplingError) -> SampledToken {
        var sampler = Sampler(vocabulary: logits.count)
        return try sampler.sample(logits.span, parameters: parameters, history: history, position: position)
    }

    /// Shares of the tokens over many positions.
    private func shares(_ logits: [Float], draws: Int = 10_000, _ parameters: SamplingParameters) throws -> [Double] {
        var sampler = Sampler(vocabulary: logits.count)
        var counts = [Double](repeating: 0, count: logits.count)
        for position in 0..<draws {
            counts[Int(try sampler.sample(logits.span, parameters: parameters, position: position).token)] += 1 / Double(draws)
        }
        return counts
    }

    private func softmax(_ logits: [Float], temperature: Float = 1) -> [Double] {
        let weights = logits.map { Double.exp(Double($0 / temperature)) }
        return weights.map { $0 / weights.reduce(0, +) }
    }

    @Test func `the generator gives the words of the published test vectors`() {
        let zeros = CounterGenerator.block(counter: SIMD4(repeating: 0), key: SIMD2(repeating: 0))
        #expect(zeros == SIMD4(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8))
        let ones = CounterGenerator.block(counter: SIMD4(repeating: .max), key: SIMD2(repeating: .max))
        #expect(ones == SIMD4(0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd))
        let pi = CounterGenerator.block(
            counter: SIMD4(0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344), key: SIMD2(0xa409_3822, 0x299f_31d0))
        #expect(pi == SIMD4(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1))
    }

    @Test func `draws depend on seed and position alone and fill the unit interval`() {
        #expect(CounterGenerator.uniform(seed: 0, position: 0) == 0.3990464708489645)
        var sum = 0.0
        for position in 0..<10_000 {
            let value = CounterGenerator.uniform(seed: 42, position: position)
            #expect(value >= 0 && value < 1 && value == CounterGenerator.uniform(seed: 42, position: position))
            sum += value
        }
        #expect(abs(sum / 10_000 - 0.5) < 0.02)
        #expect(CounterGenerator.uniform(seed: 1, position: 2) != CounterGenerator.uniform(seed: 2, position: 1))
        #expect(CounterGenerator.uniform(seed: 1 << 40, position: 0) != CounterGenerator.uniform(seed: 0, position: 0))
    }

    @Test func `temperature zero takes the highest logit, the lowest id among equals`() throws {
        #expect(try sample([1, 3, 2, 3], parameters { $0.temperature = 0 }).token == 1)
        #expect(try sample([-.infinity, -5], parameters { $0.temperature = 0 }).token == 1)
    }

    @Test func `plain sampling follows the softmax at its temperature`() throws {
        let logits: [Float] = [1, 0, 2, -1, 0.5, -.infinity, 1.5, 0.2, -3]
        for temperature: Float in [0.5, 1, 2] {
            let shares = try shares(
                logits,
                parameters {
                    $0.temperature = temperature
                    $0.seed = 9
                })
            for (share, expected) in zip(shares, softmax(logits, temperature: temperature)) {
                #expect(abs(share - expected) < 0.02)
            }
            #expect(shares[5] == 0)
        }
    }

    @Test func `top-k keeps exactly k, lower ids first among equals, and renormalises`() throws {
        let logits: [Float] = [1, 2, 2, 2, 0]
        let shares = try shares(logits, parameters { $0.topK = 2 })
        #expect(shares[0] == 0 && shares[3] == 0 && shares[4] == 0)
        #expect(abs(shares[1] - 0.5) < 0.02 && abs(shares[2] - 0.5) < 0.02)
        for k in [5, 99] { #expect(try self.shares(logits, draws: 4000, parameters { $0.topK = k }).allSatisfy { $0 > 0 }) }
        #expect(try sample(logits, parameters { $0.topK = 1 }).token == 1)
    }

    @Test func `top-p keeps the smallest set that reaches its share, never none`() throws {
        let logits: [Float] = [0.5, 0.25, 0.15, 0.1].map { Float(Double.log($0)) }
        #expect(try shares(logits, draws: 4000, parameters { $0.topP = 0.49 }).filter { $0 > 0 }.count == 1)
        #expect(try shares(logits, draws: 4000, parameters { $0.topP = 0.6 }).filter { $0 > 0 }.count == 2)
        #expect(try shares(logits, draws: 4000, parameters { $0.topP = 0.8 }).filter { $0 > 0 }.count == 3)
        #expect(try sample(logits, parameters { $0.topP = 1e-30 }).token == 0)
        // Within top-k the share is of the k that are kept: 0.5 of 0.75 is 0.67.
        #expect(
            try shares(
                logits, draws: 4000,
                parameters {
                    $0.topP = 0.6
                    $0.topK = 2
                }
            ).filter { $0 > 0 }.count == 1)
    }

    @Test func `min-p keeps what has its share of the likeliest`() throws {
        let logits: [Float] = [0.5, 0.25, 0.15, 0.1].map { Float(Double.log($0)) }
        #expect(try shares(logits, draws: 4000, parameters { $0.minP = 0.4 }).map { $0 > 0 } == [true, true, false, false])
        #expect(try shares(logits, draws: 4000, parameters { $0.minP = 1 }).map { $0 > 0 } == [true, false, false, false])
    }

    @Test func `filters agree with a full sort on large vocabularies`() throws {
        var random = SeededGenerator(seed: 4)
        for spread: Float in [0, 0.01, 1, 4, 20] {
            let logits = (0..<3001).map { _ in random.normal() * spread }
            let weights = softmax(logits)
            let order = logits.indices.sorted { logits[$0] != logits[$1] ? logits[$0] > logits[$1] : $0 < $1 }
            for (k, p) in [(0, 0.9), (0, 0.999), (0, 0.1), (50, 1.0), (50, 0.9), (2000, 0.5), (3001, 0.3)] as [(Int, Float)] {
                var kept = k > 0 && k < logits.count ? Array(order[..<k]) : order
                let mass = kept.reduce(0) { $0 + weights[$1] }
                var sum = 0.0
                if p < 1 {
                    kept = Array(
                        kept[
                            ...(kept.firstIndex {
                                sum += weights[$0]
                                return sum >= Double(p) * mass
                            } ?? kept.count - 1)])
                }
                let allowed = Set(kept)
                for seed in 0..<40 {
                    let token = try sample(
                        logits,
                        parameters {
                            $0.topK = k
                            $0.topP = p
                            $0.seed = UInt64(seed)
                        }, position: 3
                    ).token
                    // Sums in another order may place the very edge one token further.
                    let isEdge = order.firstIndex(of: Int(token))! <= kept.count
                    #expect(allowed.contains(Int(token)) || (p < 1 && isEdge), "spread \(spread), top-k \(k), top-p \(p)")
                }
            }
        }
    }

    @Test func `penalties count what was generated and see the prompt only for repetition`() throws {
        var history = TokenHistory(prompt: [0, 0, 1])
        for token: TokenID in [2, 2, 3] { history.append(token) }
        func greedy(_ logits: [Float], _ change: (inout SamplingParameters) -> Void) throws -> TokenID {
            try sample(
                logits,
                parameters {
                    $0.temperature = 0
                    change(&$0)
                }, history: history
            ).token
        }
        // Token 2 loses 0.5 + 2 · 0.25 = 1, token 3 0.75, prompt tokens nothing.
        #expect(
            try greedy([0, 0, 2, 1.8, 0.9]) {
                $0.presencePenalty = 0.5
                $0.frequencyPenalty = 0.25
            } == 3)
        #expect(
            try greedy([0, 0, 2, 1.7, 0.9]) {
                $0.presencePenalty = 0.5
                $0.frequencyPenalty = 0.25
            } == 2)
        #expect(
            try greedy([1, 0, 0, 0, 0.9]) {
                $0.presencePenalty = 5
                $0.frequencyPenalty = 5
            } == 0)
        #expect(try greedy([1, 0, 0, 0, 0.9]) { $0.repetitionPenalty = 1.2 } == 4)
        #expect(try greedy([-1, -9, -9, -9, -1.1]) { $0.repetitionPenalty = 1.2 } == 4)
    }

    @Test func `bias and minimum length change what can be chosen`() throws {
        let logits: [Float] = [1, 2, 3]
        #expect(
            try sample(
                logits,
                parameters {
                    $0.temperature = 0
                    $0.logitBias = [2: -100]
                }
            ).token == 1)
        #expect(
            try sample(
                logits,
                parameters {
                    $0.temperature = 0
                    $0.logitBias = [0: 5]
                }
            ).token == 0)
        let stopping = parameters {
            $0.temperature = 0
            $0.stopTokens = [2, 99]
            $0.minTokens = 4
        }
        #expect(try sample(logits, stopping, position: 3).token == 1)
        #expect(try sample(logits, stopping, position: 4).token == 2)
    }

    @Test func `log probabilities are those of the unmodified logits`() throws {
        let logits: [Float] = [1, 2, 3, 2]
        let expected = softmax(logits).map { Float(Double.log($0)) }
        let sampled = try sample(
            logits,
            parameters {
                $0.temperature = 0
                $0.logitBias = [0: 50]
                $0.topLogprobs = 3
                $0.topK = 1
            })
        #expect(sampled.token == 0)
        #expect(abs(sampled.logprob! - expected[0]) < 1e-6)
        #expect(sampled.alternatives.map(\.token) == [2, 1, 3])
        for alternative in sampled.alternatives { #expect(abs(alternative.logprob - expected[Int(alternative.token)]) < 1e-6) }
        #expect(abs(Sampler.logprob(of: 3, in: logits.span)! - expected[3]) < 1e-6)
        #expect(Sampler.likeliest(2, of: logits.span).map(\.token) == [2, 1])
        #expect(try sample(logits, parameters { $0.topLogprobs = 0 }).alternatives.isEmpty)
        #expect(try sample(logits, parameters { $0.topLogprobs = 0 }).logprob != nil)
        #expect(try sample(logits, SamplingParameters()).logprob == nil)
    }

    @Test func `logits that are no numbers and parameters out of range are errors`() {
        for bad in [Float.nan, .infinity] {
            for temperature: Float in [0, 1] {
                #expect(throws: SamplingError.notANumber) {
                    try sample([1, bad, 2], parameters { $0.temperature = temperature })
                }
            }
        }
        #expect(throws: SamplingError.nothingLeft) { try sample([-.infinity, -.infinity], SamplingParameters()) }
        #expect(throws: SamplingError.nothingLeft) { try sample([-.infinity], parameters { $0.temperature = 0 }) }
        #expect(throws: SamplingError.nothingLeft) {
            try sample(
                [1],
                parameters {
                    $0.stopTokens = [0]
                    $0.minTokens = 1
                })
        }
        let wrong: [(inout SamplingParameters) -> Void] = [
            { $0.temperature = -1 }, { $0.temperature = .nan }, { $0.topP = 0 }, { $0.topP = 1.5 }, { $0.topP = .nan },
            { $0.minP = -0.1 },
            { $0.topK = -1 }, { $0.repetitionPenalty = 0 }, { $0.presencePenalty = .infinity }, { $0.frequencyPenalty = .nan },
            { $0.logitBias = [3: 1] }, { $0.logitBias = [-1: 1] }, { $0.logitBias = [0: .nan] },
        ]
        for change in wrong {
            let error = #expect(throws: SamplingError.self) { try sample([1, 2, 3], parameters(change)) }
            if case .parameter = error {} else { Issue.record("\(String(describing: error))") }
        }
    }

    @Test func `the smallest temperatures do not overflow`() throws {
        #expect(try sample([1e30, 2e30, -1e30], parameters { $0.temperature = 2e-5 }).token == 1)
        #expect(
            try sample(
                [1, 1 + 1e-7, 1],
                parameters {
                    $0.temperature = 100
                    $0.topK = 1
                }
            ).token >= 0)
    }
}

extension Double {
    fileprivate static func exp(_ x: Double) -> Double { Glibc.exp(x) }
    fileprivate static func log(_ x: Double) -> Double { Glibc.log(x) }
}
