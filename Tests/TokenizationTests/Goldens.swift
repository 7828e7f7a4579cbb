@testable import Tokenization
import Inference
import Platform
import TestSupport

/// What the reference gives (`Goldens/make_goldens.py`), and the tokenizers to compare with it.
struct Goldens: Sendable {
    static let folder = SharedFiles.repository + "/Tests/TokenizationTests/Fixtures"
    static let shared = Goldens()

    let short: [String]
    let many: [String]
    let prose: String
    private let root: JSON

    private init() {
        let strings = Self.json("strings.json")
        short = strings["short"]!.array!.map { $0.string! }
        many = strings["many"]!.array!.map { $0.string! }
        root = Self.json("goldens.json")
        prose = root["prose"]!.string!
    }

    static func json(_ name: String) -> JSON { try! JSON(parsing: bytes(folder + "/" + name), limits: .file) }

    static func bytes(_ path: String) -> [UInt8] {
        let file = try! MappedFile(path: path)
        return unsafe file.bytes.withUnsafeBytes { unsafe Array($0) }
    }

    static let own = ["falcon", "gpt2", "llama2", "llama3", "metaspace", "mixture", "qwen2"]
    static let foreign = [
        "models/pilot", "models/stories260k", "tokenizers/falcon", "tokenizers/gpt2", "tokenizers/phi-3-mini", "tokenizers/qwen2.5",
        "tokenizers/smollm-135m",
    ]
    static let foreignTexts = ["texts/tinyshakespeare/input.txt", "texts/wikitext-2/test.txt", "texts/wikitext-2/valid.txt"]

    func own(_ name: String) -> JSON { root["own"]![name]! }
    func foreign(_ name: String) -> JSON { root["shared"]![name]! }

    static func ownTokenizer(_ name: String) throws -> Tokenizer { try Tokenizer(directory: folder + "/own/" + name) }

    /// Digest of lists of ids with -1 between, as little-endian 32-bit words.
    static func digest(_ lists: [[TokenID]]) -> String {
        var bytes: [UInt8] = []
        for (index, list) in lists.enumerated() {
            for id in index == 0 ? list : [-1] + list {
                let word = UInt32(bitPattern: id)
                for shift in [0, 8, 16, 24] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
            }
        }
        return Digest(of: bytes.span).description
    }

    /// Digest of texts with the byte 0xFF between.
    static func digest(_ texts: [String]) -> String {
        let bytes = [UInt8](texts.map { Array($0.utf8) }.joined(separator: [0xFF]))
        return Digest(of: bytes.span).description
    }

    /// Up to the last line end within the first 40,000 bytes.
    static func head(_ text: String) -> String {
        let bytes = Array(text.utf8.prefix(40_000))
        return String(decoding: bytes[...bytes.lastIndex(of: 0x0A)!], as: UTF8.self)
    }

    /// The ids the golden script decodes in lists of 40.
    static func randomIDs(_ count: Int, below size: Int) -> [TokenID] {
        var state: UInt64 = 1
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return TokenID((state >> 33) % UInt64(size))
        }
    }
}

/// Decodes step by step.
func decodeIncrementally(_ ids: [TokenID], with tokenizer: Tokenizer, skipSpecialTokens: Bool) -> String {
    var detokenizer = IncrementalDetokenizer(tokenizer, skipSpecialTokens: skipSpecialTokens)
    var text = ""
    for id in ids { text += detokenizer.append(id) }
    return text + detokenizer.finish()
}

/// Scalar by scalar, where Swift's own comparison of strings is by canonical equivalence.
func identical(_ a: String, _ b: String) -> Bool { a.utf8.elementsEqual(b.utf8) }
