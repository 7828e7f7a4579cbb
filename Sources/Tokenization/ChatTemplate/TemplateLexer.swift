/// A piece of a template's text.
struct TemplateToken: Sendable {
    enum Kind: Sendable, Equatable {
        /// Literal output, whitespace control already applied.
        case text(String)
        case name(String)
        case string(String)
        case integer(Int)
        case float(Double)
        case symbol(String)
        /// `{%` and `%}`
        case blockBegin, blockEnd
        /// `{{` and `}}`
        case outputBegin, outputEnd
        case end
    }

    let kind: Kind
    let line: Int
}

/// Cuts a template into tokens, with whitespace control as chat templates are written for: a newline after a block is
/// dropped, blanks before a block on its own line are dropped, one newline at the end of the text is dropped, and `-` or `+`
/// beside a delimiter override that. O(text).
struct TemplateLexer {
    private let source: [Unicode.Scalar]
    private var position = 0
    private var line = 1
    /// Line of `lineOffset`, so that lines are counted once.
    private var lineOffset = 0
    /// True at the start and after a delimiter that took the newline behind it.
    private var atLineStart = true
    private var tokens: [TemplateToken] = []

    static func tokens(of text: String, limits: TemplateLimits) throws(TemplateError) -> [TemplateToken] {
        guard text.utf8.count <= limits.sourceBytes else {
            throw .exceeded(line: 1, limit: "bytes of template text", bound: limits.sourceBytes)
        }
        var lexer = TemplateLexer(text)
        try lexer.run()
        return lexer.tokens
    }

    private init(_ text: String) {
        var scalars: [Unicode.Scalar] = []
        scalars.reserveCapacity(text.utf8.count)
        var afterReturn = false
        for scalar in text.unicodeScalars {
            if scalar == "\r" {
                scalars.append("\n")
            } else if !(scalar == "\n" && afterReturn) {
                scalars.append(scalar)
            }
            afterReturn = scalar == "\r"
        }
        if scalars.last == "\n" { scalars.removeLast() }
        source = scalars
    }

    // MARK: Text between tags

    private mutating func run() throws(TemplateError) {
        while position < source.count {
            guard let tag = nextTag(from: position) else {
                appendText(position..<source.count)
                position = source.count
                break
            }
            if let bodyStart = rawBegin(at: tag) {
                try lexRaw(tag: tag, bodyStart: bodyStart)
                continue
            }
            let sign = self.sign(at: tag + 2)
            let kind = source[tag + 1]
            appendText(stripped(position..<tag, sign: sign, isOutput: kind == "{"))
            position = tag + (sign == nil ? 2 : 3)
            switch kind {
            case "#": try skipComment(tag: tag)
            case "%":
                append(.blockBegin, at: tag)
                try lexTag(isOutput: false)
            default:
                append(.outputBegin, at: tag)
                try lexTag(isOutput: true)
            }
        }
        append(.end, at: source.count)
    }

    private func nextTag(from start: Int) -> Int? {
        var index = start
        while index + 1 < source.count {
            if source[index] == "{" {
                switch source[index + 1] {
                case "{", "%", "#": return index
                default: break
                }
            }
            index += 1
        }
        return nil
    }

    private func sign(at index: Int) -> Unicode.Scalar? {
        guard index < source.count, source[index] == "-" || source[index] == "+" else { return nil }
        return source[index]
    }

    /// What remains of the text before a tag.
    private func stripped(_ range: Range<Int>, sign: Unicode.Scalar?, isOutput: Bool) -> Range<Int> {
        var end = range.upperBound
        if sign == "-" {
            while end > range.lowerBound, source[end - 1].isPythonSpace { end -= 1 }
            return range.lowerBound..<end
        }
        if sign == "+" || isOutput { return range }
        while end > range.lowerBound, source[end - 1] != "\n", source[end - 1].isPythonSpace { end -= 1 }
        let reachesLineStart = end > range.lowerBound ? source[end - 1] == "\n" : atLineStart
        return reachesLineStart ? range.lowerBound..<end : range
    }

    private mutating func appendText(_ range: Range<Int>) {
        if !range.isEmpty { append(.text(string(range)), at: range.lowerBound) }
    }

    /// Passes the end of a tag: `-` takes all whitespace behind it, `+` none, otherwise one newline if `trimming`.
    private mutating func passEnd(at delimiter: Int, sign: Unicode.Scalar?, trimming: Bool) {
        position = delimiter + 2
        if sign == "-" {
            while position < source.count, source[position].isPythonSpace { position += 1 }
        } else if sign == nil, trimming, position < source.count, source[position] == "\n" {
            position += 1
        }
        atLineStart = source[position - 1] == "\n"
    }

    // MARK: Comments and raw text

    private mutating func skipComment(tag: Int) throws(TemplateError) {
        var index = position
        while index + 1 < source.count {
            if source[index] == "#", source[index + 1] == "}" {
                let sign = index > position ? self.sign(at: index - 1) : nil
                return passEnd(at: index, sign: sign, trimming: true)
            }
            index += 1
        }
        throw .syntax(line: line(at: tag), reason: "a comment without its end '#}'")
    }

