/// Bootstrap of a spread: the requests of a run are drawn again with replacement, and the figures made of what was drawn. A request's
/// values are drawn together, since those of one answer are alike. O(values) a resample: values are sorted once, and counted as often as
/// drawn.
struct Resampling {
    private let values: [Double]
    /// The request that each value belongs to.
    private let owners: [Int]
    private let requests: Int

    init(_ groups: [[Double]]) {
        requests = groups.count
        let pairs = groups.enumerated().flatMap { owner, values in values.map { (value: $0, owner: owner) } }.sorted { $0.value < $1.value }
        values = pairs.map(\.value)
        owners = pairs.map(\.owner)
    }

    var isEmpty: Bool { values.isEmpty }

    struct Statistics {
        var mean = 0.0
        var deviation = 0.0
        /// As `percentiles` were asked for.
        var percentiles: [Double] = []
    }

    /// Nil where nothing with a value was drawn. `percentiles` ascending.
    func resample(_ draw: inout Draw, percentiles: [Double]) -> Statistics? {
        var weights = [Int](repeating: 0, count: requests)
        for _ in 0..<requests { weights[draw.integer(in: 0...(requests - 1))] += 1 }
        var total = 0
        var sum = 0.0
        for (value, owner) in zip(values, owners) {
            total += weights[owner]
            sum += value * Double(weights[owner])
        }
        guard total > 0 else { return nil }
        var statistics = Statistics(mean: sum / Double(total))
        var squares = 0.0
        var seen = 0
        // The two ranks of each percentile, in order.
        let ranks = percentiles.map { $0 / 100 * Double(total - 1) }
        var low = [Double?](repeating: nil, count: ranks.count)
        var high = [Double?](repeating: nil, count: ranks.count)
        var nextLow = 0
        var nextHigh = 0
        for (value, owner) in zip(values, owners) where weights[owner] > 0 {
            let weight = weights[owner]
            squares += (value - statistics.mean) * (value - statistics.mean) * Double(weight)
            seen += weight
            while nextLow < ranks.count, Int(ranks[nextLow]) < seen {
                low[nextLow] = value
                nextLow += 1
            }
            while nextHigh < ranks.count, min(Int(ranks[nextHigh]) + 1, total - 1) < seen {
                high[nextHigh] = value
                nextHigh += 1
            }
        }
        statistics.deviation = (squares / Double(total)).squareRoot()
        for (index, rank) in ranks.enumerated() {
            let a = low[index] ?? 0
            statistics.percentiles.append(a + ((high[index] ?? a) - a) * (rank - rank.rounded(.down)))
        }
        return statistics
    }

    /// Fewer for more values: ten million take about twenty seconds.
    static func rounds(values: Int) -> Int { min(2000, max(200, 200_000_000 / max(1, values))) }
}
