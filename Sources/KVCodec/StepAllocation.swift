import Glibc

/// How coarse each part of a model's KV may be, so that all parts together cost the fewest bits for the damage that they do together.
///
/// A part's coefficients are taken as normal, quantised with uniform steps and coded at their entropy. Damage adds up over parts, each of which
/// does as much as it errs, times its sensitivity: so it is measured, part by part.
package struct StepAllocation: Sendable {
    /// Of a layer's side.
    package struct Part: Sendable {
        /// Damage for each unit of relative error: of squared error over the variance of the part.
        package var sensitivity: Double
        /// Of each coefficient, over their mean.
        package var variances: [Double]

        package init(sensitivity: Double, variances: [Double]) {
            self.sensitivity = sensitivity
            self.variances = variances
        }
    }

    /// What each part's step is multiplied by, in the order of the parts.
    package let factors: [Double]
    /// Bits for a coefficient on average, and damage: with all steps alike, and with these.
    package let uniform: (bits: Double, damage: Double)
    package let chosen: (bits: Double, damage: Double)

    /// Factors that a part may get: powers of 2^(1/4), from 1/4 to 4.
    package static let choices = (-8...8).map { exp2(Double($0) / 4) }
    /// Into which the budget of damage is cut.
    private static let cells = 2048

    /// The fewest bits for the damage that equal steps do, by dynamic programming. O(parts · choices · cells).
    ///
    /// - Parameter step: of all parts, in root mean squares of their coefficients.
    package init(_ parts: [Part], step: Double) {
        precondition(step > 0, "a step of \(step)")
        let table = parts.map { part in Self.choices.map { Self.cost(part, step: step * $0) } }
        let same = Self.choices.firstIndex(of: 1) ?? 0
        let budget = table.reduce(0) { $0 + $1[same].damage }
        let total = Double(max(1, parts.reduce(0) { $0 + $1.variances.count }))
        uniform = (table.reduce(0) { $0 + $1[same].bits } / total, budget)
        guard budget > 0 else {
            (factors, chosen) = (parts.map { _ in 1 }, uniform)
            return
        }
        // best[cell]: fewest bits of the parts so far whose damage is at most so many cells.
        var best = [Double](repeating: 0, count: Self.cells + 1)
        var picks: [[Int8]] = []
        for options in table {
            var next = [Double](repeating: .infinity, count: Self.cells + 1)
            var pick = [Int8](repeating: -1, count: Self.cells + 1)
            for (index, option) in options.enumerated() {
                let share = (option.damage / budget * Double(Self.cells)).rounded(.up)
                guard share <= Double(Self.cells) else { continue }
                let taken = Int(share)
                for cell in taken...Self.cells where best[cell - taken] + option.bits < next[cell] {
                    next[cell] = best[cell - taken] + option.bits
                    pick[cell] = Int8(index)
                }
            }
            (best, picks) = (next, picks + [pick])
        }
        var (cell, indices) = (Self.cells, [Int](repeating: same, count: parts.count))
        // Rounding up may leave nothing that fits; then equal steps it is.
        if best[cell] < uniform.bits * total {
            for part in parts.indices.reversed() {
                let index = Int(picks[part][cell])
                indices[part] = index
                cell -= Int((table[part][index].damage / budget * Double(Self.cells)).rounded(.up))
            }
        }
        factors = indices.map { Self.choices[$0] }
        let sums = zip(table, indices).reduce((0.0, 0.0)) { ($0.0 + $1.0[$1.1].bits, $0.1 + $1.0[$1.1].damage) }
        chosen = (sums.0 / total, sums.1)
    }

    private static func cost(_ part: Part, step: Double) -> (bits: Double, damage: Double) {
        var (bits, error, variance) = (0.0, 0.0, 0.0)
        for value in part.variances where value > 0 {
            let found = normal(step: step / value.squareRoot())
            bits += found.entropy
            error += found.error * value
            variance += value
        }
        return (bits, variance > 0 ? part.sensitivity * error / variance : 0)
    }

    /// Entropy in bits and mean squared error of a standard normal number rounded to multiples of `step`.
    package static func normal(step: Double) -> (entropy: Double, error: Double) {
        // Finer: the entropy of a density less the logarithm of the step, and step² / 12.
        if step < 0.05 { return (0.5 * log2(2 * Double.pi * M_E) - log2(step), step * step / 12) }
        var (entropy, error) = (0.0, 0.0)
        var bin = 0
        while (Double(bin) - 0.5) * step < 9 {
            let (low, high) = ((Double(bin) - 0.5) * step, (Double(bin) + 0.5) * step)
            let share = 0.5 * (erfc(low / 2.0.squareRoot()) - erfc(high / 2.0.squareRoot()))
            let first = density(low) - density(high)
            let second = share + low * density(low) - high * density(high)
            let center = Double(bin) * step
            let sides = bin == 0 ? 1.0 : 2
            if share > 0 { entropy -= sides * share * log2(share) }
            error += sides * max(second - 2 * center * first + center * center * share, 0)
            bin += 1
        }
        return (entropy, error)
    }

    private static func density(_ x: Double) -> Double { exp(-x * x / 2) / (2 * Double.pi).squareRoot() }
}
