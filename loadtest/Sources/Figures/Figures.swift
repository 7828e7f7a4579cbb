/// What a run's record says: counts, throughputs and the spread of every measure. Warm-ups are nowhere in it.
package struct Figures: Sendable {
    package static let percentiles: [Double] = [1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9]

    /// Seconds of the measurement.
    package let duration: Double
    package let counts: Counts
    package let objectives: Objectives
    package private(set) var spreads: [Measure: Spread] = [:]
    package private(set) var totals = Totals()
    /// Completed requests that keep all objectives.
    package private(set) var good = 0
    package private(set) var transfers = Transfers()
    /// Output tokens of the busiest second, counted from the first request on; of completed requests.
    package private(set) var mostTokensPerSecond = 0
    /// Completed requests in flight at once, at most.
    package let mostConcurrent: Int
    package let steady: SteadyState?
    package let server: ServerFigures
    package let harness: HarnessLoad

    package struct Totals: Sendable, Equatable {
        package var inputTokens = 0
        package var outputTokens = 0
        package var cachedTokens = 0
        /// Also those of answers that did not end well.
        package var deliveredTokens = 0
        package var bodyBytes = 0
    }

    /// KV handed from worker to worker, as answers report it.
    package struct Transfers: Sendable, Equatable {
        package var count = 0
        package var rawBytes = 0
        package var sentBytes = 0
        package var byProfile: [String: Int] = [:]

        package var ratio: Double? { sentBytes > 0 ? Double(rawBytes) / Double(sentBytes) : nil }
    }

    /// `percentiles` beside those that are always there, for the report's own.
    package init(_ record: RunRecord, objectives: Objectives = Objectives(), percentiles: [Double] = []) {
        let wanted = Set(Self.percentiles + percentiles).sorted()
        let measured = record.requests.filter { !$0.isWarmup }
        duration = max(0, Double((record.ended - record.began).nanosecondCount) / 1e9)
        counts = Counts(measured)
        self.objectives = objectives
        mostConcurrent = InFlight.most(measured)
        steady = SteadyState(measured)
        // From the last reading before the beginning: what grew since then grew in the run.
        let first = record.scrapes.lastIndex { $0.at <= record.began } ?? 0
        server = ServerFigures(Array(record.scrapes.dropFirst(first)))
        harness = HarnessLoad(record, seconds: duration)
        add(measured, percentiles: wanted)
    }

    private mutating func add(_ measured: [RequestRecord], percentiles: [Double]) {
        var tallies: [Measure: Tally] = [:]
        var seconds: [Int: Int] = [:]
        let start = measured.lazy.filter { $0.outcome == .completed }.map(\.due).min() ?? .zero
        for record in measured {
            totals.deliveredTokens += record.content.tokens.reduce(0) { $0 + Int($1) }
            totals.bodyBytes += record.bodyBytes
            guard record.outcome == .completed else { continue }
            let request = RequestMeasures(record)
            request.forEach { tallies[$0, default: Tally()].add($1) }
            totals.inputTokens += record.inputTokens ?? 0
            totals.outputTokens += request.outputTokens
            totals.cachedTokens += record.cachedTokens ?? 0
            if objectives.isMet(by: request) { good += 1 }
            for (time, tokens) in zip(record.content.nanoseconds, record.content.tokens) {
                seconds[Int((time - start.nanosecondCount) / 1_000_000_000), default: 0] += Int(tokens)
            }
            if let transfer = record.server?.transfer {
                transfers.count += 1
                transfers.rawBytes += transfer.rawBytes
                transfers.sentBytes += transfer.sentBytes
                transfers.byProfile[transfer.profile, default: 0] += 1
            }
        }
        mostTokensPerSecond = seconds.values.max() ?? 0
        for (measure, tally) in tallies { spreads[measure] = tally.spread(percentiles: percentiles)?.divided(by: measure.divisor) }
    }

    package var requestThroughput: Double { rate(counts.completed) }
    package var outputThroughput: Double { rate(totals.outputTokens) }
    package var totalTokenThroughput: Double { rate(totals.inputTokens + totals.outputTokens) }
    /// Nil without objectives.
    package var requestGoodput: Double? { objectives.isEmpty ? nil : rate(good) }
    /// Of all requests but those whose clients made trouble. Nil without objectives.
    package var goodputShare: Double? {
        let asked = counts.measured - counts.troubled
        return objectives.isEmpty || asked == 0 ? nil : Double(good) / Double(asked)
    }

    private func rate(_ count: Int) -> Double { duration > 0 ? Double(count) / duration : 0 }
}
