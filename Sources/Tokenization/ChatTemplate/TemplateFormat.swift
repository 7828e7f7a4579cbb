/// Text with holes for values: Python's `%` operator in the subset templates use, and `str.format` without format specifiers.
struct TemplateFormat {
    enum Piece: Equatable {
        case text(String)
        case hole(Hole)
    }

    struct Hole: Equatable {
        enum Reference: Equatable {
            /// The next positional argument.
            case next
            case position(Int)
            case name(String)
        }

        var reference = Reference.next
        /// d i u s r f F x X, or for `str.format` s and r.
        var conversion: Unicode.Scalar = "s"
        var leftAligned = false
        var zeroPadded = false
        var signed = false
        var width = 0
        var precision: Int?
    }

    let pieces: [Piece]

    /// Widths and precisions beyond this are refused: they make text out of nothing.
    private static let widthLimit = 1_000

    struct Malformed: Error {
        let reason: String
    }

    /// `%d`, `%-10s`, `%.2f`, `%(name)s`, `%%`.
    init(percent format: String) throws(Malformed) {
        var pieces: [Piece] = []
        var text = ""
        var rest = format.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            guard scalar == "%" else {
                text.unicodeScalars.append(scalar)
                continue
            }
            if rest.first == "%" {
                rest.removeFirst()
                text += "%"
                continue
            }
            if !text.isEmpty { pieces.append(.text(text)) }
            text = ""
            pieces.append(.hole(try Self.percentHole(&rest)))
        }
        if !text.isEmpty { pieces.append(.text(text)) }
        self.pieces = pieces
    }

    private static func percentHole(_ rest: inout Substring.UnicodeScalarView) throws(Malformed) -> Hole {
        var hole = Hole()
        if rest.first == "(" {
            guard let end = rest.firstIndex(of: ")") else { throw Malformed(reason: "incomplete format key") }
            hole.reference = .name(String(rest[rest.index(after: rest.startIndex)..<end]))
            rest = rest[rest.index(after: end)...]
        }
        while let flag = rest.first, ["-", "0", "+"].contains(flag) {
            switch flag {
            case "-": hole.leftAligned = true
            case "0": hole.zeroPadded = true
            default: hole.signed = true
            }
            rest.removeFirst()
        }
        hole.width = try number(&rest)
        if rest.first == "." {
            rest.removeFirst()
            hole.precision = try number(&rest)
        }
        guard let conversion = rest.popFirst() else { throw Malformed(reason: "incomplete format") }
        guard ["d", "i", "u", "s", "r", "f", "F", "x", "X"].contains(conversion) else {
            throw Malformed(reason: "unsupported format character '\(conversion)'")
        }
        hole.conversion = conversion
        return hole
    }

    private static func number(_ rest: inout Substring.UnicodeScalarView) throws(Malformed) -> Int {
        var value = 0
        while let digit = rest.first, ("0"..."9").contains(digit) {
            value = value * 10 + Int(digit.value - 48)
            guard value <= widthLimit else { throw Malformed(reason: "a width above \(widthLimit)") }
            rest.removeFirst()
        }
        return value
    }

    /// `{}`, `{0}`, `{name}`, `{!r}`, `{{`, `}}`.
    init(braces format: String) throws(Malformed) {
        var pieces: [Piece] = []
        var text = ""
        var rest = format.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            if scalar == "{" || scalar == "}" {
                if rest.first == scalar {
                    rest.removeFirst()
                } else {
                    guard scalar == "{" else { throw Malformed(reason: "single '}' in a format") }
                    guard let end = rest.firstIndex(of: "}") else { throw Malformed(reason: "single '{' in a format") }
                    if !text.isEmpty { pieces.append(.text(text)) }
                    text = ""
                    pieces.append(.hole(try Self.braceHole(String(rest[..<end]))))
                    rest = rest[rest.index(after: end)...]
                    continue
                }
            }
            text.unicodeScalars.append(scalar)
        }
        if !text.isEmpty { pieces.append(.text(text)) }
        self.pieces = pieces
    }

    private static func braceHole(_ field: String) throws(Malformed) -> Hole {
        var hole = Hole()
        var name = field
        if name.hasSuffix("!r") || name.hasSuffix("!s") {
            hole.conversion = name.hasSuffix("!r") ? "r" : "s"
            name.removeLast(2)
        }
        guard !name.unicodeScalars.contains(where: { ["{", ":", "!", ".", "["].contains($0) }) else {
            throw Malformed(reason: "'{\(field)}' in a format is not supported")
        }
        if let position = Int(name) {
            hole.reference = .position(position)
        } else if !name.isEmpty {
            hole.reference = .name(name)
        }
        return hole
    }

    // MARK: Numbers in holes

    /// The digits of `value` for an integer conversion.
    static func integer(_ value: Int, _ hole: Hole) -> String {
        let digits =
            switch hole.conversion {
            case "x": String(value.magnitude, radix: 16)
            case "X": String(value.magnitude, radix: 16, uppercase: true)
            default: String(value.magnitude)
            }
        return padded(digits, sign: value < 0 ? "-" : hole.signed ? "+" : "", hole)
    }

    static func float(_ value: Double, _ hole: Hole) -> String {
        guard value.isFinite else { return padded(TemplateText.number(value.magnitude), sign: value < 0 ? "-" : "", hole) }
        let digits = TemplateDecimal(value.magnitude).fixed(places: hole.precision ?? 6)
        return padded(digits, sign: value.sign == .minus ? "-" : hole.signed ? "+" : "", hole)
    }

    private static func padded(_ digits: String, sign: String, _ hole: Hole) -> String {
        guard hole.zeroPadded, !hole.leftAligned else { return aligned(sign + digits, hole) }
        return sign + String(repeating: "0", count: max(0, hole.width - sign.utf8.count - digits.utf8.count)) + digits
    }

    static func aligned(_ text: String, _ hole: Hole) -> String {
        var text = text
        if hole.conversion == "s" || hole.conversion == "r", let precision = hole.precision {
            text = TemplateText.string(text.unicodeScalars.prefix(precision))
        }
        let filling = TemplateText.repeated(" ", hole.width - text.unicodeScalars.count)
        return hole.leftAligned ? text + filling : filling + text
    }
}

