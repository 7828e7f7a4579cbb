internal import Foundation
internal import Kernels

/// What predictions from reconstructed KV are beside those from exact KV, over the positions of one window.
struct PredictionSums: Equatable {
    /// Of each position: the divergence of the reconstructed distribution from the exact one, in nats.
    var divergences: [Double] = []
    /// Positions at which both think the same token the likeliest.
    var agreed = 0
    /// Σ −log p of the text's tokens.
    var exactSurprise = 0.0
    var surprise = 0.0

    var positions: Int { divergences.count }

    /// Adds one position.
    ///
    /// - Parameters:
    ///   - exact, other: logits.
    ///   - next: the token that the text has there.
    mutating func add(exact: Span<Float>, other: Span<Float>, next: Int, scan: LogitScan) {
        let (first, second) = (scan.largest(of: exact), scan.largest(of: other))
        let sums = (
            Double(first.value) + scan.logSumOfExponentials(exact, minus: first.value),
            Double(second.value) + scan.logSumOfExponentials(other, minus: second.value)
        )
        var divergence = 0.0
        for token in exact.indices {
            let logarithm = Double(exact[token]) - sums.0
            divergence += exp(logarithm) * (logarithm - (Double(other[token]) - sums.1))
        }
        // Rounding may take what is almost nothing below nothing.
        divergences.append(max(divergence, 0))
        if first.index == second.index { agreed += 1 }
        exactSurprise += sums.0 - Double(exact[next])
        surprise += sums.1 - Double(other[next])
    }
}

/// The same over all windows, with intervals.
struct PredictionFigure {
    var divergence = 0.0
    var divergenceInterval: Interval?
    /// The 99th percentile over positions.
    var worst = 0.0
    var worstInterval: Interval?
    /// Share of positions for which both think the same token the likeliest.
    var agreement = 0.0
    var agreementInterval: Interval?
    /// 0.01: one percent more.
    var perplexityChange = 0.0
    var perplexityInterval: Interval?
    var exactPerplexity = 0.0
    var positions = 0
    var windows = 0

    /// - Parameter windows: of at least one position together.
    init(_ windows: [PredictionSums], bootstrap: Bootstrap = Bootstrap()) {
        let all = Array(windows.indices)
        let totals = windows.map { $0.divergences.reduce(0, +) }
        func share(_ drawn: [Int], _ part: (Int) -> Double) -> Double {
            let positions = drawn.reduce(0) { $0 + windows[$1].positions }
            return positions == 0 ? 0 : drawn.reduce(0) { $0 + part($1) } / Double(positions)
        }
        func worst(_ drawn: [Int]) -> Double {
            var values: [Double] = []
            for index in drawn { values += windows[index].divergences }
            return values.isEmpty ? 0 : Bootstrap.quantile(0.99, of: values.sorted())
        }
        func change(_ drawn: [Int]) -> Double { exp(share(drawn) { windows[$0].surprise - windows[$0].exactSurprise }) - 1 }
        func interval(_ statistic: ([Int]) -> Double) -> Interval? { bootstrap.interval(units: windows.count, statistic) }
        divergence = share(all) { totals[$0] }
        divergenceInterval = interval { share($0) { totals[$0] } }
        self.worst = worst(all)
        var rough = bootstrap
        rough.resamples = min(bootstrap.resamples, 200)
        worstInterval = rough.interval(units: windows.count, worst)
        agreement = share(all) { Double(windows[$0].agreed) }
        agreementInterval = interval { share($0) { Double(windows[$0].agreed) } }
        perplexityChange = change(all)
        perplexityInterval = interval(change)
        exactPerplexity = exp(share(all) { windows[$0].exactSurprise })
        positions = windows.reduce(0) { $0 + $1.positions }
        self.windows = windows.count
    }
}
