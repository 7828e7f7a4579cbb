/// A number of a profile: 0 up to 999.999999, in millionths, so that its text and its bytes are exact.
package struct ProfileNumber: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let millionths: UInt32
    static let limit: UInt32 = 1_000_000_000

    /// Nil above 999.999999.
    package init?(millionths: UInt32) {
        guard millionths < Self.limit else { return nil }
        self.millionths = millionths
    }

    /// The nearest; what is outside becomes the least or the greatest.
    package init(_ value: Double) {
        let scaled = (value * 1e6).rounded()
        millionths = scaled >= 0 ? UInt32(min(scaled, Double(Self.limit - 1))) : 0
    }

    package var value: Float { Float(Double(millionths) / 1e6) }

    /// Without a zero before the point or zeros at the end: `.8`, `1.25`, `2`.
    package var description: String {
        let (whole, rest) = millionths.quotientAndRemainder(dividingBy: 1_000_000)
        guard rest > 0 else { return String(whole) }
        var digits = String(rest)
        digits = String(repeating: "0", count: 6 - digits.utf8.count) + digits
        while digits.utf8.last == UInt8(ascii: "0") { digits.removeLast() }
        return (whole > 0 ? String(whole) : "") + "." + digits
    }

    package static func < (left: ProfileNumber, right: ProfileNumber) -> Bool { left.millionths < right.millionths }
}
