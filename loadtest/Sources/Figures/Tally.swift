internal import Histogram

/// Counts values of one measure in billionths of its unit: nanoseconds for times.
///
/// Mean and deviation come from exact sums. Percentiles are exact up to 100,000 values, as numpy's default has them (linear between the two
/// nearest ranks), and an HdrHistogram's above: the value at the rank, at most 1/1024 too large (its sub-buckets for 3 digits).
struct Tally: Sendable {
    static let mostExact = 100_000
    static let histogramError = 1.0 / 1024
    /// An hour in nanoseconds; the histogram grows for what is longer.
    private static let hour: UInt64 = 3_600_000_000_000

    private(set) var count = 0
    private var values: [Int64] = []
    private var histogram: Histogram<UInt64>?
    private var sum: Int128 = 0
    private var squares: Int128 = 0
    private var least = Int64.max
    private var most = Int64.min

    init() {}

    init(_ values: some Sequence<Int64>) {
        for value in values { add(value) }
    }

    /// Negative values count as 0: no time is before its beginning.
    mutating func add(_ value: Int64) {
        let value = max(0, value)
        count += 1
        sum += Int128(value)
        squares += Int128(value) * Int128(value)
        least = min(least, value)
        most = max(most, value)
        if histogram == nil, values.count == Self.mostExact { spill() }
        if histogram == nil { values.append(value) } else { histogram!.record(UInt64(value)) }
    }

    mutating func add(_ value: Duration) { add(value.nanosecondCount) }

    private mutating func spill() {
        var histogram = Histogram<UInt64>(highestTrackableValue: Self.hour, numberOfSignificantValueDigits: .three)
        histogram.autoResize = true
        for value in values { histogram.record(UInt64(value)) }
        self.histogram = histogram
        values = []
    }

    /// Nil where nothing was counted.
    func spread(percentiles: [Double]) -> Spread? {
        guard count > 0 else { return nil }
        let sorted = values.sorted()
        // In two parts: the sum may have more digits than a Double.
        let whole = sum.quotientAndRemainder(dividingBy: Int128(count))
        let mean = Double(whole.quotient) + Double(whole.remainder) / Double(count)
        return Spread(
            count: count, mean: mean, deviation: deviation(mean), least: Double(least), most: Double(most),
            median: value(at: 50, sorted), percentiles: percentiles.map { ($0, value(at: $0, sorted)) }, isExact: histogram == nil)
    }

    private func value(at percentile: Double, _ sorted: [Int64]) -> Double {
        if let histogram { return Double(histogram.valueAtPercentile(percentile)) }
        return Self.percentile(percentile, ofSorted: sorted)
    }

    /// numpy's `percentile` with method `linear`.
    static func percentile(_ percentile: Double, ofSorted sorted: [Int64]) -> Double {
        let rank = percentile / 100 * Double(sorted.count - 1)
        let below = Int(rank.rounded(.down))
        let low = Double(sorted[below])
        let high = Double(sorted[min(below + 1, sorted.count - 1)])
        return low + (high - low) * (rank - Double(below))
    }

    /// Of the population, as numpy's `std`.
    private func deviation(_ mean: Double) -> Double {
        let (product, isFar) = squares.multipliedReportingOverflow(by: Int128(count))
        let (square, isBeyond) = sum.multipliedReportingOverflow(by: sum)
        if !isFar, !isBeyond { return Double(product - square).squareRoot() / Double(count) }
        return max(0, Double(squares) / Double(count) - mean * mean).squareRoot()
    }
}

/// What a tally found. In the tally's own unit until `divided`.
package struct Spread: Sendable {
    package var count: Int
    package var mean: Double
    package var deviation: Double
    package var least: Double
    package var most: Double
    package var median: Double
    package var percentiles: [(percentile: Double, value: Double)]
    /// Percentiles are exact; otherwise a histogram's.
    package var isExact: Bool

    package subscript(percentile: Double) -> Double? { percentiles.first { $0.percentile == percentile }?.value }

    /// By `divisor`, which makes of billionths what is reported.
    func divided(by divisor: Double) -> Spread {
        var spread = self
        spread.mean /= divisor
        spread.deviation /= divisor
        spread.least /= divisor
        spread.most /= divisor
        spread.median /= divisor
        spread.percentiles = percentiles.map { ($0.percentile, $0.value / divisor) }
        return spread
    }
}

extension Duration {
    var nanosecondCount: Int64 {
        let parts = components
        return parts.seconds * 1_000_000_000 + parts.attoseconds / 1_000_000_000
    }
}
