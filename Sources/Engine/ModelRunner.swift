internal import Inference
package import Kernels
package import Model
package import Platform
package import Scheduling
internal import Wire

/// The real model behind `StepModel`: batches, KV memory, sampling. Owned by its worker's thread.
package final class ModelRunner: StepModel {
    private let model: DecoderModel
    private let memory: KeyValueMemory
    private var logits: FloatMatrix
    private var batch = Batch()
    private let seats: [SamplingSeat]
    private let clock = SystemClock()
    /// What the last step spent in the model itself: without zeroed pages and sampling.
    package private(set) var forwardTime = Duration.zero

    /// - Parameters:
    ///   - model: its `limits.logitRows` bounds how many sequences may sample in a step.
    ///   - memory: the KV pages; whoever moves pages between workers has them too.
    /// - Throws: `FileError` when the system refuses the memory.
    package init(model: DecoderModel, memory: KeyValueMemory) throws(FileError) {
        self.model = model
        self.memory = memory
        logits = try model.logitMatrix(rows: model.limits.logitRows)
        // Two for each thread: one that is delayed leaves the other's work to the rest.
        let (vocabulary, scan) = (model.shape.vocabulary, LogitScan(instructionSet: model.team.instructionSet))
        seats = (0..<model.team.threads * 2).map { _ in SamplingSeat(Sampler(vocabulary: vocabulary, scan: scan)) }
    }

    /// With KV pages of its own.
    package convenience init(model: DecoderModel, pages: Int) throws(FileError) {
        try self.init(model: model, memory: KeyValueMemory(geometry: model.weights.keyValueGeometry, pages: pages))
    }

    package func run(_ plan: StepPlan, layerDone: (Int) -> Void) -> [SampleOutcome?] {
        for page in plan.freshPages { memory.zero(page: page) }
        batch.removeAll()
        for segment in plan.segments {
            batch.append(plan.tokens[segment.rows], position: segment.position, pages: segment.pages, logits: segment.samples ? .last : .none)
        }
        let started = clock.now
        model.forward(batch, memory: memory, into: &logits, layerDone: layerDone)
        forwardTime = clock.now.since(started)
        return sample(plan)
    }

    package func rest() { model.team.rest() }

    private func sample(_ plan: StepPlan) -> [SampleOutcome?] {
        let sampling = plan.segments.indices.filter { plan.segments[$0].samples }
        let taken = min(seats.count, sampling.count)
        let round = SamplingRound(runner: self, plan: plan, segments: sampling, seats: taken)
        model.team.run(chunks: taken) { round.runner.fill($0, round) }
        var outcomes = [SampleOutcome?](repeating: nil, count: plan.segments.count)
        for seat in seats[..<taken] {
            for chosen in seat.chosen { outcomes[chosen.segment] = chosen.outcome }
            seat.chosen.removeAll(keepingCapacity: true)
        }
        return outcomes
    }

    /// Chooses for every `round.seats`th of the segments that sample, beginning with the one numbered `number`.
    private func fill(_ number: Int, _ round: SamplingRound) {
        let seat = seats[number]
        for place in stride(from: number, to: round.segments.count, by: round.seats) {
            let index = round.segments[place]
            let outcome = logits.withRow(batch.segments[index].logitRow) { choose($0, for: round.plan.segments[index].sequence, with: seat) }
            seat.chosen.append((index, outcome))
        }
    }

    private func choose(_ row: Span<Float>, for sequence: ScheduledSequence, with seat: SamplingSeat) -> SampleOutcome {
        let sampling = sequence.request.sampling
        do throws(SamplingError) {
            let sampled = try seat.sampler.sample(
                row, parameters: sampling, history: sampling.penalizes ? history(of: sequence) : nil, position: sequence.generated.count)
            return .token(sampled.token, logprob: sampled.logprob, alternatives: sampled.alternatives)
        } catch {
            return .failed(error.description)
        }
    }

    /// What penalties need to know of a sequence; kept with it and brought up to date from its tokens.
    private func history(of sequence: ScheduledSequence) -> TokenHistory {
        let kept = sequence.modelState as? PenaltyState ?? PenaltyState(prompt: sequence.request.prompt)
        while kept.count < sequence.generated.count {
            kept.history.append(sequence.generated[kept.count])
            kept.count += 1
        }
        sequence.modelState = kept
        return kept.history
    }
}

/// A sampler and what it has chosen in this step. One thread at a time.
private final class SamplingSeat {
    var sampler: Sampler
    var chosen: [(segment: Int, outcome: SampleOutcome)] = []

    init(_ sampler: Sampler) { self.sampler = sampler }
}

/// What the threads of a team need to share out the sampling of one step.
private struct SamplingRound: @unchecked Sendable {
    // Sendable by argument: `run` returns after its last chunk, and meanwhile nobody writes but chunk i to seat i and to the states of
    // the sequences whose place is i modulo `seats`.
    let runner: ModelRunner
    let plan: StepPlan
    /// Indices of the segments that sample.
    let segments: [Int]
    let seats: Int
}

private final class PenaltyState {
    var history: TokenHistory
    var count = 0

    init(prompt: [TokenID]) { history = TokenHistory(prompt: prompt) }
}
