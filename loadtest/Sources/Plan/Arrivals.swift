internal import Glibc
internal import Platform

/// The intended times of sending, one after the other, from the measurement's start. O(1) memory.
///
/// The gaps are vLLM's (`get_request` of `vllm bench serve`): gamma with shape `burstiness` and mean 1/rate, the first before the first
/// request; and where the rate is constant and the number of requests known, all times are stretched by one factor so that the last is
/// exactly number/rate: a run's rate is then the one that was asked for, whatever the seed.
struct Arrivals: Sendable {
    private let settings: ArrivalSettings
    private let seed: UInt64
    /// Nil: not known.
    private let count: Int?
    private var stretch = 1.0
    private var index = 0
    private var seconds = 0.0

    /// Times for `count` requests; nil: without end.
    init(_ settings: ArrivalSettings, count: Int?, seed: UInt64) throws(PlanError) {
        try Self.check(settings, count: count)
        self.settings = settings
        self.seed = seed
        self.count = count
        guard let count, count > 0, settings.rampUpStrategy == nil, settings.requestRate.isFinite else { return }
        var sum = 0.0
        for index in 0..<count { sum += gap(index) }
        // The gaps of a very small shape may all be zero.
        if sum > 0 { stretch = Double(count) / settings.requestRate / sum }
    }

    /// Nil in a closed loop.
    mutating func next() -> Duration? {
        if isClosedLoop { return nil }
        seconds += gap(index) * stretch
        index += 1
        return .nanoseconds(Int64((seconds * 1e9).rounded()))
    }

    /// No rate and a bound on requests in flight: the next is sent when one has ended.
    var isClosedLoop: Bool { settings.rampUpStrategy == nil && settings.requestRate == .infinity && settings.maxConcurrency != nil }

    private func gap(_ index: Int) -> Double {
        let rate = rate(at: index)
        if rate == .infinity { return 0 }
        if settings.burstiness == .infinity { return 1 / rate }
        var draw = Draw(seed: seed, .arrival, index)
        return draw.gamma(shape: settings.burstiness) / (rate * settings.burstiness)
    }

    private func rate(at index: Int) -> Double {
        guard let ramp = settings.rampUpStrategy, let start = settings.rampUpStartRps, let end = settings.rampUpEndRps else {
            return settings.requestRate
        }
        let progress =
            if let duration = settings.rampUpDuration { min(1, seconds / duration.inSeconds) } else {
                Double(index) / Double(max(1, count! - 1))
            }
        return switch ramp {
        case .linear: start + (end - start) * progress
        case .exponential: start * pow(end / start, progress)
        }
    }

    private static func check(_ settings: ArrivalSettings, count: Int?) throws(PlanError) {
        guard settings.requestRate > 0 else {
            throw .setting("--request-rate", "\(settings.requestRate)", expected: "a positive number or inf")
        }
        guard settings.burstiness > 0 else {
            throw .setting("--burstiness", "\(settings.burstiness)", expected: "a positive number or inf")
        }
        if let most = settings.maxConcurrency, most < 1 { throw .setting("--max-concurrency", "\(most)", expected: "1 or more") }
        guard let ramp = settings.rampUpStrategy else {
            guard settings.rampUpStartRps == nil, settings.rampUpEndRps == nil else {
                throw PlanError("--ramp-up-start-rps and --ramp-up-end-rps ask for --ramp-up-strategy linear or exponential")
            }
            return
        }
        for (name, value) in [("--ramp-up-start-rps", settings.rampUpStartRps), ("--ramp-up-end-rps", settings.rampUpEndRps)] {
            guard let value else { throw PlanError("\(name) is missing, --ramp-up-strategy \(ramp.rawValue) asks for it") }
            guard value > 0, value.isFinite else { throw .setting(name, "\(value)", expected: "a positive number") }
        }
        guard count != nil || settings.rampUpDuration != nil else {
            throw PlanError("--ramp-up-strategy \(ramp.rawValue) asks for a number of requests or for --ramp-up-duration")
        }
        if let duration = settings.rampUpDuration, duration <= .zero {
            throw .setting("--ramp-up-duration", "\(duration)", expected: "more than 0 s")
        }
    }
}
