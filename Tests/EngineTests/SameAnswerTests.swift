import Engine
import Inference
import KVCache
import Kernels
import Model
import Platform
import Scheduling
import TestSupport
import Testing
import Wire

/// The promise of the engine with the bundled model: a seed's tokens do not depend on company, chunking, threads or memory.
@Suite struct SameAnswerTests {
    private struct Conditions: CustomStringConvertible {
        var stepTokens: Int
        var pages: Int
        var threads: Int
        var running = 64
        var description: String { "\(stepTokens) tokens a step, \(pages) pages, \(threads) threads, \(running) at once" }
    }

    private static let directory = SharedFiles.repository + "/models/pilot"

    private static func weights(_ form: WeightForm) throws -> DecoderWeights {
        let team = ThreadTeam(threads: 1, instructionSet: .best)
        return try DecoderModel.loadWeights(directory: directory, weights: form, cache: nil, team: team).weights
    }

    /// Sixteen prompts of different lengths, half of them with a common beginning.
    private static let requests: [SequenceRequest] = (0..<16).map { index in
        var sampling = SamplingParameters()
        sampling.temperature = index % 4 == 0 ? 0 : 0.9
        sampling.topP = index % 3 == 0 ? 0.95 : 1
        sampling.frequencyPenalty = index % 5 == 0 ? 0.3 : 0
        sampling.seed = UInt64(index) * 7919
        sampling.maxTokens = 40
        let common: [TokenID] = index % 2 == 0 ? (0..<130).map { TokenID(300 + $0 * 7 % 900) } : []
        let own: [TokenID] = (0..<(5 + index * 9)).map { TokenID(300 + ($0 * 31 + index * 17) % 1500) }
        return SequenceRequest(id: SequenceID(UInt64(index)), prompt: common + own, sampling: sampling)
    }

    private func run(_ requests: [SequenceRequest], _ conditions: Conditions, _ weights: DecoderWeights) throws -> (
        tokens: [SequenceID: [TokenID]], preemptions: UInt64
    ) {
        let team = ThreadTeam(threads: conditions.threads, instructionSet: .best)
        let context = min(weights.configuration.shape.context, conditions.pages * Page.tokens)
        let limits = DecoderModel.Limits(rows: conditions.stepTokens, logitRows: conditions.stepTokens, context: context)
        let model = try ModelRunner(model: DecoderModel(weights, limits: limits, team: team), pages: conditions.pages)
        var scheduler = Scheduler(
            limits: SchedulerLimits(
                stepTokens: conditions.stepTokens, runningSequences: conditions.running, sequenceTokens: context),
            cache: PageCache(pages: conditions.pages, model: "pilot"))
        var now = MonotonicInstant(nanoseconds: 0)
        for request in requests { scheduler.start(request, now: now) }
        var tokens: [SequenceID: [TokenID]] = [:]
        while !scheduler.isIdle {
            now.nanoseconds += 1
            let plan = scheduler.plan(now: now)
            for event in scheduler.complete(plan, outcomes: model.run(plan), now: now).tokens { tokens[event.sequence, default: []].append(event.token) }
        }
        return (tokens, scheduler.load.preemptions)
    }

    @Test(arguments: [WeightForm.bf16, .int8, .int8g32])
    func aSeedGivesTheSameTokensAloneInABatchInChunksOnAnyThreadsAndAfterPreemption(form: WeightForm) throws {
        let weights = try Self.weights(form)
        var alone: [SequenceID: [TokenID]] = [:]
        for request in Self.requests {
            alone.merge(try run([request], Conditions(stepTokens: 512, pages: 8, threads: 1), weights).tokens) { _, new in new }
        }
        #expect(alone.count == 16 && alone.values.allSatisfy { $0.count == 40 })
        for conditions in [
            Conditions(stepTokens: 512, pages: 128, threads: 1), Conditions(stepTokens: 512, pages: 128, threads: 2),
            Conditions(stepTokens: 33, pages: 128, threads: 3), Conditions(stepTokens: 64, pages: 128, threads: 2, running: 5),
        ] {
            #expect(try run(Self.requests, conditions, weights).tokens == alone, "\(conditions)")
        }
        let scarce = try run(Self.requests, Conditions(stepTokens: 128, pages: 9, threads: 2), weights)
        #expect(scarce.preemptions > 0, "nine pages must not be enough for sixteen sequences")
        #expect(scarce.tokens == alone)
    }
}
