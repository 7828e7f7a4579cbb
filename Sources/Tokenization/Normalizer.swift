internal import Platform

/// The rewriting of text before it is split: the file's `normalizer`, sequences flattened.
struct Normalizer: Sendable {
    enum Step: Sendable {
        case form(UnicodeForm)
        /// Puts the bytes before a text that is not empty.
        case prepend([UInt8])
        case replace([UInt8], with: [UInt8])
        case replacePattern(RegularExpression, with: [UInt8])
        case lowercase
        case strip(left: Bool, right: Bool)
        /// Drops all combining marks.
        case stripAccents
    }

    private(set) var steps: [Step] = []

    init() {}

    init(_ node: ComponentNode) throws(TokenizerError) {
        if !node.isAbsent { try add(node) }
    }

    private mutating func add(_ node: ComponentNode) throws(TokenizerError) {
        let type = try node.type()
        if let form = UnicodeForm(rawValue: type) {
            steps.append(.form(form))
        } else {
            switch type {
            case "Sequence": for child in try node["normalizers"].elements() { try add(child) }
            case "Prepend": steps.append(.prepend(try node["prepend"].pattern()))
            case "Replace": steps.append(try Self.replacement(node))
            case "Lowercase": steps.append(.lowercase)
            case "Strip": steps.append(.strip(left: try node["strip_left"].bool(), right: try node["strip_right"].bool()))
            case "StripAccents": steps.append(.stripAccents)
            default: throw node.unsupported("the normalizer \(type)")
            }
        }
        guard steps.count <= TokenizerLimits.steps else {
            throw node.invalid("more than \(TokenizerLimits.steps) steps", expected: "at most that many")
        }
    }

    private static func replacement(_ node: ComponentNode) throws(TokenizerError) -> Step {
        let content = try node["content"].pattern()
        switch try TextPattern(node["pattern"]) {
        case .literal(let literal) where literal.isEmpty:
            return .replacePattern(try TextPattern.compile("", node["pattern"]), with: content)
        case .literal(let literal): return .replace(literal, with: content)
        case .expression(let expression): return .replacePattern(expression, with: content)
        }
    }

    /// The normal form of valid UTF-8, and whether it still begins where the text did.
    ///
    /// - Parameter budget: what the text's regular expressions may take; what is left of it afterwards.
    func apply(
        to text: [UInt8], within budget: inout MatchBudget
    ) throws(TokenizerError) -> (text: [UInt8], startsAtOrigin: Bool) {
        var text = text
        var startsAtOrigin = true
        for step in steps {
            switch step {
            case .form(let form): text = form.apply(to: text)
            case .prepend(let prefix): if !text.isEmpty { text.insert(contentsOf: prefix, at: 0) }
            case .replace(let pattern, let content): text = try Self.replacing(text, pattern, content)
            case .replacePattern(let expression, let content): text = try Self.replacing(text, expression, content, within: &budget)
            case .lowercase: text = Self.lowercased(text)
            case .strip(let left, let right):
                let kept = Self.stripped(text.span, left, right)
                if kept.lowerBound > 0 { startsAtOrigin = false }
                if kept.count < text.count { text = Array(text[kept]) }
            case .stripAccents: text = Self.withoutMarks(text)
            }
            guard text.count <= TokenizerLimits.rewrittenBytes else { throw Self.tooLong(text.count) }
        }
        return (text, startsAtOrigin)
    }

    private static func tooLong(_ count: Int) -> TokenizerError {
        .textTooLong(bytes: count, limit: TokenizerLimits.rewrittenBytes)
    }