    /// The offset behind a `{% raw %}` that starts at `tag`; nil when another tag starts there.
    private func rawBegin(at tag: Int) -> Int? {
        guard source[tag + 1] == "%" else { return nil }
        guard var index = word("raw", in: tag + (sign(at: tag + 2) == nil ? 2 : 3)) else { return nil }
        let strips = index < source.count && source[index] == "-"
        if strips { index += 1 }
        guard index + 1 < source.count, source[index] == "%", source[index + 1] == "}" else { return nil }
        index += 2
        if strips { while index < source.count, source[index].isPythonSpace { index += 1 } }
        return index
    }

    /// The offset behind whitespace, `word` and whitespace at `start`.
    private func word(_ word: StaticString, in start: Int) -> Int? {
        var index = start
        while index < source.count, source[index].isPythonSpace { index += 1 }
        for scalar in word.description.unicodeScalars {
            guard index < source.count, source[index] == scalar else { return nil }
            index += 1
        }
        while index < source.count, source[index].isPythonSpace { index += 1 }
        return index
    }

    private mutating func lexRaw(tag: Int, bodyStart: Int) throws(TemplateError) {
        appendText(stripped(position..<tag, sign: sign(at: tag + 2), isOutput: false))
        atLineStart = source[bodyStart - 1] == "\n"
        var index = bodyStart
        while index + 1 < source.count {
            defer { index += 1 }
            guard source[index] == "{", source[index + 1] == "%" else { continue }
            let begin = sign(at: index + 2)
            guard var end = word("endraw", in: index + (begin == nil ? 2 : 3)) else { continue }
            let close = sign(at: end)
            if close != nil { end += 1 }
            guard end + 1 < source.count, source[end] == "%", source[end + 1] == "}" else { continue }
            appendText(stripped(bodyStart..<index, sign: begin, isOutput: false))
            return passEnd(at: end, sign: close, trimming: true)
        }
        throw .syntax(line: line(at: tag), reason: "a raw block without its end '{% endraw %}'")
    }

    // MARK: Inside a tag

    private static let symbols2: Set<String> = ["//", "**", "==", "!=", ">=", "<="]
    private static let symbols1: Set<Unicode.Scalar> = [
        "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",",
    ]

    /// Tokens up to and including the end of the tag. An end inside brackets is no end: `{{ {'a': {}} }}`.
    private mutating func lexTag(isOutput: Bool) throws(TemplateError) {
        var open: [Unicode.Scalar] = []
        while position < source.count {
            if open.isEmpty, passTagEnd(isOutput: isOutput) { return }
            let start = position
            let scalar = source[start]
            if scalar.isPythonSpace {
                position += 1
            } else if scalar.isDigit {
                try lexNumber()
            } else if scalar.isNameStart {
                while position < source.count, source[position].isNameContinue { position += 1 }
                append(.name(string(start..<position)), at: start)
            } else if scalar == "'" || scalar == "\"" {
                try lexString(quote: scalar)
            } else {
                try lexSymbol(open: &open)
            }
        }
    }

    private mutating func passTagEnd(isOutput: Bool) -> Bool {
        let first: Unicode.Scalar = isOutput ? "}" : "%"
        var index = position
        let sign = self.sign(at: index)
        if sign != nil { index += 1 }
        guard index + 1 < source.count, source[index] == first, source[index + 1] == "}" else { return false }
        if isOutput, sign == "+" { return false }
        append(isOutput ? .outputEnd : .blockEnd, at: position)
        passEnd(at: index, sign: sign, trimming: !isOutput)
        return true
    }

    private mutating func lexSymbol(open: inout [Unicode.Scalar]) throws(TemplateError) {
        let start = position
        let scalar = source[start]
        if start + 1 < source.count {
            let pair = string(start..<start + 2)
            if Self.symbols2.contains(pair) {
                position += 2
                return append(.symbol(pair), at: start)
            }
        }
        guard Self.symbols1.contains(scalar) else {
            throw .syntax(line: line(at: start), reason: "unexpected character '\(scalar)'")
        }
        switch scalar {
        case "(": open.append(")")
        case "[": open.append("]")
        case "{": open.append("}")
        case ")", "]", "}":
            guard let expected = open.popLast() else {
                throw .syntax(line: line(at: start), reason: "unexpected '\(scalar)'")
            }
            guard expected == scalar else {
                throw .syntax(line: line(at: start), reason: "unexpected '\(scalar)', expected '\(expected)'")
            }
        default: break
        }
        position += 1
        append(.symbol(String(scalar)), at: start)
    }

