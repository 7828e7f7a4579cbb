package import Inference

/// What one forward pass will do: a value made by the scheduler, read by the model.
package struct StepPlan {
    /// The tokens of all segments, one after the other: the rows of the pass.
    package internal(set) var tokens: [TokenID] = []
    package internal(set) var segments: [PlannedSegment] = []
    /// Pages handed out for this step. They hold garbage: the model zeroes them before it writes.
    package internal(set) var freshPages: [PageIndex] = []

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
    case token(TokenID, logprob: Float?, alternatives: [(TokenID, Float)])
    /// The logits were unusable; the text is for the client.
    case failed(String)

    package static func == (a: Self, b: Self) -> Bool {
        switch (a, b) {
        case (.token(let x, let p, let xs), .token(let y, let q, let ys)):
            x == y && p == q && xs.elementsEqual(ys) { $0.0 == $1.0 && $0.1 == $1.1 }
        case (.failed(let x), .failed(let y)): x == y
        case (.token, .failed), (.failed, .token): false
        }
    }
}
