package import Scheduling

/// The port to the model: what a worker needs computed, and nothing of how.
///
/// Called on the worker's thread only, one call at a time.
package protocol StepModel: AnyObject {
    /// Zeroes the plan's fresh pages, runs all its rows through the model, writes their KV, and chooses the next token of
    /// each segment that samples. `result[i]` belongs to `plan.segments[i]`, nil where it does not sample.
    ///
    /// Never fails as a whole: logits that are not numbers fail their own segment.
    /// - Parameter layerDone: called for each layer, in order, as soon as the KV of all rows is in place.
    func run(_ plan: StepPlan, layerDone: (Int) -> Void) -> [SampleOutcome?]

    /// There is nothing to compute for now. What only waits for the next step may sleep.
    func rest()
}

extension StepModel {
    package func run(_ plan: StepPlan) -> [SampleOutcome?] { run(plan) { _ in } }
    package func rest() {}
}
