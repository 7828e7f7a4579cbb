/// Rewrites a pattern from the syntax tokenizer files are written in (Oniguruma, Ruby flavour, UTF-8) to PCRE2's.
///
/// Where the two read the same text differently it is rewritten; what cannot be is refused, so that no pattern silently means
/// something else. PCRE2 is to compile the result with UTF, UCP, MULTILINE and the newline LF.
struct PatternSyntax {
    struct Refusal: Error, Equatable {
        let offset: Int
        let reason: String
    }

    /// Oniguruma's word characters as the inside of a class; the numerals of Latin-1 are among them.
    private static let word = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}"
    private static let hexDigit = "0-9A-Fa-f"

    private let pattern: [UInt8]
    private var offset = 0
    private var output: [UInt8] = []
    /// Where in `output` the last atom (character, class, group) begins, and the groups that are open.
    private var atom = 0
    private var openGroups: [Int] = []

    static func translate(_ pattern: String) throws(Refusal) -> String {
        var syntax = PatternSyntax(pattern: Array(pattern.utf8))
        while syntax.offset < syntax.pattern.count { try syntax.translateNext() }
        return String(decoding: syntax.output, as: UTF8.self)
    }

    private init(pattern: [UInt8]) { self.pattern = pattern }

    private func peek(_ distance: Int = 0) -> UInt8? {
        offset + distance < pattern.count ? pattern[offset + distance] : nil
    }

    private func refusal(_ reason: String) -> Refusal { Refusal(offset: offset, reason: reason) }

    private mutating func emit(_ text: String) { output.append(contentsOf: text.utf8) }

    private mutating func copy() {
        output.append(pattern[offset])
        offset += 1
    }

    private mutating func translateNext() throws(Refusal) {
        let byte = pattern[offset]
        switch byte {
        case UInt8(ascii: "{"): return try translateInterval()
        case UInt8(ascii: ")"): atom = openGroups.popLast() ?? output.count
        case UInt8(ascii: "("): openGroups.append(output.count)
        case UInt8(ascii: "+"), UInt8(ascii: "*"), UInt8(ascii: "?"), 0x80..<0xC0: break
        default: atom = output.count
        }
        switch byte {
        case UInt8(ascii: "\\"): try translateEscape(inClass: false)
        case UInt8(ascii: "["): try translateClass()
        case UInt8(ascii: "("): try translateGroup()
        default: copy()
        }
    }

    /// `{,n}` counts from 0. An interval is never possessive: `{n,m}+` repeats it.
    private mutating func translateInterval() throws(Refusal) {
        guard let end = pattern[offset...].firstIndex(of: UInt8(ascii: "}")) else { return copy() }
        let inside = pattern[(offset + 1)..<end]
        guard !inside.isEmpty, inside.allSatisfy({ $0 == UInt8(ascii: ",") || (48...57).contains($0) }) else { return copy() }
        emit(inside.first == UInt8(ascii: ",") ? "{0" : "{")
        output.append(contentsOf: inside)
        emit("}")
        offset = end + 1
        if peek() == UInt8(ascii: "+") {
            output.insert(contentsOf: "(?:".utf8, at: atom)
            emit(")+")
            offset += 1
        } else if peek() == UInt8(ascii: "?"), !inside.contains(UInt8(ascii: ",")) {
            throw refusal("an exact count followed by ?")
        }
    }

    private mutating func translateGroup() throws(Refusal) {
        if peek(1) == UInt8(ascii: "*") { throw refusal("a verb or callout") }
        guard peek(1) == UInt8(ascii: "?") else { return copy() }
        let isFirst = offset == 0
        switch peek(2) {
        case UInt8(ascii: ":"), UInt8(ascii: "="), UInt8(ascii: "!"), UInt8(ascii: ">"), UInt8(ascii: "#"), UInt8(ascii: "<"):
            for _ in 0..<3 { copy() }
        case UInt8(ascii: "i"), UInt8(ascii: "m"), UInt8(ascii: "x"), UInt8(ascii: "-"):
            try translateOptions(atStart: isFirst)
        default: throw refusal("an unknown kind of group")
        }
    }

    /// `(?imx-imx:` and, at the very start, `(?imx-imx)`. Elsewhere the latter opens a group of its own in Oniguruma.
    private mutating func translateOptions(atStart: Bool) throws(Refusal) {
        copy()
        copy()
        while let letter = peek() {
            switch letter {
            case UInt8(ascii: "m"):
                emit("s")
                offset += 1
            case UInt8(ascii: "i"), UInt8(ascii: "x"), UInt8(ascii: "-"), UInt8(ascii: ":"): copy()
            case UInt8(ascii: ")"):
                guard atStart else { throw refusal("options in the middle of a pattern") }
                copy()
            default: throw refusal("an unknown option")
            }
            if letter == UInt8(ascii: ":") || letter == UInt8(ascii: ")") { return }
        }
        throw refusal("the pattern ends inside a group")
    }

    private mutating func translateClass() throws(Refusal) {
        copy()
        if peek() == UInt8(ascii: "^") { copy() }
        if peek() == UInt8(ascii: "]") { copy() }
        while let byte = peek() {
            switch byte {
            case UInt8(ascii: "]"): return copy()
            case UInt8(ascii: "\\"): try translateEscape(inClass: true)
            case UInt8(ascii: "["):
                guard peek(1) == UInt8(ascii: ":") else { throw refusal("a class inside a class") }
                copy()
                while let byte = peek(), byte != UInt8(ascii: "]") { copy() }
                guard peek() != nil else { break }
                copy()
            case UInt8(ascii: "&") where peek(1) == UInt8(ascii: "&"): throw refusal("an intersection of classes")
            default: copy()
            }
        }
        throw refusal("the pattern ends inside a class")
    }

    private mutating func translateEscape(inClass: Bool) throws(Refusal) {
        guard let letter = peek(1) else { throw refusal("the pattern ends after a backslash") }
        offset += 2
        switch letter {
        case UInt8(ascii: "s"): emit("\\p{White_Space}")
        case UInt8(ascii: "S"): emit("\\P{White_Space}")
        case UInt8(ascii: "w"): emit(inClass ? Self.word : "[\(Self.word)]")
        case UInt8(ascii: "h"): emit(inClass ? Self.hexDigit : "[\(Self.hexDigit)]")
        case UInt8(ascii: "W") where !inClass: emit("[^\(Self.word)]")
        case UInt8(ascii: "H") where !inClass: emit("[^\(Self.hexDigit)]")
        case UInt8(ascii: "b") where !inClass: emitBoundary(negated: false)
        case UInt8(ascii: "B") where !inClass: emitBoundary(negated: true)
        case UInt8(ascii: "v"): emit("\\x0B")
        case UInt8(ascii: "u"): try translateUnicodeEscape()
        case UInt8(ascii: "p"), UInt8(ascii: "P"):
            guard peek() == UInt8(ascii: "{") else { throw refusal("a property without braces") }
            emit(letter == UInt8(ascii: "p") ? "\\p" : "\\P")
        case UInt8(ascii: "x"):
            if let digit = peek(), (UInt8(ascii: "8")...UInt8(ascii: "f")).contains(digit) { throw refusal("a raw byte") }
            emit("\\x")
        case UInt8(ascii: "b"), UInt8(ascii: "d"), UInt8(ascii: "D"), UInt8(ascii: "a"), UInt8(ascii: "e"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            output.append(contentsOf: [UInt8(ascii: "\\"), letter])
        case UInt8(ascii: "A"), UInt8(ascii: "z"), UInt8(ascii: "Z"), UInt8(ascii: "G"), UInt8(ascii: "R"), UInt8(ascii: "X"),
            UInt8(ascii: "K"), UInt8(ascii: "k"), UInt8(ascii: "g"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            guard !inClass else { throw refusal("an escape that has no meaning inside a class") }
            output.append(contentsOf: [UInt8(ascii: "\\"), letter])
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"):
            throw refusal("the escape \\\(Character(Unicode.Scalar(letter)))")
        default: output.append(contentsOf: [UInt8(ascii: "\\"), letter])
        }
    }

    private mutating func emitBoundary(negated: Bool) {
        let (same, other) = ("(?<=[\(Self.word)])", "(?<![\(Self.word)])")
        let (before, after) = negated ? ("=", "!") : ("!", "=")
        emit("(?:\(same)(?\(before)[\(Self.word)])|\(other)(?\(after)[\(Self.word)]))")
    }

    private mutating func translateUnicodeEscape() throws(Refusal) {
        guard offset + 4 <= pattern.count else { throw refusal("the pattern ends inside an escape") }
        let digits = pattern[offset..<(offset + 4)]
        guard digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }) else {
            throw refusal("four hexadecimal digits were expected")
        }
        emit("\\x{")
        output.append(contentsOf: digits)
        emit("}")
        offset += 4
    }
}
