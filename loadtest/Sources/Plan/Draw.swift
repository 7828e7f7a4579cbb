internal import Glibc

/// A stream of random numbers named by a seed, a purpose and a place in the plan, so that each request's numbers are a function of its
/// number alone: no request's luck depends on what was drawn before it.
///
/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
struct Draw: RandomNumberGenerator, Sendable {
    /// What numbers are for. Streams of different purposes have nothing in common.
    enum Purpose: UInt64 {
        case arrival = 1
        case length, text, prefix, block, picture, trouble, deadline, session, resample
    }

    private var state: UInt64

    init(seed: UInt64, _ purpose: Purpose, _ place: Int = 0) {
        let place = UInt64(bitPattern: Int64(place))
        state = Self.mix(Self.mix(seed &+ purpose.rawValue &* 0xD1B5_4A32_D192_ED03) &+ place &* 0x9E37_79B9_7F4A_7C15)
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return Self.mix(state)
    }

    /// In [0, 1), a multiple of 2⁻⁵³.
    mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// In the range, ends included. The bias is below 2⁻⁶⁴ times the range's length.
    mutating func integer(in range: ClosedRange<Int>) -> Int {
        range.lowerBound + Int(next().multipliedFullWidth(by: UInt64(range.upperBound - range.lowerBound) + 1).high)
    }

    mutating func duration(in range: ClosedRange<Duration>) -> Duration {
        range.lowerBound + .nanoseconds(integer(in: 0...Int((range.upperBound - range.lowerBound) / .nanoseconds(1))))
    }

    /// Mean 1.
    mutating func exponential() -> Double { -log1p(-uniform()) }

    /// Mean 0, deviation 1: Marsaglia's polar method, of whose two numbers the second is dropped.
    mutating func normal() -> Double {
        while true {
            let x = 2 * uniform() - 1
            let y = 2 * uniform() - 1
            let square = x * x + y * y
            if square < 1, square > 0 { return x * (-2 * log(square) / square).squareRoot() }
        }
    }

    /// Mean `shape`, variance `shape`: Marsaglia and Tsang, "A simple method for generating gamma variables", 2000; their boost by
    /// U^(1/shape) below 1.
    mutating func gamma(shape: Double) -> Double {
        precondition(shape > 0 && shape.isFinite, "a gamma distribution of shape \(shape)")
        if shape == 1 { return exponential() }
        if shape < 1 {
            let boost = pow(1 - uniform(), 1 / shape)
            return gamma(shape: shape + 1) * boost
        }
        let d = shape - 1.0 / 3
        let c = 1 / (9 * d).squareRoot()
        while true {
            let x = normal()
            let root = 1 + c * x
            guard root > 0 else { continue }
            let v = root * root * root
            let u = 1 - uniform()
            if log(u) < 0.5 * x * x + d - d * v + d * log(v) { return d * v }
        }
    }
}
