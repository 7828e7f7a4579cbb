internal import Synchronization

/// The levels of a standard normal distribution with the least mean square error, and the thresholds halfway between them (Lloyd, Max).
///
/// Computed with sums, products, quotients and square roots only, so that every machine finds the same.
struct NormalCodebook: Sendable {
    let thresholds: [Float]
    /// 256 of them, the last one repeated.
    let values: [Float]

    /// Of 2...16 levels, each computed when it is first asked for.
    static func of(levels: Int) -> NormalCodebook {
        precondition((2...16).contains(levels), "\(levels) levels")
        return shelf.withLock { shelf in
            if let found = shelf[levels] { return found }
            let book = NormalCodebook(levels: levels)
            shelf[levels] = book
            return book
        }
    }

    private static let shelf = Mutex<[Int: NormalCodebook]>([:])

    private init(levels count: Int) {
        var levels = (0..<count).map { 3.5 * (Double(2 * $0 + 1) / Double(count) - 1) }
        // Ends far beyond what floats tell apart; each round moves every level to the mean of its cell.
        for _ in 0..<(200 + 40 * count) {
            let edges = [-12.0] + (1..<count).map { (levels[$0 - 1] + levels[$0]) / 2 } + [12.0]
            levels = (0..<count).map { index in
                let (low, high) = (edges[index], edges[index + 1])
                let mass = Self.mass(low, high)
                return mass > 1e-300 ? (Self.density(low) - Self.density(high)) / mass : (low + high) / 2
            }
        }
        thresholds = (1..<count).map { Float((levels[$0 - 1] + levels[$0]) / 2) }
        let floats = levels.map { Float($0) }
        values = floats + Array(repeating: floats[count - 1], count: 256 - count)
    }

    static func density(_ x: Double) -> Double { Exponential.of(-x * x / 2) * 0.398_942_280_401_432_7 }

    /// The integral of the density: Gauss-Legendre of eight points on pieces of a quarter at most.
    private static func mass(_ low: Double, _ high: Double) -> Double {
        let nodes = [0.183_434_642_495_649_8, 0.525_532_409_916_329, 0.796_666_477_413_626_7, 0.960_289_856_497_536_3]
        let weights = [0.362_683_783_378_362, 0.313_706_645_877_887_3, 0.222_381_034_453_374_5, 0.101_228_536_290_376_3]
        let pieces = max(1, Int(((high - low) * 4).rounded(.up)))
        let half = (high - low) / Double(2 * pieces)
        var sum = 0.0
        for piece in 0..<pieces {
            let middle = low + half * Double(2 * piece + 1)
            for (node, weight) in zip(nodes, weights) {
                sum += weight * (density(middle - half * node) + density(middle + half * node)) * half
            }
        }
        return sum
    }
}

/// e^x from products only: the tables of the format depend on it, so no library may decide its last bit.
enum Exponential {
    /// Of x <= 0; relative error below 1e-14.
    static func of(_ x: Double) -> Double {
        guard x > -700 else { return 0 }
        let power = (x * 1.442_695_040_888_963_4).rounded()
        let rest = x - power * 0.693_147_180_559_945_3
        var (term, sum) = (1.0, 1.0)
        for index in 1...14 {
            term = term * rest / Double(index)
            sum += term
        }
        return Double(sign: .plus, exponent: Int(power), significand: sum)
    }
}
