internal import Platform

/// Python's operations on text, which count, compare and cut by code point where Swift's `String` goes by grapheme.
enum TemplateText {
    /// Equality of code points. O(bytes), O(1) in the common case of different lengths. Never `==`, which normalises.
    static func equal(_ a: String, _ b: String) -> Bool { ExactText(a) == ExactText(b) }

    /// Order of code points, which is the order of the UTF-8 bytes.
    static func precedes(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }

    static func string(_ bytes: some Collection<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

    static func string(_ scalars: some Sequence<Unicode.Scalar>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }

    // MARK: Searching

    /// Offsets in bytes where `needle`, not empty, occurs in `text` from the left without overlap, at most `limit` of them.
    /// O(text + needle): the needle may be hostile.
    static func occurrences(of needle: [UInt8], in text: [UInt8], limit: Int = .max) -> [Int] {
        guard needle.count <= text.count else { return [] }
        let search = ByteSearch(needle)
        var found: [Int] = []
        var start = 0
        while found.count < limit, let index = search.first(in: text.span, from: start, to: text.count) {
            found.append(index)
            start = index + needle.count
        }
        return found
    }

    static func contains(_ text: String, _ needle: String) -> Bool {
        needle.isEmpty || !occurrences(of: Array(needle.utf8), in: Array(text.utf8), limit: 1).isEmpty
    }

    /// The parts of `text` between occurrences of `separator`, cut from the left or from the right.
    static func split(_ text: String, by separator: String, limit: Int, fromRight: Bool = false) -> [String] {
        let bytes = Array(text.utf8)
        let needle = Array(separator.utf8)
        var cuts: [Int]
        if fromRight, limit >= 0 {
            let reversed = occurrences(of: needle.reversed(), in: bytes.reversed(), limit: limit)
            cuts = reversed.reversed().map { bytes.count - $0 - needle.count }
        } else {
            cuts = occurrences(of: needle, in: bytes, limit: limit < 0 ? .max : limit)
        }
        cuts.append(bytes.count)
        var parts: [String] = []
        parts.reserveCapacity(cuts.count)
        var start = 0
        for cut in cuts {
            parts.append(string(bytes[start..<cut]))
            start = cut + needle.count
        }
        return parts
    }

    /// The words of `text` between runs of whitespace; with a limit, the rest is one part and keeps its whitespace.
    static func splitWords(_ text: String, limit: Int, fromRight: Bool = false) -> [String] {
        let scalars = text.unicodeScalars
        var words: [Range<String.Index>] = []
        var start: String.Index?
        for index in scalars.indices {
            if scalars[index].isPythonSpace {
                if let begin = start { words.append(begin..<index) }
                start = nil
            } else if start == nil {
                start = index
            }
        }
        if let begin = start { words.append(begin..<scalars.endIndex) }
        guard limit >= 0, limit < words.count else { return words.map { String(scalars[$0]) } }
        if fromRight {
            let kept = words[(words.count - limit)...].map { String(scalars[$0]) }
            return [String(scalars[..<words[words.count - limit - 1].upperBound])] + kept
        }
        return words[..<limit].map { String(scalars[$0]) } + [String(scalars[words[limit].lowerBound...])]
    }

    static func splitLines(_ text: String, keepingEnds: Bool = false) -> [String] {
        var lines: [String] = []
        var line = String.UnicodeScalarView()
        var scalars = text.unicodeScalars.makeIterator()
        var pending: Unicode.Scalar?
        while let scalar = pending ?? scalars.next() {
            pending = nil
            guard isLineBreak(scalar) else {
                line.append(scalar)
                continue
            }
            if keepingEnds { line.append(scalar) }
            if scalar == "\r" {
                pending = scalars.next()
                if pending == "\n" {
                    if keepingEnds { line.append("\n") }
                    pending = nil
                }
            }
            lines.append(String(line))
            line = String.UnicodeScalarView()
        }
        if !line.isEmpty { lines.append(String(line)) }
        return lines
    }

    private static func isLineBreak(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x0A...0x0D, 0x1C...0x1E, 0x85, 0x2028, 0x2029: true
        default: false
        }
    }

