internal import Foundation
internal import Platform

/// Where the true value lies with 95 % confidence.
struct Interval: Equatable {
    var low: Double
    var high: Double

    var json: JSON { .array([.number(low), .number(high)]) }
}

/// Intervals by drawing units with replacement. A unit is what is independent of the others: a window of text, never a position inside one.
struct Bootstrap {
    var resamples = 1000
    var seed: UInt64 = 0x3333

    /// The percentile interval of `statistic`, which gets the indices of as many units as there are. Nil for fewer than two units.
    func interval(units: Int, _ statistic: ([Int]) -> Double) -> Interval? {
        guard units > 1 else { return nil }
        var state = seed
        var drawn = [Int](repeating: 0, count: units)
        var values: [Double] = []
        for _ in 0..<resamples {
            for place in drawn.indices { drawn[place] = Int(Self.next(&state) % UInt64(units)) }
            values.append(statistic(drawn))
        }
        values.sort()
        return Interval(low: Self.quantile(0.025, of: values), high: Self.quantile(0.975, of: values))
    }

    /// Of sorted values, at least one; between two of them in proportion.
    static func quantile(_ share: Double, of sorted: [Double]) -> Double {
        let place = share * Double(sorted.count - 1)
        let below = Int(place)
        guard below + 1 < sorted.count else { return sorted[sorted.count - 1] }
        return sorted[below] + (sorted[below + 1] - sorted[below]) * (place - Double(below))
    }

    /// SplitMix64.
    static func next(_ state: inout UInt64) -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}

/// The difference of two shares over the same cases: `lost` of them only the first got right, `won` only the second.
struct PairedShares: Equatable {
    var cases = 0
    var lost = 0
    var won = 0

    var difference: Double { cases > 0 ? Double(won - lost) / Double(cases) : 0 }

    /// Tango's score interval (Statistics in Medicine 17, 1998), which stays honest where no case differs. Nil without cases.
    var interval: Interval? {
        guard cases > 0 else { return nil }
        return Interval(low: bound(from: difference, to: -1), high: bound(from: difference, to: 1))
    }

    private func bound(from inside: Double, to outside: Double) -> Double {
        var (inside, outside) = (inside, outside)
        for _ in 0..<60 {
            let middle = (inside + outside) / 2
            if abs(score(middle)) <= Self.z { inside = middle } else { outside = middle }
        }
        return inside
    }

    private static let z = 1.959963984540054

    /// How many deviations the data are from a true difference of `delta`.
    private func score(_ delta: Double) -> Double {
        let (n, b, c) = (Double(cases), Double(won), Double(lost))
        let linear = -b - c + (2 * n - b + c) * delta
        let product = -c * delta * (1 - delta)
        let share = (max(linear * linear - 8 * n * product, 0).squareRoot() - linear) / (4 * n)
        let variance = n * (2 * share + delta * (1 - delta))
        let distance = b - c - n * delta
        if variance <= 1e-12 { return abs(distance) < 1e-12 ? 0 : .infinity }
        return distance / variance.squareRoot()
    }
}
