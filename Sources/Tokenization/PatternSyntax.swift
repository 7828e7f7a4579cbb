/// Rewrites a pattern from the syntax tokenizer files are written in (Oniguruma, Ruby flavour, UTF-8) to PCRE2's.
///
/// Where the two read the same text differently it is rewritten; what cannot be is refused, so that no pattern silently means
/// something else. PCRE2 is to compile the result with UTF, UCP, MULTILINE and the newline LF.
struct PatternSyntax {
    struct Refusal: Error, Equatable {
        let offset: Int
        let reason: String
    }

    private static let word = PatternProperty.word
    private static let hexDigit = PatternProperty.hexDigit

    private let pattern: [UInt8]
    private var offset = 0
    private var output: [UInt8] = []
    /// Where in `output` the last atom (character, class, group) begins, and the groups that are open.
    private var atom = 0
    private var openGroups: [(start: Int, ignoresCase: Bool)] = []
    /// Whether case is ignored here, and the literal characters, folded, that stand side by side where it is.
    private var ignoresCase = false
    private var literals: [UInt32] = []

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
        case UInt8(ascii: ")"):
            let group = openGroups.popLast() ?? (output.count, ignoresCase)
            atom = group.start
            ignoresCase = group.ignoresCase
        case UInt8(ascii: "("): openGroups.append((output.count, ignoresCase))
        case UInt8(ascii: "+"), UInt8(ascii: "*"), UInt8(ascii: "?"): break
        default: atom = output.count
        }
        switch byte {
        case UInt8(ascii: "\\"): try translateEscape(inClass: false)
        case UInt8(ascii: "["): try translateClass()
        case UInt8(ascii: "("): try translateGroup()
        case UInt8(ascii: ")"): copy()
        case UInt8(ascii: "+"), UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "|"), UInt8(ascii: "."), UInt8(ascii: "^"),
            UInt8(ascii: "$"):
            literals = []
            copy()
        default: try translateLiteral()
        }
    }

    /// A character that stands for itself.
    private mutating func translateLiteral() throws(Refusal) {
        let (scalar, length) = decodeScalar(pattern.span, at: offset)
        for _ in 0..<length { copy() }
        try note(literal: scalar)
    }

    /// Where case is ignored, a letter that folds to several and several that one folds to are refused. A group does not part
    /// them.
    private mutating func note(literal scalar: UInt32) throws(Refusal) {
        guard ignoresCase else { return }
        guard !PatternFolding.expands(scalar...scalar) else { throw refusal("a letter that folds to several, where case is ignored") }
        switch peek() {
        case UInt8(ascii: "+"), UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "{"): literals = []
        default:
            literals = literals.suffix(2) + [PatternFolding.folded(scalar)]
            guard !PatternFolding.endsInExpansion(literals) else {
                throw refusal("letters that one letter folds to, where case is ignored")
            }
        }
    }

    /// `{,n}` counts from 0. An interval is never possessive: `{n,m}+` repeats it.
    private mutating func translateInterval() throws(Refusal) {
        let inside = pattern[(offset + 1)...].prefix { $0 == UInt8(ascii: ",") || (48...57).contains($0) }
        let end = inside.endIndex
        guard !inside.isEmpty, end < pattern.count, pattern[end] == UInt8(ascii: "}") else {
            atom = output.count
            return try translateLiteral()
        }
        literals = []
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
        var sets = true
        while let letter = peek() {
            if letter == UInt8(ascii: "-") { sets = false }
            if letter == UInt8(ascii: "i") { ignoresCase = sets }
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
        literals = []
        copy()
        if peek() == UInt8(ascii: "^") { copy() }
        // The first character of a range that may follow, for `a-z`.
        var low: UInt32?
        var isRange = false
        var isFirst = true
        while let byte = peek() {
            var literal: UInt32?
            switch byte {
            case UInt8(ascii: "]") where !isFirst: return copy()
            case UInt8(ascii: "\\"): literal = try translateEscape(inClass: true)
            case UInt8(ascii: "[") where peek(1) == UInt8(ascii: ":"): try translatePOSIXClass()
            case UInt8(ascii: "["): throw refusal("a class inside a class")
            case UInt8(ascii: "&") where peek(1) == UInt8(ascii: "&"): throw refusal("an intersection of classes")
            case UInt8(ascii: "-") where low != nil && !isRange && peek(1) != UInt8(ascii: "]"):
                copy()
                isRange = true
                continue
            default:
                let (scalar, length) = decodeScalar(pattern.span, at: offset)
                for _ in 0..<length { copy() }
                literal = scalar
            }
            isFirst = false
            if ignoresCase, let literal {
                let first = isRange ? low ?? literal : literal
                guard first > literal || !PatternFolding.expands(first...literal) else {
                    throw refusal("a class with a letter that folds to several, where case is ignored")
                }
            }
            low = isRange ? nil : literal
            isRange = false
        }
        throw refusal("the pattern ends inside a class")
    }

    /// `[:name:]` or `[:^name:]` inside a class.
    private mutating func translatePOSIXClass() throws(Refusal) {
        var name = pattern[(offset + 2)...].prefix { $0 != UInt8(ascii: ":") && $0 != UInt8(ascii: "]") }
        let end = name.endIndex
        guard end + 1 < pattern.count, pattern[end] == UInt8(ascii: ":"), pattern[end + 1] == UInt8(ascii: "]") else {
            throw refusal("a class inside a class")
        }
        let isNegated = name.first == UInt8(ascii: "^")
        if isNegated { name.removeFirst() }
        let text = String(decoding: name, as: UTF8.self)
        guard let property = PatternProperty(posix: text) else { throw refusal("the class [:\(text):]") }
        try emit(property, isNegated: isNegated, inClass: true, name: text)
        offset = end + 2
    }

    private mutating func emit(
        _ property: PatternProperty, isNegated: Bool, inClass: Bool, name: String
    ) throws(Refusal) {
        guard inClass else { return emit("[\(isNegated ? "^" : "")\(property.members)]") }
        guard let members = isNegated ? property.others : property.members else {
            throw refusal("the opposite of \(name) inside a class")
        }
        if ignoresCase, !property.isClosedUnderCase {
            // Of what is no letter, U+0345 alone folds to one.
            guard members == "\\p{L}" else { throw refusal("\(name) inside a class, where case is ignored") }
            emit("\\x{345}")
        }
        emit(members)
    }

    /// `\p{Name}`, `\P{Name}` and `\p{^Name}`, whole.
    private mutating func translateProperty(isNegated: Bool, inClass: Bool) throws(Refusal) {
        guard peek() == UInt8(ascii: "{") else { throw refusal("a property without braces") }
        var name = pattern[(offset + 1)...].prefix { $0 != UInt8(ascii: "}") }
        let end = name.endIndex
        guard end < pattern.count else { throw refusal("the pattern ends inside a property") }
        var isNegated = isNegated
        if name.first == UInt8(ascii: "^") {
            isNegated.toggle()
            name.removeFirst()
        }
        let text = String(decoding: name, as: UTF8.self)
        guard let property = PatternProperty(named: text) else { throw refusal("the property \(text)") }
        if !inClass, property.standsAlone, let others = property.others {
            emit(isNegated ? others : property.members)
        } else {
            try emit(property, isNegated: isNegated, inClass: inClass, name: text)
        }
        offset = end + 1
    }

    /// `\xHH` or `\x{H…}`, whole; its value.
    private mutating func translateHexadecimal() throws(Refusal) -> UInt32 {
        let isBraced = peek() == UInt8(ascii: "{")
        if isBraced { offset += 1 }
        let digits = pattern[offset...].prefix(isBraced ? 8 : 2).prefix { Character(Unicode.Scalar($0)).isHexDigit }
        guard let value = UInt32(String(decoding: digits, as: UTF8.self), radix: 16) else {
            throw refusal("hexadecimal digits were expected")
        }
        if !isBraced, value > 0x7F { throw refusal("a raw byte") }
        offset = digits.endIndex
        if isBraced {
            guard peek() == UInt8(ascii: "}") else { throw refusal("hexadecimal digits were expected") }
            offset += 1
        }
        emit("\\x{\(String(value, radix: 16, uppercase: true))}")
        return value
    }

    /// The character it stands for, if it is a literal; outside a class that is noted already.
    @discardableResult
    private mutating func translateEscape(inClass: Bool) throws(Refusal) -> UInt32? {
        guard let letter = peek(1) else { throw refusal("the pattern ends after a backslash") }
        offset += 2
        var literal: UInt32?
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
        case UInt8(ascii: "u"): literal = try translateUnicodeEscape()
        case UInt8(ascii: "p"), UInt8(ascii: "P"): try translateProperty(isNegated: letter == UInt8(ascii: "P"), inClass: inClass)
        case UInt8(ascii: "x"): literal = try translateHexadecimal()
        case UInt8(ascii: "b"), UInt8(ascii: "d"), UInt8(ascii: "D"), UInt8(ascii: "a"), UInt8(ascii: "e"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            output.append(contentsOf: [UInt8(ascii: "\\"), letter])
        case UInt8(ascii: "A"), UInt8(ascii: "z"), UInt8(ascii: "Z"), UInt8(ascii: "R"), UInt8(ascii: "X"),
            UInt8(ascii: "K"), UInt8(ascii: "k"), UInt8(ascii: "g"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            guard !inClass else { throw refusal("an escape that has no meaning inside a class") }
            output.append(contentsOf: [UInt8(ascii: "\\"), letter])
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"):
            throw refusal("the escape \\\(Character(Unicode.Scalar(letter)))")
        default:
            // A character of punctuation, or one beyond ASCII, which needs no escape.
            offset -= 1
            let (scalar, length) = decodeScalar(pattern.span, at: offset)
            if length == 1 { emit("\\") }
            for _ in 0..<length { copy() }
            literal = scalar
        }
        if !inClass {
            if let literal { try note(literal: literal) } else { literals = [] }
        }
        return literal
    }

    private mutating func emitBoundary(negated: Bool) {
        let (same, other) = ("(?<=[\(Self.word)])", "(?<![\(Self.word)])")
        let (before, after) = negated ? ("=", "!") : ("!", "=")
        emit("(?:\(same)(?\(before)[\(Self.word)])|\(other)(?\(after)[\(Self.word)]))")
    }

    private mutating func translateUnicodeEscape() throws(Refusal) -> UInt32? {
        guard offset + 4 <= pattern.count else { throw refusal("the pattern ends inside an escape") }
        let digits = pattern[offset..<(offset + 4)]
        guard digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }) else {
            throw refusal("four hexadecimal digits were expected")
        }
        emit("\\x{")
        output.append(contentsOf: digits)
        emit("}")
        offset += 4
        return UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
    }
}
