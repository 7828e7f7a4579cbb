/// Bounds on a worker's batches.
package struct SchedulerLimits: Sendable, Equatable {
    /// Tokens in one step. Decoding sequences take one each, the rest goes to prefill chunks: smaller steps mean steadier
    /// streams, larger ones faster prefill.
    package var stepTokens: Int
    /// Sequences that hold pages at once. Beyond it they wait.
    package var runningSequences: Int
    /// Sequences that wait. Beyond it an arrival ends at once with `failed`; admission in front keeps this from happening.
    package var waitingSequences: Int
    /// The most tokens one sequence may have: the model's context or all pages, whichever is less.
    package var sequenceTokens: Int

    /// Offers to other workers open at once, prefills under way and finished ones. Beyond it, sequences to be handed off wait.
    package var exports: Int
    /// Sequences whose KV arrives at once. Beyond it they wait.
    package var imports: Int

    package init(
        stepTokens: Int = 512, runningSequences: Int = 256, waitingSequences: Int = 4096, sequenceTokens: Int, exports: Int = 64, imports: Int = 64
    ) {
        precondition(stepTokens > 0 && runningSequences > 0 && waitingSequences > 0 && sequenceTokens > 1, "empty limits")
        precondition(exports > 0 && imports > 0, "no place for a hand-off")
        self.stepTokens = stepTokens
        self.runningSequences = runningSequences
        self.waitingSequences = waitingSequences
        self.sequenceTokens = sequenceTokens
        self.exports = exports
        self.imports = imports
    }
}
