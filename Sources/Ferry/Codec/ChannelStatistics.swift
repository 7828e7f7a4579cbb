/// Mean and covariance of the channels of a layer's side, over tokens that are added one by one.
struct ChannelStatistics {
    private(set) var count = 0
    private var sums: [Double]
    /// Σ x xᵀ, the lower triangle row by row.
    private var products: [Double]

    init(channels: Int) {
        sums = Array(repeating: 0, count: channels)
        products = Array(repeating: 0, count: channels * (channels + 1) / 2)
    }

    /// O(channels²).
    mutating func add(_ token: Span<Float>) {
        precondition(token.count == sums.count, "\(token.count) channels of \(sums.count)")
        count += 1
        var place = 0
        for row in token.indices {
            let value = Double(token[row])
            sums[row] += value
            for column in 0...row { products[place + column] += value * Double(token[column]) }
            place += row + 1
        }
    }

    var mean: [Double] { sums.map { $0 / Double(max(1, count)) } }

    var covariance: [[Double]] {
        let mean = mean
        var result = mean.map { _ in [Double](repeating: 0, count: sums.count) }
        var place = 0
        for row in sums.indices {
            for column in 0...row {
                let value = products[place + column] / Double(max(1, count)) - mean[row] * mean[column]
                (result[row][column], result[column][row]) = (value, value)
            }
            place += row + 1
        }
        return result
    }

    /// Mean of the channels' variances.
    var variance: Double {
        var (place, sum) = (0, 0.0)
        let mean = mean
        for row in sums.indices {
            sum += products[place + row] / Double(max(1, count)) - mean[row] * mean[row]
            place += row + 1
        }
        return max(sum / Double(max(1, sums.count)), 0)
    }
}
