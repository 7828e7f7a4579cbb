internal import Inference
internal import KVCache
package import Platform
package import Wire

extension Scheduler {
    /// Takes in what the step chose: `outcomes[i]` belongs to `plan.segments[i]` and is nil where it does not sample.
    ///
    /// - Returns: the tokens and endings to report, in the order of the plan.
    package mutating func complete(_ plan: StepPlan, outcomes: [SampleOutcome?], now: MonotonicInstant) -> StepReport {
        precondition(outcomes.count == plan.segments.count, "\(outcomes.count) outcomes for \(plan.segments.count) segments")
        var report = StepReport()
        for (segment, outcome) in zip(plan.segments, outcomes) {
            let sequence = segment.sequence
            let decoded = segment.rows.count == 1 && !sequence.generated.isEmpty
            if !decoded { prefillTokens += UInt64(segment.rows.count) }
            if case .failed(let reason) = outcome {
                // What such logits came from must not become somebody's prefix.
                if let table = sequence.table.take() { cache.discard(table) }
                end(sequence, .failed(reason), now: now)
                continue
            }
            advance(sequence, by: segment.rows.count)
            guard segment.samples else { continue }
            switch outcome {
            case .token(let token, let logprob, let alternatives):
                sequence.append(token, now: now)
                generatedTokens += 1
                report.tokens.append(
                    TokenEvent(sequence: sequence.id, index: sequence.generated.count - 1, token: token, logprob: logprob, alternatives: alternatives))
                if let reason = finish(sequence, after: token) {
                    end(sequence, reason, now: now)
                } else if sequence.endsWithFirstToken {
                    handOff(sequence, token, now: now)
                }
            case .failed, nil: preconditionFailure("\(sequence.id) was to choose a token and did not")
            }
        }
        report.endings = takeEndings()
        report.load = load
        return report
    }

    /// Endings that have not been reported yet: refusals, cancels, late requests.
    package mutating func takeEndings() -> [SequenceEnding] {
        defer { endings.removeAll(keepingCapacity: true) }
        return endings
    }

    mutating func advance(_ sequence: ScheduledSequence, by count: Int) {
        sequence.computed += count
        guard var table = sequence.table.take() else { preconditionFailure("\(sequence.id) was computed without pages") }
        cache.seal(&table, tokens: sequence.token(at:), computed: sequence.computed)
        sequence.table = consume table
    }

    func finish(_ sequence: ScheduledSequence, after token: TokenID) -> FinishReason? {
        if sequence.request.sampling.stopTokens.contains(token) { return .stop(token) }
        if sequence.generated.count >= sequence.request.sampling.maxTokens { return .length }
        if sequence.count >= limits.sequenceTokens { return .length }
        return nil
    }
}