/// The exact decimal expansion of a finite non-negative number: what rounding to a number of places must look at.
/// At most about 1,100 digits.
struct TemplateDecimal {
    /// The price of one expansion and its printing, at the longest.
    static let steps = 50

    /// Decimal digits, most significant first; the point stands before digit `point`.
    private var digits: [UInt8]
    private var point: Int

    init(_ value: Double) {
        precondition(value.isFinite && value >= 0, "no decimal expansion of \(value)")
        // value = significand × 2^exponent, both integers.
        var exponent = value.exponentBitPattern == 0 ? -1_074 : Int(value.exponentBitPattern) - 1_075
        var significand = value.significandBitPattern | (value.exponentBitPattern == 0 ? 0 : 1 << 52)
        if significand == 0 { exponent = 0 }
        while exponent < 0, significand & 1 == 0, significand != 0 {
            significand >>= 1
            exponent += 1
        }
        var limbs: [UInt64] = [significand % Self.limb, significand / Self.limb]
        // Halving is multiplying by five and moving the point. Several factors at a time, as many as keep a product below 2^64.
        let (factor, several): (UInt64, Int) = exponent > 0 ? (2, 29) : (5, 13)
        var left = Int(exponent.magnitude)
        while left > 0 {
            let now = min(left, several)
            Self.multiply(&limbs, by: (0..<now).reduce(UInt64(1)) { product, _ in product * factor })
            left -= now
        }
        digits = Self.digits(of: limbs)
        point = digits.count - (exponent < 0 ? -exponent : 0)
    }

    /// What a limb counts to; the lowest limb is the first.
    private static let limb: UInt64 = 1_000_000_000
    private static let limbDigits = 9

    private static func multiply(_ limbs: inout [UInt64], by factor: UInt64) {
        var carry: UInt64 = 0
        for index in limbs.indices {
            let product = limbs[index] * factor + carry
            limbs[index] = product % limb
            carry = product / limb
        }
        while carry > 0 {
            limbs.append(carry % limb)
            carry /= limb
        }
    }

    /// Most significant first, without leading zeros; a single one for zero.
    private static func digits(of limbs: [UInt64]) -> [UInt8] {
        var reversed: [UInt8] = []
        reversed.reserveCapacity(limbs.count * limbDigits)
        for var limb in limbs {
            for _ in 0..<limbDigits {
                reversed.append(UInt8(limb % 10))
                limb /= 10
            }
        }
        while reversed.count > 1, reversed.last == 0 { reversed.removeLast() }
        return reversed.reversed()
    }

    private func digit(at position: Int) -> UInt8 {
        position >= 0 && position < digits.count ? digits[position] : 0
    }

    /// Digits with `places` behind the point, halves to even. With negative places, zeros before the point.
    func fixed(places: Int) -> String {
        let cut = point + places
        var kept = (min(0, point)..<max(cut, min(0, point))).map { digit(at: $0) }
        let half = digit(at: cut)
        let hasMore = cut + 1 < digits.count && digits[max(0, cut + 1)...].contains { $0 != 0 }
        let isOdd = kept.last.map { $0 % 2 == 1 } ?? false
        if half > 5 || half == 5 && (hasMore || isOdd) { Self.increment(&kept) }
        let zeros = max(0, -places)
        var text = kept.map { UInt8(ascii: "0") + $0 } + [UInt8](repeating: UInt8(ascii: "0"), count: zeros)
        let behind = max(0, places)
        while text.count <= behind { text.insert(UInt8(ascii: "0"), at: 0) }
        if behind > 0 { text.insert(UInt8(ascii: "."), at: text.count - behind) }
        var result = TemplateText.string(text)[...]
        while result.utf8.count > 1, result.utf8.first == UInt8(ascii: "0"), !result.hasPrefix("0.") { result.removeFirst() }
        return String(result)
    }

    private static func increment(_ digits: inout [UInt8]) {
        for index in digits.indices.reversed() {
            if digits[index] < 9 {
                digits[index] += 1
                return
            }
            digits[index] = 0
        }
        digits.insert(1, at: 0)
    }
}
