/// The part of a run in which the server is neither filling up nor running empty: from the first end of a completed request to the last
/// sending of one. Rates count what happened in it; latencies are those of requests that were due in it.
package struct SteadyState: Sendable {
    package let began: Duration
    package let ended: Duration
    package private(set) var completed = 0
    package private(set) var outputTokens = 0
    package private(set) var spreads: [Measure: Spread] = [:]

    package static let measures: [Measure] = [.ttft, .tpot, .itl, .e2el]

    /// Nil where no request was sent after one had ended: a single burst has no such part.
    init?(_ requests: [RequestRecord]) {
        let ends = requests.lazy.filter { $0.outcome == .completed }.compactMap(\.ended)
        guard let first = ends.min(), let last = requests.compactMap(\.sent).max(), first < last else { return nil }
        began = first
        ended = last
        let window = first.nanosecondCount..<last.nanosecondCount
        var tallies: [Measure: Tally] = [:]
        for record in requests where record.outcome == .completed {
            if let end = record.ended, window.contains(end.nanosecondCount) { completed += 1 }
            for (time, tokens) in zip(record.content.nanoseconds, record.content.tokens) where window.contains(time) {
                outputTokens += Int(tokens)
            }
            guard window.contains(record.due.nanosecondCount) else { continue }
            RequestMeasures(record).forEach { measure, value in
                if Self.measures.contains(measure) { tallies[measure, default: Tally()].add(value) }
            }
        }
        for (measure, tally) in tallies { spreads[measure] = tally.spread(percentiles: Figures.percentiles)?.divided(by: measure.divisor) }
    }

    package var seconds: Double { Double((ended - began).nanosecondCount) / 1e9 }
    package var requestThroughput: Double { Double(completed) / seconds }
    package var outputThroughput: Double { Double(outputTokens) / seconds }
}
