internal import Histogram
internal import Platform

/// How a run is doing, for whoever watches.
struct Progress: Sendable {
    var elapsed: Duration = .zero
    var sent = 0
    var inFlight = 0
    var done = 0
    var failed = 0
    var refused = 0
    /// Chunks of content; about tokens.
    var chunks = 0
    /// The worst lateness of the last samples.
    var lag: Duration = .zero
    /// Microseconds.
    private var firstTokens = Histogram<UInt64>(lowestDiscernibleValue: 1, highestTrackableValue: 3_600_000_000, numberOfSignificantValueDigits: .two)

    mutating func note(firstToken latency: Duration) {
        _ = firstTokens.record(UInt64(max(1, min(3_600_000_000, latency.inNanoseconds / 1000))))
    }

    mutating func note(_ outcome: Outcome) {
        switch outcome {
        case .completed: done += 1
        case .refused: refused += 1
        case .broken, .failed, .late: failed += 1
        case .troubled, .unfinished: break
        }
    }

    /// Time to the first token of so many percent of those that have one.
    func firstToken(percentile: Double) -> Duration? {
        firstTokens.totalCount == 0 ? nil : .microseconds(Int64(firstTokens.valueAtPercentile(percentile)))
    }
}
