import Glibc
import Synchronization

/// A fixed family of frequencies for the symbols of an alphabet, so that a table is named in a byte.
///
/// A constant of the format: bell curves by centre and width, computed so that every machine finds the same.
struct SymbolFamily: Sendable {
    let alphabet: Int
    let style: SymbolRun.Style
    /// Of the tables' sums.
    let bits: Int
    let count: Int
    /// [table][alphabet]
    let frequencies: [UInt16]
    /// Bits, times 1024, of each symbol: [table][alphabet].
    private let costs: [UInt32]

    private let centres: Int
    private let widths: Int
    private let shapes: Int

    /// Small ones are computed once.
    static func of(alphabet: Int, style: SymbolRun.Style) -> SymbolFamily {
        guard alphabet <= 16 else { return SymbolFamily(alphabet: alphabet, style: style) }
        return shelf.withLock { shelf in
            let key = style == .centred ? alphabet : -alphabet
            if let found = shelf[key] { return found }
            let family = SymbolFamily(alphabet: alphabet, style: style)
            shelf[key] = family
            return family
        }
    }

    private static let shelf = Mutex<[Int: SymbolFamily]>([:])

    private init(alphabet: Int, style: SymbolRun.Style) {
        precondition((2...256).contains(alphabet) && (style == .centred || alphabet == 16), "a family of \(alphabet) symbols")
        self.alphabet = alphabet
        self.style = style
        bits = alphabet <= 16 ? 8 : 12
        (centres, widths, shapes) = style == .centred ? (15, 17, 1) : (7, 18, 2)
        var frequencies: [UInt16] = []
        for centre in 0..<centres {
            for width in 0..<widths {
                for shape in 0..<shapes {
                    let at = Self.centre(centre, alphabet, style)
                    let deviation = Self.deviation(width, alphabet, style)
                    frequencies += Self.share(1 << bits, among: Self.weights(at, deviation, shape, alphabet, style))
                }
            }
        }
        self.frequencies = frequencies
        count = centres * widths * shapes
        let all = Double(1 << bits)
        costs = frequencies.map { UInt32((-log2(Double($0) / all) * 1024).rounded()) }
    }

    /// The table that codes these counts with the fewest bits among those near their mean and deviation; bits times 1024.
    func best(_ counts: [UInt32], at first: Int = 0) -> (table: Int, cost: Int) {
        var (total, sum, squares) = (0, 0, 0)
        for symbol in 0..<alphabet {
            let count = Int(counts[first + symbol])
            total += count
            sum += count * symbol
            squares += count * symbol * symbol
        }
        guard total > 0 else { return (0, 0) }
        let mean = Double(sum) / Double(total)
        let deviation = max(Double(squares) / Double(total) - mean * mean, 1e-4).squareRoot()
        let place = style == .centred ? mean * Double(centres - 1) / Double(alphabet - 1) : mean - 4
        let centre = min(max(Int(place.rounded()), 0), centres - 1)
        let width = min(max(Int((3 * log2(deviation / Self.deviation(0, alphabet, style))).rounded()), 0), widths - 1)
        // The nearest, its neighbours in width, and those on the mean's side of it.
        let beside = min(max(centre + (place < Double(centre) ? -1 : 1), 0), centres - 1)
        var best = (table: 0, cost: Int.max)
        for (nearCentre, nearWidth) in [
            (centre, width), (centre, max(width - 1, 0)), (centre, min(width + 1, widths - 1)), (beside, width),
        ] {
            for shape in 0..<shapes {
                let table = (nearCentre * widths + nearWidth) * shapes + shape
                let cost = cost(counts, first, table)
                if cost < best.cost { best = (table, cost) }
            }
        }
        return best
    }

    private func cost(_ counts: [UInt32], _ first: Int, _ table: Int) -> Int {
        var cost: UInt64 = 0
        for symbol in 0..<alphabet { cost &+= UInt64(counts[first + symbol]) &* UInt64(costs[table * alphabet + symbol]) }
        return Int(cost)
    }

    // MARK: The curves

    private static func centre(_ index: Int, _ alphabet: Int, _ style: SymbolRun.Style) -> Double {
        style == .centred ? Double(index * (alphabet - 1)) / 14 : Double(index + 4)
    }

    /// Thirds of an octave.
    private static func deviation(_ index: Int, _ alphabet: Int, _ style: SymbolRun.Style) -> Double {
        let third = [1, 1.259_921_049_894_873_2, 1.587_401_051_968_199_4][index % 3]
        let octave = Double(sign: .plus, exponent: index / 3, significand: 1)
        return third * octave * (style == .centred ? Double(alphabet) / 64 : 0.16)
    }

    /// A normal (shape 0) or two-sided exponential (shape 1) density at each symbol. The escape of a dead zone has what is beyond the
    /// others.
    private static func weights(_ centre: Double, _ deviation: Double, _ shape: Int, _ alphabet: Int, _ style: SymbolRun.Style) -> [Double]
    {
        func weight(_ symbol: Int) -> Double {
            let distance = abs(Double(symbol) - centre) / deviation
            return Exponential.of(shape == 0 ? -distance * distance / 2 : -distance * 1.414_213_562_373_095_1)
        }
        guard style == .deadzone else { return (0..<alphabet).map(weight) }
        var beyond = 0.0
        for symbol in 15..<64 { beyond += weight(symbol) + weight(14 - symbol) }
        return (0..<15).map(weight) + [beyond]
    }

    /// Whole shares of `sum`, at least 1 each, rounded down; what is left goes to the heaviest, of equals the first.
    private static func share(_ sum: Int, among weights: [Double]) -> [UInt16] {
        let total = weights.reduce(0, +)
        var shares = weights.map { 1 + Int($0 / total * Double(sum - weights.count)) }
        var heaviest = 0
        for index in weights.indices where weights[index] > weights[heaviest] { heaviest = index }
        shares[heaviest] += sum - shares.reduce(0, +)
        return shares.map { UInt16($0) }
    }
}
