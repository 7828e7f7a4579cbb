package import Wire

/// How fast a worker has been lately, learnt from the totals in its reports. A value; whoever predicts asks it.
package struct WorkerPace: Sendable, Equatable {
    /// Tokens a second through the model while prefills ran; nil before the first.
    package private(set) var prefillRate: Double?
    /// Seconds of a step without prefill; nil before the first.
    package private(set) var decodeStep: Double?
    private var last: WorkerLoad?

    /// The share of a new observation: some twenty steps are remembered, which follows a change of load within a second.
    private static let weight = 0.1

    package init() {}

    /// Takes in the totals of a report; those of a younger life of the worker begin anew.
    package mutating func observe(_ load: WorkerLoad) {
        defer { last = load }
        guard let last, load.steps > last.steps, load.stepTime > last.stepTime, load.prefillTokens >= last.prefillTokens,
            load.generatedTokens >= last.generatedTokens
        else { return }
        let (time, steps) = ((load.stepTime - last.stepTime).seconds, Double(load.steps - last.steps))
        let prefilled = Double(load.prefillTokens - last.prefillTokens)
        if prefilled > 0 {
            // Small prefills say more about the cost of a step than about tokens.
            guard prefilled >= 32 * steps else { return }
            Self.blend(prefilled / time, into: &prefillRate)
        } else if load.generatedTokens > last.generatedTokens {
            Self.blend(time / steps, into: &decodeStep)
        }
    }

    private static func blend(_ value: Double, into average: inout Double?) {
        average = average.map { $0 + (value - $0) * weight } ?? value
    }

    /// Seconds to prefill `tokens`; by a modest guess before anything was measured.
    package func prefillTime(_ tokens: Int) -> Double { Double(tokens) / (prefillRate ?? 1000) }
}

extension Duration {
    var seconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}