    /// `text` with `old` replaced, at most `limit` times. The caller has bounded the result's size.
    static func replace(_ text: String, _ old: String, with new: String, limit: Int) -> String {
        if old.isEmpty { return interleave(text, with: new, limit: limit) }
        let bytes = Array(text.utf8)
        let cuts = occurrences(of: Array(old.utf8), in: bytes, limit: limit < 0 ? .max : limit)
        guard !cuts.isEmpty else { return text }
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count + cuts.count * max(0, new.utf8.count - old.utf8.count))
        var start = 0
        for cut in cuts {
            result.append(contentsOf: bytes[start..<cut])
            result.append(contentsOf: new.utf8)
            start = cut + old.utf8.count
        }
        result.append(contentsOf: bytes[start...])
        return string(result)
    }

    /// Replacing the empty text: `new` before every code point and at the end.
    private static func interleave(_ text: String, with new: String, limit: Int) -> String {
        var left = limit < 0 ? Int.max : limit
        var result = ""
        for scalar in text.unicodeScalars {
            if left > 0 {
                result += new
                left -= 1
            }
            result.unicodeScalars.append(scalar)
        }
        if left > 0 { result += new }
        return result
    }

    // MARK: Ends

    enum Side { case left, right, both }

    /// `text` without the code points of `set` (nil: whitespace) at its ends.
    static func strip(_ text: String, _ set: String?, _ side: Side) -> String {
        // Most sets are a few characters, where making a hash table is the larger part of the work.
        let few = set.map { Array($0.unicodeScalars.prefix(9)) } ?? []
        let many = few.count > 8 ? Set(set!.unicodeScalars) : []
        func goes(_ scalar: Unicode.Scalar) -> Bool {
            set == nil ? scalar.isPythonSpace : few.count > 8 ? many.contains(scalar) : few.contains(scalar)
        }
        var rest = text.unicodeScalars[...]
        if side != .right { while let first = rest.first, goes(first) { rest.removeFirst() } }
        if side != .left { while let last = rest.last, goes(last) { rest.removeLast() } }
        return String(rest)
    }

    static func hasPrefix(_ text: String, _ prefix: String) -> Bool { text.utf8.starts(with: prefix.utf8) }

    static func hasSuffix(_ text: String, _ suffix: String) -> Bool {
        text.utf8.count >= suffix.utf8.count && text.utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8)
    }

    /// `text` between fillings so that it has `width` code points; the odd one goes where Python puts it.
    static func center(_ text: String, width: Int, fill: String = " ") -> String {
        let missing = max(0, width - text.unicodeScalars.count)
        let left = missing / 2 + (missing & width & 1)
        return repeated(fill, left) + text + repeated(fill, missing - left)
    }

    /// `text`, `count` times; the empty text for a count below one. The caller has bounded the result's size.
    static func repeated(_ text: String, _ count: Int) -> String {
        guard count > 0, !text.isEmpty else { return "" }
        let unit = Array(text.utf8)
        guard unit.count > 1 else { return string([UInt8](repeating: unit[0], count: count)) }
        var bytes = unit
        bytes.reserveCapacity(unit.count * count)
        while bytes.count * 2 <= unit.count * count { bytes.append(contentsOf: bytes) }
        bytes.append(contentsOf: bytes[..<(unit.count * count - bytes.count)])
        return string(bytes)
    }

    // MARK: Case

    static func capitalize(_ text: String) -> String {
        let scalars = Array(text.unicodeScalars)
        guard let first = scalars.first else { return text }
        return first.properties.titlecaseMapping + scalars.indices.dropFirst().map { lowercase(scalars, at: $0) }.joined()
    }

    static func lowercased(_ text: String) -> String {
        guard text.unicodeScalars.contains(capitalSigma) else { return text.lowercased() }
        let scalars = Array(text.unicodeScalars)
        return scalars.indices.map { lowercase(scalars, at: $0) }.joined()
    }

    private static let capitalSigma: Unicode.Scalar = "\u{3A3}"

    /// The lower case of one code point of a text. It depends on its neighbours for a sigma alone, which is another letter at the
    /// end of a word; O(1) but for the apostrophes and marks around it.
    private static func lowercase(_ scalars: [Unicode.Scalar], at index: Int) -> String {
        guard scalars[index] == capitalSigma else { return scalars[index].properties.lowercaseMapping }
        let before = scalars[..<index].last { !$0.properties.isCaseIgnorable }
        let after = scalars[(index + 1)...].first { !$0.properties.isCaseIgnorable }
        let isFinal = before?.properties.isCased ?? false && !(after?.properties.isCased ?? false)
        return isFinal ? "\u{3C2}" : "\u{3C3}"
    }

    static func swapCase(_ text: String) -> String {
        let scalars = Array(text.unicodeScalars)
        return scalars.indices.map { index in
            let properties = scalars[index].properties
            if properties.isUppercase { return lowercase(scalars, at: index) }
            return properties.isLowercase ? properties.uppercaseMapping : String(scalars[index])
        }.joined()
    }

    /// Words as the `title` method finds them: a letter after anything that is not a letter is a capital.
    static func titleByLetters(_ text: String) -> String {
        var result = ""
        var afterLetter = false
        let scalars = Array(text.unicodeScalars)
        for (index, scalar) in scalars.enumerated() {
            result += afterLetter ? lowercase(scalars, at: index) : scalar.properties.titlecaseMapping
            afterLetter = scalar.properties.isCased
        }
        return result
    }

    /// Words as the `title` filter finds them: whitespace, hyphens and opening brackets separate. What follows the first letter of a
    /// word is a text of its own.
    static func titleByWords(_ text: String) -> String {
        var result = ""
        var atStart = true
        var rest = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            let separates = scalar.isPythonSpace || ["-", "(", "{", "[", "<"].contains(scalar)
            if separates || atStart {
                result += lowercased(String(rest))
                rest.removeAll()
                result += separates ? String(scalar) : scalar.properties.uppercaseMapping
            } else {
                rest.append(scalar)
            }
            atStart = separates
        }
        return result + lowercased(String(rest))
    }

    static func isUpper(_ text: String) -> Bool {
        text.unicodeScalars.contains { $0.properties.isUppercase }
            && !text.unicodeScalars.contains { $0.properties.isLowercase || $0.properties.generalCategory == .titlecaseLetter }
    }

    static func isLower(_ text: String) -> Bool {
        text.unicodeScalars.contains { $0.properties.isLowercase }
            && !text.unicodeScalars.contains { $0.properties.isUppercase || $0.properties.generalCategory == .titlecaseLetter }
    }

    static func isLetter(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
        default: false
        }
    }

    /// Runs of letters, digits and underscores.
    static func wordCount(_ text: String) -> Int {
        var count = 0
        var inWord = false
        for scalar in text.unicodeScalars {
            let isWord = scalar == "_" || isLetter(scalar) || scalar.properties.numericType != nil
            if isWord, !inWord { count += 1 }
            inWord = isWord
        }
        return count
    }

    // MARK: Printing

    /// Python's `repr` of a text: single quotes unless only they occur inside, unprintable code points escaped.
    static func quoted(_ text: String) -> String {
        let quote: Unicode.Scalar = text.utf8.contains(UInt8(ascii: "'")) && !text.utf8.contains(UInt8(ascii: "\"")) ? "\"" : "'"
        var result = String(quote)
        for scalar in text.unicodeScalars {
            switch scalar {
            case quote, "\\":
                result += "\\"
                result.unicodeScalars.append(scalar)
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default:
                if isPrintable(scalar) { result.unicodeScalars.append(scalar) } else { result += escape(scalar) }
            }
        }
        result.unicodeScalars.append(quote)
        return result
    }

    private static func escape(_ scalar: Unicode.Scalar) -> String {
        switch scalar.value {
        case ..<0x100: "\\x" + hexadecimal(scalar.value, digits: 2)
        case ..<0x10000: "\\u" + hexadecimal(scalar.value, digits: 4)
        default: "\\U" + hexadecimal(scalar.value, digits: 8)
        }
    }

    static func hexadecimal(_ value: UInt32, digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return scalar.value >= 0x20 && scalar.value < 0x7F }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator, .spaceSeparator:
            return false
        default: return true
        }
    }

    /// Python's `repr` of a float: the shortest digits that read back the same, with an exponent below 1e-4 and from 1e16.
    static func number(_ value: Double) -> String {
        guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
        if value == 0 { return value.sign == .minus ? "-0.0" : "0.0" }
        let (digits, exponent) = decimal(value.magnitude)
        let sign = value < 0 ? "-" : ""
        if exponent < -4 || exponent >= 16 {
            let fraction = digits.count > 1 ? "." + digits.dropFirst() : ""
            let magnitude = String(exponent.magnitude)
            return "\(sign)\(digits.prefix(1))\(fraction)e\(exponent < 0 ? "-" : "+")\(magnitude.count < 2 ? "0" : "")\(magnitude)"
        }
        if exponent < 0 { return sign + "0." + String(repeating: "0", count: -exponent - 1) + digits }
        let whole = exponent + 1
        if digits.count <= whole { return sign + digits + String(repeating: "0", count: whole - digits.count) + ".0" }
        return sign + digits.prefix(whole) + "." + digits.dropFirst(whole)
    }

    /// The shortest significant digits of a positive number, and the power of ten of the first one.
    private static func decimal(_ value: Double) -> (digits: String, exponent: Int) {
        var text = Array("\(value)".utf8)
        var exponent = 0
        if let mark = text.firstIndex(of: UInt8(ascii: "e")) {
            exponent = Int(string(text[(mark + 1)...])) ?? 0
            text.removeSubrange(mark...)
        }
        let point = text.firstIndex(of: UInt8(ascii: ".")) ?? text.count
        exponent += point - 1
        text.removeAll { $0 == UInt8(ascii: ".") }
        let leading = text.prefix { $0 == UInt8(ascii: "0") }.count
        text.removeFirst(leading)
        exponent -= leading
        while text.count > 1, text.last == UInt8(ascii: "0") { text.removeLast() }
        return (string(text), exponent)
    }
}
