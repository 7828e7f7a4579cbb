/// When requests are sent; each property is the flag of the same name.
package struct ArrivalSettings: Sendable, Equatable {
    /// Requests (or, with sessions, first turns) a second; infinite: all at once, or, with `maxConcurrency`, whenever a place is free.
    package var requestRate: Double = .infinity
    /// Shape of the gamma distribution of the gaps, whose mean stays 1/rate: 1 is a Poisson process, less is burstier, infinite is a
    /// constant gap.
    package var burstiness: Double = 1
    /// Most requests in flight. A closed loop where the rate is infinite; otherwise requests wait for a place, and their latencies
    /// still count from when they were due.
    package var maxConcurrency: Int?
    package var rampUpStrategy: Ramp?
    package var rampUpStartRps: Double?
    package var rampUpEndRps: Double?
    /// How long the ramp takes; nil: as vLLM, over all requests of the plan.
    package var rampUpDuration: Duration?
    /// Traces with timestamps: sent at those, divided by `WorkloadSettings.traceSpeed`.
    package var selfTimed = false

    package enum Ramp: String, Sendable, CaseIterable {
        case linear, exponential
    }

    package init() {}
}
