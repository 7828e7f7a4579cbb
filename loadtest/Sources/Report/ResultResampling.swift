/// Bootstrapped intervals of the ratios between two runs with details. Latencies are resampled by request; rates by twentieths of the run,
/// because what a server does in one moment is alike.
enum ResultResampling {
    private static let slices = 20
    private static let rates = ["request_throughput", "output_throughput", "total_token_throughput", "request_goodput"]

    /// `ratios` are those of the figures by their keys.
    static func intervals(
        _ a: ResultDetails, _ b: ResultDetails, ratios: [String: Double], seed: UInt64
    ) -> [String: ClosedRange<Double>] {
        guard !a.requests.isEmpty, !b.requests.isEmpty else { return [:] }
        var intervals = spreads(a, b, keys: Array(ratios.keys), seed: seed)
        for (index, key) in rates.enumerated() {
            guard let ratio = ratios[key], let relative = rate(index, a, b, seed: seed) else { continue }
            intervals[key] = ratio * relative.lowerBound...ratio * relative.upperBound
        }
        return intervals
    }

    private static let measures: [(stem: String, values: @Sendable (ResultDetails.Request) -> [Double])] = [
        ("ttft_ms", { [$0.ttft] }), ("e2el_ms", { [$0.latency] }), ("tpot_ms", { $0.tpot.map { [$0] } ?? [] }), ("itl_ms", { $0.gaps }),
        ("client_queue_time_ms", { $0.queue.map { [$0] } ?? [] }),
        ("ttft_sent_ms", { request in request.queue.map { [max(0, request.ttft - $0)] } ?? [] }),
        ("user_throughput", { $0.tpot.flatMap { $0 > 0 ? [1 / $0] : nil } ?? [] }),
    ]

    private static func spreads(_ a: ResultDetails, _ b: ResultDetails, keys: [String], seed: UInt64) -> [String: ClosedRange<Double>] {
        var intervals: [String: ClosedRange<Double>] = [:]
        for (place, measure) in measures.enumerated() {
            let words = keys.filter { $0.hasSuffix("_" + measure.stem) }.map { String($0.dropLast(measure.stem.count + 1)) }
            let percentiles = Set(words.compactMap(percentile)).sorted()
            let before = Resampling(a.requests.map(measure.values))
            let after = Resampling(b.requests.map(measure.values))
            guard !words.isEmpty, !before.isEmpty, !after.isEmpty else { continue }
            var ratios: [String: [Double]] = [:]
            var drawA = Draw(seed: seed, .resample, 2 * place)
            var drawB = Draw(seed: seed, .resample, 2 * place + 1)
            let values = (a.requests + b.requests).reduce(0) { $0 + measure.values($1).count }
            for _ in 0..<Resampling.rounds(values: values) {
                guard let first = before.resample(&drawA, percentiles: percentiles),
                    let second = after.resample(&drawB, percentiles: percentiles)
                else { continue }
                for word in words {
                    let (x, y) = (value(word, first, percentiles), value(word, second, percentiles))
                    if x > 0 { ratios[word, default: []].append(y / x) }
                }
            }
            for (word, list) in ratios { intervals[word + "_" + measure.stem] = interval(list) }
        }
        return intervals
    }

    private static func percentile(_ word: String) -> Double? {
        word == "median" ? 50 : word.hasPrefix("p") ? Double(word.dropFirst()) : nil
    }

    private static func value(_ word: String, _ statistics: Resampling.Statistics, _ percentiles: [Double]) -> Double {
        switch word {
        case "mean": statistics.mean
        case "std": statistics.deviation
        default: percentile(word).flatMap { percentiles.firstIndex(of: $0) }.map { statistics.percentiles[$0] } ?? 0
        }
    }

    /// Of the resampled ratio by the one that was found.
    private static func rate(_ index: Int, _ a: ResultDetails, _ b: ResultDetails, seed: UInt64) -> ClosedRange<Double>? {
        let before = amounts(index, a)
        let after = amounts(index, b)
        let found = (before.reduce(0, +), after.reduce(0, +))
        guard found.0 > 0, found.1 > 0 else { return nil }
        var drawA = Draw(seed: seed, .resample, 100 + 2 * index)
        var drawB = Draw(seed: seed, .resample, 101 + 2 * index)
        func sum(_ amounts: [Double], _ draw: inout Draw) -> Double {
            amounts.reduce(0) { sum, _ in sum + amounts[draw.integer(in: 0...(amounts.count - 1))] }
        }
        var ratios: [Double] = []
        for _ in 0..<2000 {
            let x = sum(before, &drawA) / found.0
            let y = sum(after, &drawB) / found.1
            if x > 0 { ratios.append(y / x) }
        }
        return ratios.isEmpty ? nil : interval(ratios)
    }

    /// What ended in each slice of the run.
    private static func amounts(_ index: Int, _ details: ResultDetails) -> [Double] {
        let length = details.requests.map(\.end).max() ?? 0
        var amounts = [Double](repeating: 0, count: slices)
        for request in details.requests {
            let slice = length > 0 ? min(slices - 1, Int(request.end / length * Double(slices))) : 0
            amounts[slice] += amount(index, request, details.objectives)
        }
        return amounts
    }

    private static func amount(_ index: Int, _ request: ResultDetails.Request, _ objectives: [String: Double]) -> Double {
        switch index {
        case 0: 1
        case 1: Double(request.outputTokens)
        case 2: Double(request.inputTokens + request.outputTokens)
        default: isGood(request, objectives) ? 1 : 0
        }
    }

    private static func isGood(_ request: ResultDetails.Request, _ objectives: [String: Double]) -> Bool {
        let measured = ["ttft": request.ttft, "tpot": request.tpot ?? 0, "e2el": request.latency]
        return objectives.allSatisfy { (measured[$0.key] ?? 0) * 1000 <= $0.value }
    }

    private static func interval(_ ratios: [Double]) -> ClosedRange<Double> {
        let sorted = ratios.sorted()
        func quantile(_ share: Double) -> Double { sorted[Int((share * Double(sorted.count - 1)).rounded())] }
        return quantile(0.025)...quantile(0.975)
    }
}
