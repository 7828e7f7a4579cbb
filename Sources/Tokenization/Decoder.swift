internal import Inference

/// How tokens become text: the file's `decoder`, sequences flattened.
///
/// Rules that look at one token (`tokenSteps`) come before the joining, rules that look at the joined text (`textSteps`) after
/// it. A decoder whose rules cannot be ordered so is refused, for it could not be applied to a text that is still growing.
struct Decoder: Sendable {
    enum TokenStep: Sendable {
        case replace([UInt8], with: [UInt8])
        /// Removes up to so many of a character from either end.
        case strip([UInt8], start: Int, end: Int)
        /// Replacements become spaces, and nothing in the first token if `dropsInFirst`.
        case metaspace([UInt8], dropsInFirst: Bool)
    }

    enum Joining: Sendable {
        /// No decoder in the file: a space between tokens.
        case spaced
        case plain
        /// Tokens spell bytes in `ByteAlphabet`; the bytes are joined and read as UTF-8.
        case bytes
    }

    enum TextStep: Sendable {
        case replace([UInt8], with: [UInt8])
        case strip([UInt8], start: Int, end: Int)
    }

    /// Applied to tokens as the vocabulary has them.
    private(set) var tokenSteps: [TokenStep] = []
    /// Whether tokens such as `<0x0A>` stand for bytes; then `tokenSteps` come before, `laterTokenSteps` after the bytes are
    /// joined.
    private(set) var fallsBackToBytes = false
    private(set) var laterTokenSteps: [TokenStep] = []
    private(set) var joining = Joining.spaced
    private(set) var textSteps: [TextStep] = []
    /// Whether the first token of a text comes out differently.
    private(set) var treatsFirstTokenApart = false
    private var isJoined = false
    private var grows = false
    private static let growthLimit = 16

    init(_ node: ComponentNode) throws(TokenizerError) {
        guard !node.isAbsent else { return }
        joining = .plain
        try add(node)
    }

    private mutating func add(_ node: ComponentNode) throws(TokenizerError) {
        let type = try node.type()
        switch type {
        case "Sequence": for child in try node["decoders"].elements() { try add(child) }
        case "ByteLevel":
            try requireTokens(node, type)
            joining = .bytes
            isJoined = true
        case "ByteFallback":
            try requireTokens(node, type)
            guard !fallsBackToBytes else { throw node.unsupported("a second ByteFallback") }
            fallsBackToBytes = true
        case "Fuse": isJoined = true
        case "Metaspace":
            try requireTokens(node, type)
            let metaspace = try PreTokenizer.Metaspace(node)
            add(.metaspace(metaspace.replacement, dropsInFirst: metaspace.prepend != .never))
            if metaspace.prepend != .never { treatsFirstTokenApart = true }
        case "Replace":
            guard case .literal(let pattern) = try TextPattern(node["pattern"]), !pattern.isEmpty else {
                throw node.unsupported("a decoder that replaces a regular expression or nothing")
            }
            let content = try node["content"].pattern()
            try allowGrowth(node["content"], from: pattern.count, to: content.count)
            if isJoined { textSteps.append(.replace(pattern, with: content)) } else { add(.replace(pattern, with: content)) }
        case "Strip":
            let content = try node["content"].scalar()
            let start = try node["start"].integer(in: 0..<TokenizerLimits.patternBytes)
            let stop = try node["stop"].integer(in: 0..<TokenizerLimits.patternBytes)
            if isJoined {
                textSteps.append(.strip(content, start: start, end: stop))
            } else {
                add(.strip(content, start: start, end: stop))
            }
        default: throw node.unsupported("the decoder \(type)")
        }
        guard tokenSteps.count + laterTokenSteps.count + textSteps.count <= TokenizerLimits.steps else {
            throw node.invalid("more than \(TokenizerLimits.steps) steps", expected: "at most that many")
        }
    }

    private func requireTokens(_ node: ComponentNode, _ type: String) throws(TokenizerError) {
        guard !isJoined else { throw node.unsupported("\(type) after the tokens are joined") }
    }

    /// One rule may make text longer, by a factor of `growthLimit`: a text of some bytes then stays one, whatever the file says.
    private mutating func allowGrowth(_ node: ComponentNode, from pattern: Int, to content: Int) throws(TokenizerError) {
        guard content > pattern else { return }
        guard content <= Self.growthLimit else { throw node.invalid("\(content) bytes", expected: "at most \(Self.growthLimit)") }
        guard !grows else { throw node.unsupported("a second replacement that makes text longer") }
        grows = true
    }

    private mutating func add(_ step: TokenStep) {
        if fallsBackToBytes { laterTokenSteps.append(step) } else { tokenSteps.append(step) }
    }

    /// `text` (UTF-8) after `steps`.
    static func apply(_ steps: [TokenStep], to text: [UInt8], isFirst: Bool) -> [UInt8] {
        var text = text
        for step in steps {
            switch step {
            case .replace(let pattern, let content): text = text.replacing(pattern, with: content)
            case .metaspace(let pattern, let dropsInFirst):
                text = text.replacing(pattern, with: isFirst && dropsInFirst ? [] : [UInt8(ascii: " ")])
            case .strip(let content, let start, let end): text = stripped(text, content, start, end)
            }
        }
        return text
    }

    private static func stripped(_ text: [UInt8], _ content: [UInt8], _ start: Int, _ end: Int) -> [UInt8] {
        var kept = text[...]
        for _ in 0..<start where kept.starts(with: content) { kept = kept.dropFirst(content.count) }
        for _ in 0..<end where kept.suffix(content.count).elementsEqual(content) { kept = kept.dropLast(content.count) }
        return Array(kept)
    }

    /// The byte a token such as `<0x0A>` stands for. A sign counts as a digit, as in the reference.
    static func fallbackByte(_ token: [UInt8]) -> UInt8? {
        guard token.count == 6, token.starts(with: Array("<0x".utf8)), token[5] == UInt8(ascii: ">") else { return nil }
        guard token[3] != UInt8(ascii: "-") else { return nil }
        return UInt8(String(decoding: token[3..<5], as: UTF8.self), radix: 16)
    }
}
