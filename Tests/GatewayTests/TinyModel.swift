import Gateway
import Inference
import Platform
import Tokenization

/// A tokenizer with a token for each byte, an end token, a start token and a long word, and a template that uses them.
enum TinyModel {
    static let end: TokenID = 256
    static let start: TokenID = 257
    static let long: TokenID = 258
    static let longText = String(repeating: "word", count: 250)
    static let vocabulary = 260

    static func served(names: [String] = ["tiny", "org/tiny"]) throws -> ServedModel {
        ServedModel(
            names: names, tokenizer: try Tokenizer(json: Array(tokenizer.text.utf8)),
            template: try ChatTemplate(
                source:
                    "{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('no tools here') }}{% endif %}<|start|>{{ m.role }}:{{ m.content }}<|end|>{% endfor %}{% if tools %}[{{ tools|length }}]{% endif %}{% if add_generation_prompt %}<|start|>assistant:{% endif %}"
            ), vocabulary: vocabulary, endTokens: [end], created: 1)
    }

    private static var tokenizer: JSON {
        var vocabulary = JSONObject()
        for byte in 0..<256 { vocabulary[String(alphabet[byte])] = .integer(Int64(byte)) }
        func added(_ id: TokenID, _ text: String, special: Bool) -> JSON {
            [
                "id": .integer(Int64(id)), "content": .string(text), "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": .bool(special),
            ]
        }
        return [
            "version": "1.0", "truncation": nil, "padding": nil,
            "added_tokens": [added(end, "<|end|>", special: true), added(start, "<|start|>", special: true), added(long, longText, special: false)],
            "normalizer": nil, "pre_tokenizer": ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true],
            "post_processor": nil,
            "decoder": ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true],
            "model": [
                "type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
                "fuse_unk": false, "byte_fallback": false, "vocab": .object(vocabulary), "merges": [],
            ],
        ]
    }

    /// The printable stand-ins of bytes: visible Latin-1 stands for itself, the rest for U+0100 and on.
    private static var alphabet: [Character] {
        var next: UInt32 = 256
        return (0..<256).map { byte in
            switch byte {
            case 33...126, 161...172, 174...255: return Character(Unicode.Scalar(UInt8(byte)))
            default:
                defer { next += 1 }
                return Character(Unicode.Scalar(next)!)
            }
        }
    }
}
