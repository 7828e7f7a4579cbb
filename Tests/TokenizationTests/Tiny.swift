@testable import Tokenization
import Inference
import Platform

/// Tokenizers of a few tokens, written where they are used.
enum Tiny {
    static func quoted(_ text: String) -> String { JSON.string(text).text }

    static func json(
        vocabulary: String = #"{"a":0,"b":1,"ab":2}"#, merges: String = "[]", added: String = "[]", normalizer: String = "null",
        preTokenizer: String = "null", postProcessor: String = "null", decoder: String = "null", model: String = ""
    ) -> String {
        """
        {"added_tokens":\(added),"normalizer":\(normalizer),"pre_tokenizer":\(preTokenizer),"post_processor":\(postProcessor),\
        "decoder":\(decoder),"model":{"type":"BPE"\(model),"vocab":\(vocabulary),"merges":\(merges)}}
        """
    }

    static func tokenizer(_ json: String, limits: TokenizerLimits = TokenizerLimits()) throws(TokenizerError) -> Tokenizer {
        try Tokenizer(json: Array(json.utf8), limits: limits)
    }

    static func node(_ json: String) throws -> ComponentNode {
        ComponentNode(value: try JSON(parsing: json), file: "test", key: "node")
    }

    static func pieces(preTokenizer json: String, _ text: String) throws -> [String] {
        var buffer = PieceBuffer(text: Array(text.utf8), startsAtOrigin: true)
        var budget = MatchBudget(bytes: text.utf8.count)
        try PreTokenizer(try node(json)).apply(to: &buffer, within: &budget)
        return buffer.pieces.map { String(decoding: buffer.text[$0.range], as: UTF8.self) }
    }

    static func added(_ id: Int, _ content: String, _ flags: String...) -> String {
        let set = flags.map { ",\"\($0)\":true" }.joined()
        let normalized = flags.contains("normalized") ? "" : ",\"normalized\":false"
        return "{\"id\":\(id),\"content\":\(quoted(content))\(set)\(normalized)}"
    }
}
