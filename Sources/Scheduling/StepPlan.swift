package import Inference

/// What one forward pass will do: a value made by the scheduler, read by the model.
package struct StepPlan {
    /// The tokens of all segments, one after the other: the rows of the pass.
    package internal(set) var tokens: [TokenID] = []
    package internal(set) var segments: [PlannedSegment] = []
    /// Pages handed out for this step. They hold garbage: the model zeroes them before it writes.
    package internal(set) var freshPages: [PageIndex] = []

    /// Sequences to be handed off that were admitted for the first time.
    package internal(set) var began: [SequenceID] = []

    package var isEmpty: Bool { segments.isEmpty }
}

/// A run of consecutive tokens of one sequence within a step.
package struct PlannedSegment {
    package let sequence: ScheduledSequence
    /// Where its tokens lie in the plan.
    package let rows: Range<Int>
    /// Position of the first of them in the sequence.
    package let position: Int
    /// The pages of the sequence, enough for `position + rows.count` tokens.
    package let pages: [PageIndex]
    /// True when the last row's logits choose the next token; false for all but the last chunk of a prefill.
    package let samples: Bool
}

/// What became of a segment that samples.
package enum SampleOutcome: Sendable, Equatable {
    case token(TokenID, logprob: Float?, alternatives: [TokenLogprob])
    /// The logits were unusable; the text is for the client.
    case failed(String)
}
