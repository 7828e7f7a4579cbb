/// Two results side by side: B by A for every figure, with a 95 % interval where the files allow one.
package struct Comparison: Sendable {
    package enum Verdict: String, Sendable {
        case better, worse
        /// The interval holds 1.
        case same = "not told apart"
        /// Outside the interval, but neither more nor less is better.
        case different
        /// No interval.
        case unknown = "no interval"
    }

    package enum Method: String, Sendable {
        /// Of Student's t over the runs of each file.
        case repeats
        /// 2.5 % and 97.5 % quantiles of resampled runs.
        case bootstrap
        case none
    }

    package struct Line: Sendable {
        package var key: String
        package var a: Double
        package var b: Double
        /// Nil where A is 0.
        package var ratio: Double?
        package var interval: ClosedRange<Double>?
        package var method = Method.none
        package var verdict = Verdict.unknown
    }

    package private(set) var lines: [Line] = []
    /// Keys that only one of the files has.
    package private(set) var onlyInA: [String] = []
    package private(set) var onlyInB: [String] = []
    package let runs: (a: Int, b: Int)

    package init(_ a: ResultFile, _ b: ResultFile, seed: UInt64 = 0) {
        runs = (a.runs.count, b.runs.count)
        let first = Repeats(a.runs.map(\.figures)).estimates
        let second = Repeats(b.runs.map(\.figures)).estimates
        let known = Dictionary(second.map { ($0.key, $0) }) { first, _ in first }
        onlyInA = first.map(\.key).filter { known[$0] == nil }
        onlyInB = second.map(\.key).filter { key in !first.contains { $0.key == key } }
        var resampled: [String: ClosedRange<Double>] = [:]
        if runs.a == 1, runs.b == 1, let before = a.runs[0].details, let after = b.runs[0].details {
            let ratios = first.compactMap { estimate in
                known[estimate.key].flatMap { estimate.mean == 0 ? nil : (estimate.key, $0.mean / estimate.mean) }
            }
            resampled = ResultResampling.intervals(before, after, ratios: Dictionary(ratios) { first, _ in first }, seed: seed)
        }
        for estimate in first {
            guard let other = known[estimate.key] else { continue }
            lines.append(Self.line(estimate, other, resampled[estimate.key]))
        }
    }

    private static func line(_ a: Repeats.Estimate, _ b: Repeats.Estimate, _ resampled: ClosedRange<Double>?) -> Line {
        var line = Line(key: a.key, a: a.mean, b: b.mean)
        guard a.mean != 0 else { return line }
        let ratio = b.mean / a.mean
        line.ratio = ratio
        if a.values.count > 1, b.values.count > 1 {
            line.method = .repeats
            line.interval = interval(ratio, a, b)
        } else if let resampled {
            line.method = .bootstrap
            line.interval = resampled
        }
        if let interval = line.interval { line.verdict = verdict(a.key, interval) }
        return line
    }

    /// Of the ratio of two means: relative variances add, and Welch's degrees of freedom follow from them.
    private static func interval(_ ratio: Double, _ a: Repeats.Estimate, _ b: Repeats.Estimate) -> ClosedRange<Double> {
        func part(_ estimate: Repeats.Estimate) -> Double {
            guard estimate.mean != 0 else { return 0 }
            let relative = estimate.standardError / estimate.mean
            return relative * relative
        }
        let parts = [(part(a), a.values.count), (part(b), b.values.count)]
        let variance = parts.reduce(0) { $0 + $1.0 }
        guard variance > 0 else { return ratio...ratio }
        let degrees = variance * variance / parts.reduce(0) { $0 + $1.0 * $1.0 / Double($1.1 - 1) }
        let half = StudentT.quantile95(degrees: degrees) * ratio.magnitude * variance.squareRoot()
        return (ratio - half)...(ratio + half)
    }

    private static func verdict(_ key: String, _ interval: ClosedRange<Double>) -> Verdict {
        if interval.contains(1) { return .same }
        let isMore = interval.lowerBound > 1
        return switch direction(key) {
        case .more: isMore ? .better : .worse
        case .less: isMore ? .worse : .better
        case .neither: .different
        }
    }

    private enum Direction { case more, less, neither }

    private static func direction(_ key: String) -> Direction {
        if key.hasSuffix("_ms") || key == "failed" { return .less }
        if key.hasPrefix("std_") || key.hasSuffix("tokens_per_chunk") { return .neither }
        if key.contains("throughput") || key.contains("goodput") || key == "completed" || key == "max_output_tokens_per_s"
            || key == "kv_ratio"
        {
            return .more
        }
        return .neither
    }
}