    private mutating func lexNumber() throws(TemplateError) {
        let start = position
        if source[start] == "0", start + 1 < source.count, let radix = Self.radix(of: source[start + 1]) {
            var end = start + 2
            while end < source.count, source[end].isNameContinue { end += 1 }
            let digits = string(start + 2..<end).filter { $0 != "_" }
            guard let value = Int(digits, radix: radix) else {
                throw .syntax(line: line(at: start), reason: "'\(string(start..<end))' is not a 64-bit integer")
            }
            position = end
            return append(.integer(value), at: start)
        }
        passDigits()
        var isFloat = false
        // `a.0.1` is two accesses, not one to 0.1.
        if start == 0 || source[start - 1] != "." {
            if position + 1 < source.count, source[position] == ".", source[position + 1].isDigit {
                isFloat = true
                position += 1
                passDigits()
            }
            if position < source.count, source[position] == "e" || source[position] == "E" {
                let signed = sign(at: position + 1) == nil ? position + 1 : position + 2
                if signed < source.count, source[signed].isDigit {
                    isFloat = true
                    position = signed
                    passDigits()
                }
            }
        }
        let digits = string(start..<position).filter { $0 != "_" }
        if isFloat, digits.utf8.count <= 400, let value = Double(digits) { return append(.float(value), at: start) }
        guard !isFloat, let value = Int(digits) else {
            throw .syntax(line: line(at: start), reason: "'\(digits.prefix(40))' is not a 64-bit number")
        }
        append(.integer(value), at: start)
    }

    private static func radix(of scalar: Unicode.Scalar) -> Int? {
        switch scalar {
        case "x", "X": 16
        case "o", "O": 8
        case "b", "B": 2
        default: nil
        }
    }

    private mutating func passDigits() {
        while position < source.count {
            let isGroup = source[position] == "_" && position + 1 < source.count && source[position + 1].isDigit
            guard source[position].isDigit || isGroup else { return }
            position += 1
        }
    }

    private mutating func lexString(quote: Unicode.Scalar) throws(TemplateError) {
        let start = position
        position += 1
        var text = String.UnicodeScalarView()
        while position < source.count {
            let scalar = source[position]
            position += 1
            if scalar == quote { return append(.string(String(text)), at: start) }
            if scalar == "\\" { try lexEscape(into: &text) } else { text.append(scalar) }
        }
        throw .syntax(line: line(at: start), reason: "a string without its closing quote")
    }

    /// An escape behind its backslash; unknown ones stand for themselves, as in Python.
    private mutating func lexEscape(into text: inout String.UnicodeScalarView) throws(TemplateError) {
        guard position < source.count else { return }
        let scalar = source[position]
        position += 1
        switch scalar {
        case "\n": break
        case "n": text.append("\n")
        case "t": text.append("\t")
        case "r": text.append("\r")
        case "a": text.append("\u{07}")
        case "b": text.append("\u{08}")
        case "f": text.append("\u{0C}")
        case "v": text.append("\u{0B}")
        case "\\", "'", "\"": text.append(scalar)
        case "x": text.append(try hexadecimal(digits: 2))
        case "u": text.append(try hexadecimal(digits: 4))
        case "U": text.append(try hexadecimal(digits: 8))
        case "N": throw .syntax(line: line(at: position), reason: "characters by name (\\N) are not supported")
        case "0"..."7":
            var value = scalar.value - 48
            for _ in 0..<2 {
                guard position < source.count, ("0"..."7").contains(source[position]) else { break }
                value = value * 8 + source[position].value - 48
                position += 1
            }
            text.append(Unicode.Scalar(value) ?? "\u{FFFD}")
        default:
            text.append("\\")
            text.append(scalar)
        }
    }

    private mutating func hexadecimal(digits: Int) throws(TemplateError) -> Unicode.Scalar {
        let end = position + digits
        guard end <= source.count, source[position..<end].allSatisfy({ $0.properties.isASCIIHexDigit }),
            let value = UInt32(string(position..<end), radix: 16), let scalar = Unicode.Scalar(value)
        else { throw .syntax(line: line(at: position), reason: "\(digits) hexadecimal digits of a character were expected") }
        position = end
        return scalar
    }

    // MARK: Tokens

    private mutating func append(_ kind: TemplateToken.Kind, at offset: Int) {
        while lineOffset < offset {
            if source[lineOffset] == "\n" { line += 1 }
            lineOffset += 1
        }
        tokens.append(TemplateToken(kind: kind, line: line))
    }

    private func line(at offset: Int) -> Int {
        1 + source[..<min(offset, source.count)].count { $0 == "\n" }
    }

    private func string(_ range: Range<Int>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: source[range])
        return String(view)
    }
}

extension Unicode.Scalar {
    /// What Python's `str.isspace` and `str.strip` take for whitespace.
    var isPythonSpace: Bool {
        switch value {
        case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
        default: false
        }
    }

    fileprivate var isDigit: Bool { ("0"..."9").contains(self) }

    fileprivate var isNameStart: Bool {
        isASCII ? ("a"..."z").contains(self) || ("A"..."Z").contains(self) || self == "_" : properties.isXIDStart
    }

    fileprivate var isNameContinue: Bool { isASCII ? isNameStart || isDigit : properties.isXIDContinue }
}
