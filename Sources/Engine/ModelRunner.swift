internal import Inference
internal import Kernels
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
    private var sampler: Sampler

    /// - Parameter pages: KV pages to take memory for. `model.limits.logitRows` bounds how many sequences may sample in a step.
    /// - Throws: `FileError` when the system refuses the memory.
    package init(model: DecoderModel, pages: Int) throws(FileError) {
        self.model = model
        memory = try KeyValueMemory(geometry: model.weights.keyValueGeometry, pages: pages)
        logits = try model.logitMatrix(rows: model.limits.logitRows)
        sampler = Sampler(vocabulary: model.shape.vocabulary)
    }

    package func run(_ plan: StepPlan) -> [SampleOutcome?] {
        for page in plan.freshPages { memory.zero(page: page) }
        batch.removeAll()
        for segment in plan.segments {
            batch.append(plan.tokens[segment.rows], position: segment.position, pages: segment.pages, logits: segment.samples ? .last : .none)
        }
        model.forward(batch, memory: memory, into: &logits)
        return sample(plan)
    }

    private func sample(_ plan: StepPlan) -> [SampleOutcome?] {
        var outcomes = [SampleOutcome?](repeating: nil, count: plan.segments.count)
        for (index, segment) in plan.segments.enumerated() where segment.samples {
            outcomes[index] = logits.withRow(batch.segments[index].logitRow) { row in choose(row, for: segment.sequence) }
        }
        return outcomes
    }

    private func choose(_ row: Span<Float>, for sequence: ScheduledSequence) -> SampleOutcome {
        let sampling = sequence.request.sampling
        do throws(SamplingError) {
            let sampled = try sampler.sample(
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

private final class PenaltyState {
    var history: TokenHistory
    var count = 0

    init(prompt: [TokenID]) { history = TokenHistory(prompt: prompt) }
}
