package import Scheduling

/// The port to the model: what a worker needs computed, and nothing of how.
///
/// Called on the worker's thread only, one call at a time.
package protocol StepModel: AnyObject {
    /// Zeroes the plan's fresh pages, runs all its rows through the model, writes their KV, and chooses the next token of
    /// each segment that samples. `result[i]` belongs to `plan.segments[i]`, nil where it does not sample.
    ///
    /// Never fails as a whole: logits that are not numbers fail their own segment.
    func run(_ plan: StepPlan) -> [SampleOutcome?]
}
