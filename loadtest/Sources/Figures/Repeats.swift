/// Figures over repeats of the same run: the mean and how far the true mean may be from it.
package struct Repeats: Sendable {
    package struct Estimate: Sendable, Equatable {
        package var key: String
        package var mean: Double
        /// Half the width of the 95 % interval of Student's t; infinite for a single run.
        package var halfWidth: Double
        package var values: [Double]
    }

    package let runs: Int
    /// Of the figures that all runs have, in the first one's order.
    package let estimates: [Estimate]

    package init(_ runs: [[Figure]]) {
        self.runs = runs.count
        let tables = runs.map { Dictionary($0.map { ($0.key, $0.value) }) { first, _ in first } }
        estimates = (runs.first ?? []).compactMap { figure in
            let values = tables.compactMap { $0[figure.key] }
            return values.count == runs.count ? Estimate(key: figure.key, values: values) : nil
        }
    }
}

extension Repeats.Estimate {
    init(key: String, values: [Double]) {
        self.key = key
        self.values = values
        mean = values.reduce(0, +) / Double(values.count)
        halfWidth = .infinity
        if values.count > 1 { halfWidth = StudentT.quantile95(degrees: Double(values.count - 1)) * standardError }
    }

    /// Of the mean, from the sample's deviation.
    var standardError: Double {
        let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        return (squares / Double(values.count - 1) / Double(values.count)).squareRoot()
    }
}

/// Student's distribution.
enum StudentT {
    /// Two-sided 95 % quantiles for 1 to 30 degrees of freedom, as printed in every table.
    private static let table: [Double] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101,
        2.093,
        2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
    ]

    /// The whole number of degrees below counts, which errs to the wide side; beyond 30 the expansion of Abramowitz and Stegun 26.7.5.
    static func quantile95(degrees: Double) -> Double {
        if degrees < 31 { return table[max(1, Int(degrees)) - 1] }
        let z = 1.959964
        return z + (z * z * z + z) / (4 * degrees)
    }
}