    private static func replacing(_ text: [UInt8], _ pattern: [UInt8], _ content: [UInt8]) throws(TokenizerError) -> [UInt8] {
        let (growth, overflow) = (text.count / pattern.count).multipliedReportingOverflow(by: content.count)
        // The crude bound suffices for nearly every text; beyond it the matches are counted.
        if overflow || growth + text.count > TokenizerLimits.rewrittenBytes {
            var matches = 0
            var index = 0
            let search = ByteSearch(pattern)
            while let found = search.first(in: text.span, from: index, to: text.count) {
                matches += 1
                index = found + pattern.count
            }
            let size = text.count + matches * (content.count - pattern.count)
            guard size <= TokenizerLimits.rewrittenBytes else { throw tooLong(size) }
        }
        return text.replacing(pattern, with: content)
    }

    private static func replacing(
        _ text: [UInt8], _ expression: RegularExpression, _ content: [UInt8], within budget: inout MatchBudget
    ) throws(TokenizerError) -> [UInt8] {
        guard !text.isEmpty else { return text }
        var result: [UInt8] = []
        var copied = 0
        var overflows = false
        var matcher = RegularExpression.Matcher(expression, budget: budget)
        try expression.forEachMatch(in: text.span, with: &matcher) { match in
            guard result.count <= TokenizerLimits.rewrittenBytes else { return overflows = true }
            result.append(contentsOf: text[copied..<match.lowerBound])
            result.append(contentsOf: content)
            copied = match.upperBound
        }
        budget = matcher.finish()
        guard !overflows else { throw tooLong(result.count) }
        result.append(contentsOf: text[copied...])
        return result
    }

    /// Each scalar on its own: no final sigma, no language.
    private static func lowercased(_ text: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var index = 0
        let span = text.span
        while index < span.count {
            let (scalar, length) = decodeScalar(span, at: index)
            if scalar < 0x80 {
                result.append(scalar >= 0x41 && scalar <= 0x5A ? UInt8(scalar) | 0x20 : UInt8(scalar))
            } else if let scalar = Unicode.Scalar(scalar) {
                result.append(contentsOf: scalar.properties.lowercaseMapping.utf8)
            }
            index += length
        }
        return result
    }

    private static func stripped(_ text: borrowing Span<UInt8>, _ left: Bool, _ right: Bool) -> Range<Int> {
        let classes = ScalarClassTable.shared
        var (start, end) = (0, text.count)
        while left, start < end {
            let (scalar, length) = decodeScalar(text, at: start)
            guard classes[scalar].contains(.whitespace) else { break }
            start += length
        }
        while right, start < end {
            let last = startOfScalar(text, before: end)
            guard classes[decodeScalar(text, at: last).value].contains(.whitespace) else { break }
            end = last
        }
        return start..<end
    }

    private static func withoutMarks(_ text: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var index = 0
        let span = text.span
        while index < span.count {
            let (value, length) = decodeScalar(span, at: index)
            var isMark = false
            // The reference knows the marks of Unicode 9.
            if value >= 0x300, let scalar = Unicode.Scalar(value), scalar.properties.age?.major ?? 99 <= 9 {
                switch scalar.properties.generalCategory {
                case .nonspacingMark, .spacingMark, .enclosingMark: isMark = true
                default: break
                }
            }
            if !isMark { result.append(span, index..<(index + length)) }
            index += length
        }
        return result
    }
}

/// What a rule looks for: a `{"String": …}` or a `{"Regex": …}`.
enum TextPattern {
    case literal([UInt8])
    case expression(RegularExpression)

    init(_ node: ComponentNode) throws(TokenizerError) {
        let literal = node["String"]
        if !literal.isAbsent {
            self = .literal(try literal.pattern())
        } else {
            let regex = node["Regex"]
            guard !regex.isAbsent else { throw node.invalid(node.value.kind, expected: "{\"String\": …} or {\"Regex\": …}") }
            _ = try regex.pattern()
            self = .expression(try Self.compile(try regex.string(), regex))
        }
    }

    static func compile(_ pattern: String, _ node: ComponentNode) throws(TokenizerError) -> RegularExpression {
        do throws(RegularExpression.Failure) {
            return try RegularExpression(pattern)
        } catch {
            throw node.invalid("the pattern \(pattern.prefix(200))", expected: "one that compiles (\(error.reason))")
        }
    }
}
