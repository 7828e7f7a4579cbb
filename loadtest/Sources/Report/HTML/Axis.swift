/// One axis of a plot: what it shows, and where values lie between its ends.
struct Axis: Sendable {
    var label: String
    var isLogarithmic: Bool
    private(set) var lower: Double
    private(set) var upper: Double

    /// From 0 (or, `fromZero` false, from the least value) to a round number not below the greatest.
    static func linear(_ label: String, _ values: some Sequence<Double>, fromZero: Bool = true) -> Axis {
        let finite = values.filter(\.isFinite)
        let least = fromZero ? min(0, finite.min() ?? 0) : finite.min() ?? 0
        let most = max(finite.max() ?? 1, least + 1e-9)
        let step = step(most - least)
        return Axis(
            label: label, isLogarithmic: false, lower: (least / step).rounded(.down) * step, upper: (most / step).rounded(.up) * step)
    }

    /// Whole powers of ten, or 2 and 5 times one, around the positive values.
    static func logarithmic(_ label: String, _ values: some Sequence<Double>) -> Axis {
        let positive = values.filter { $0 > 0 && $0.isFinite }
        let (least, most) = (positive.min() ?? 1, positive.max() ?? 10)
        var lower = decade(least)
        for part in [5.0, 2] where lower * part <= least {
            lower *= part
            break
        }
        var upper = decade(most)
        upper = [1.0, 2, 5, 10].map { upper * $0 }.first { $0 >= most } ?? upper * 10
        if upper <= lower { upper = lower * 10 }
        return Axis(label: label, isLogarithmic: true, lower: lower, upper: upper)
    }

    /// The greatest power of ten not above `value`.
    private static func decade(_ value: Double) -> Double {
        var power = 1.0
        while power > value, power > 1e-12 { power /= 10 }
        while power * 10 <= value, power < 1e15 { power *= 10 }
        return power
    }

    /// 1, 2 or 5 times a power of ten, of which about five make `span`.
    private static func step(_ span: Double) -> Double {
        let power = decade(span / 5)
        return [1.0, 2, 5, 10].map { power * $0 }.first { $0 * 6 >= span } ?? power * 10
    }

    /// 0 at the lower end, 1 at the upper one; values beyond are at the end.
    func place(_ value: Double) -> Double {
        let place =
            isLogarithmic ? Self.log(max(value, lower) / lower) / Self.log(upper / lower) : (value - lower) / (upper - lower)
        return min(1, max(0, place))
    }

    private static func log(_ value: Double) -> Double { Logarithm.natural(value) }

    var ticks: [Double] {
        guard isLogarithmic else {
            let step = Self.step(upper - lower)
            return (0...Int(((upper - lower) / step).rounded())).map { lower + Double($0) * step }
        }
        let decades = Self.log(upper / lower) / Self.log(10)
        let parts: [Double] = decades > 4 ? [1] : decades > 3 ? [1, 3] : [1, 2, 5]
        var ticks: [Double] = []
        var power = Self.decade(lower)
        while power <= upper * 1.0001, ticks.count < 40 {
            ticks += parts.map { $0 * power }.filter { $0 >= lower * 0.9999 && $0 <= upper * 1.0001 }
            power *= 10
        }
        return ticks
    }
}
