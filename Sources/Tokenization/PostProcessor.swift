internal import Inference

/// The special tokens around an encoded text: the file's `post_processor`, as far as it concerns a single text.
struct PostProcessor: Sendable, Equatable {
    enum Part: Sendable, Equatable {
        case tokens([TokenID])
        case text
    }

    /// In order. Without special tokens only the text's own are kept.
    private(set) var parts: [Part] = [.text]

    init() {}

    init(before: TokenID?, after: TokenID?) {
        parts = [.tokens(before.map { [$0] } ?? []), .text, .tokens(after.map { [$0] } ?? [])]
    }

    /// - Parameter idLimit: token ids lie below this.
    init(_ node: ComponentNode, idLimit: Int) throws(TokenizerError) {
        guard !node.isAbsent else { return }
        switch try node.type() {
        case "ByteLevel": break
        case "TemplateProcessing": parts = try Self.template(node, idLimit)
        case "BertProcessing", "RobertaProcessing":
            let before = try Self.pairedID(node["cls"], idLimit)
            parts = [.tokens([before]), .text, .tokens([try Self.pairedID(node["sep"], idLimit)])]
        case "Sequence":
            var adding = 0
            for child in try node["processors"].elements() {
                let processor = try PostProcessor(child, idLimit: idLimit)
                guard processor.parts != [.text] else { continue }
                adding += 1
                guard adding == 1 else { throw child.unsupported("a second processor that adds tokens") }
                parts = processor.parts
            }
        case let type: throw node.unsupported("the post-processor \(type)")
        }
    }

    private static func pairedID(_ node: ComponentNode, _ idLimit: Int) throws(TokenizerError) -> TokenID {
        let pair = try node.elements()
        guard pair.count == 2 else { throw node.invalid("\(pair.count) elements", expected: "a token and its id") }
        return TokenID(try pair[1].integer(in: 0..<idLimit))
    }

    private static func template(_ node: ComponentNode, _ idLimit: Int) throws(TokenizerError) -> [Part] {
        var parts: [Part] = []
        let elements = try node["single"].elements()
        guard elements.count <= TokenizerLimits.steps else {
            throw node["single"].invalid("\(elements.count) parts", expected: "at most \(TokenizerLimits.steps)")
        }
        for element in elements {
            let sequence = element["Sequence"]
            if !sequence.isAbsent {
                let name = try sequence["id"].string()
                guard name == "A" else { throw sequence["id"].invalid("\"\(name.prefix(40))\"", expected: "\"A\"") }
                parts.append(.text)
            } else {
                let name = try element["SpecialToken"]["id"].string()
                let ids = try node["special_tokens"][name]["ids"].elements()
                guard ids.count <= TokenizerLimits.steps else {
                    throw node["special_tokens"].invalid("\(ids.count) ids", expected: "at most \(TokenizerLimits.steps)")
                }
                var tokens: [TokenID] = []
                for id in ids { tokens.append(TokenID(try id.integer(in: 0..<idLimit))) }
                parts.append(.tokens(tokens))
            }
        }
        return parts
    }

    /// `tokens` of a text with the special tokens around them.
    func apply(to tokens: [TokenID]) -> [TokenID] {
        if parts == [.text] { return tokens }
        var result: [TokenID] = []
        result.reserveCapacity(tokens.count + 4)
        for part in parts {
            switch part {
            case .tokens(let special): result.append(contentsOf: special)
            case .text: result.append(contentsOf: tokens)
            }
        }
        return result
    }
}
