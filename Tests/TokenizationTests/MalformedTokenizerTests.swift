@testable import Tokenization
import Inference
import Platform
import TestSupport
import Testing

@Suite struct MalformedTokenizerTests {
    /// The error of a file, as a person reads it.
    private func error(_ json: String) -> String {
        do throws(TokenizerError) {
            _ = try Tiny.tokenizer(json)
            return "none"
        } catch {
            return error.description
        }
    }

    @Test("a component that is not there is refused by name and place")
    func unsupported() {
        #expect(error(Tiny.json(normalizer: #"{"type":"Sequence","normalizers":[{"type":"Nmt"}]}"#)) == "tokenizer.json: normalizer.normalizers[0]: the normalizer Nmt is not supported")
        #expect(error(Tiny.json(preTokenizer: #"{"type":"BertPreTokenizer"}"#)) == "tokenizer.json: pre_tokenizer: the pre-tokenizer BertPreTokenizer is not supported")
        #expect(error(Tiny.json(decoder: #"{"type":"WordPiece"}"#)) == "tokenizer.json: decoder: the decoder WordPiece is not supported")
        #expect(error(Tiny.json(postProcessor: #"{"type":"Other"}"#)) == "tokenizer.json: post_processor: the post-processor Other is not supported")
        #expect(error(#"{"model":{"type":"Unigram","vocab":[]}}"#) == "tokenizer.json: model.type: the model Unigram is not supported")
        #expect(error(Tiny.json(model: #","continuing_subword_prefix":"@@""#)) == "tokenizer.json: model.continuing_subword_prefix: \"@@\" is not supported")
        #expect(error(Tiny.json(model: #","end_of_word_suffix":"</w>""#)) == "tokenizer.json: model.end_of_word_suffix: \"</w>\" is not supported")
        #expect(error(Tiny.json(model: #","dropout":0.1"#)) == "tokenizer.json: model.dropout: merging at random is not supported")
        #expect(error(Tiny.json(decoder: #"{"type":"Sequence","decoders":[{"type":"Fuse"},{"type":"ByteFallback"}]}"#)) == "tokenizer.json: decoder.decoders[1]: ByteFallback after the tokens are joined is not supported")
        #expect(error(Tiny.json(model: #","continuing_subword_prefix":"","end_of_word_suffix":"","dropout":null"#)) == "none")
    }

    @Test("ids and merges that contradict one another are refused")
    func contradictions() {
        #expect(error(Tiny.json(vocabulary: #"{"a":0,"b":0}"#)) == "tokenizer.json: model.vocab.b: found 0, expected an id other than that of \"a\"")
        #expect(error(Tiny.json(vocabulary: #"{"a":-1}"#)) == "tokenizer.json: model.vocab.a: found -1, expected an id below 4194304")
        #expect(error(Tiny.json(vocabulary: #"{"a":4194304}"#)) == "tokenizer.json: model.vocab.a: found 4194304, expected an id below 4194304")
        #expect(error(Tiny.json(vocabulary: #"{"a":"x"}"#)) == "tokenizer.json: model.vocab.a: found a string, expected an id below 4194304")
        #expect(error(Tiny.json(merges: #"["a c"]"#)) == "tokenizer.json: model.merges[0]: found the token \"c\", expected tokens of the vocabulary")
        #expect(error(Tiny.json(merges: #"["b a"]"#)) == "tokenizer.json: model.merges[0]: found the token \"ba\", expected tokens of the vocabulary")
        #expect(error(Tiny.json(merges: #"["a b a"]"#)) == "tokenizer.json: model.merges[0]: found \"a b a\", expected two tokens with a space between")
        #expect(error(Tiny.json(merges: #"[["a"]]"#)) == "tokenizer.json: model.merges[0]: found an array of 1, expected two tokens")
        #expect(error(Tiny.json(added: "[" + Tiny.added(7, "<x>") + "]")) == "tokenizer.json: added_tokens[0].id: found 7, expected 3, the next free id")
        #expect(error(Tiny.json(added: "[" + Tiny.added(1, "a") + "]")) == "tokenizer.json: added_tokens[0].id: found 1, expected 0, which \"a\" has already")
        #expect(error(Tiny.json(added: "[" + Tiny.added(3, "<x>") + "," + Tiny.added(3, "<x>") + "]")) == "tokenizer.json: added_tokens[1].content: found \"<x>\" a second time, expected each token once")
        #expect(error(Tiny.json(added: "[" + Tiny.added(3, "") + "]")) == "tokenizer.json: added_tokens[0].content: found 0 bytes, expected 1 to 1024")
        #expect(error(Tiny.json(vocabulary: #"{"a":0,"b":9}"#, added: "[" + Tiny.added(2, "<x>") + "]")) == "none")
    }

    @Test("keys that are only canonically equivalent are two tokens")
    func canonicalEquivalence() throws {
        let tokenizer = try Tiny.tokenizer(Tiny.json(vocabulary: "{\"\u{3AF}\":0,\"\u{1F77}\":1}"))
        #expect(try tokenizer.encode("\u{1F77}\u{3AF}", addSpecialTokens: false) == [1, 0])
        let many = (0..<20).map { "\"t\($0)\":\($0)" }.joined(separator: ",")
        let large = try Tiny.tokenizer(Tiny.json(vocabulary: "{\(many),\"\u{3AF}\":20,\"\u{1F77}\":21}"))
        #expect(large.vocabulary.id(of: "\u{1F77}") == 21)
    }

    @Test("nesting, steps, patterns and files are bounded")
    func bounds() {
        func nested(_ depth: Int) -> String {
            depth == 0 ? #"{"type":"NFC"}"# : #"{"type":"Sequence","normalizers":[\#(nested(depth - 1))]}"#
        }
        #expect(error(Tiny.json(normalizer: nested(25))) == "none")
        #expect(error(Tiny.json(normalizer: nested(40))).contains("nested deeper than 64"))
        let steps = [String](repeating: #"{"type":"NFC"}"#, count: 65).joined(separator: ",")
        #expect(error(Tiny.json(normalizer: #"{"type":"Sequence","normalizers":[\#(steps)]}"#)).contains("more than 64 steps"))
        let pattern = String(repeating: "a", count: 20_000)
        #expect(error(Tiny.json(normalizer: #"{"type":"Prepend","prepend":"\#(pattern)"}"#)) == "tokenizer.json: normalizer.prepend: found 20000 bytes, expected at most 16384")
        #expect(error(Tiny.json(preTokenizer: #"{"type":"Split","pattern":{"Regex":"a("},"behavior":"Isolated","invert":false}"#)).hasPrefix("tokenizer.json: pre_tokenizer.pattern.Regex: found the pattern a(, expected one that compiles"))
        #expect(error("[]") == "tokenizer.json: the file: found an array, expected an object")
        #expect(error("{") == "tokenizer.json: invalid JSON at byte 1: a key was expected")
        #expect(throws: TokenizerError.self) { try Tokenizer(directory: "/nonexistent") }
    }

    @Test("text that a rule blows up is refused before memory goes to it")
    func growth() throws {
        let content = String(repeating: "b", count: 16_000)
        let json = Tiny.json(normalizer: #"{"type":"Replace","pattern":{"String":"a"},"content":"\#(content)"}"#)
        let tokenizer = try Tiny.tokenizer(json)
        let text = String(repeating: "a", count: 20_000)
        #expect(throws: TokenizerError.textTooLong(bytes: 320_000_000, limit: 1 << 28)) { try tokenizer.encode(text, addSpecialTokens: false) }
    }

    /// One of everything, small.
    private static let everything = Tiny.json(
        vocabulary: #"{"<unk>":0,"a":1,"b":2,"ab":3,"▁":4,"▁a":5,"<0x0A>":6,"<0xC3>":7}"#, merges: #"["a b",["▁","a"]]"#,
        added: "[" + Tiny.added(8, "<s>", "special", "lstrip") + "," + Tiny.added(9, "MARK", "normalized", "single_word", "rstrip") + "]",
        normalizer: #"{"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"Strip","strip_left":true,"strip_right":false},{"type":"Replace","pattern":{"Regex":"\\s{3,}"},"content":"  "},{"type":"Lowercase"},{"type":"StripAccents"},{"type":"Prepend","prepend":"▁"}]}"#,
        preTokenizer: #"{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"[aeiou]|(?i:x)"},"behavior":"MergedWithNext","invert":false},{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true},{"type":"Digits","individual_digits":true},{"type":"Punctuation"}]}"#,
        postProcessor: #"{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{"<s>":{"id":"<s>","ids":[8],"tokens":["<s>"]}}}"#,
        decoder: #"{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":1}]}"#,
        model: #","unk_token":"<unk>","fuse_unk":true,"byte_fallback":true,"ignore_merges":true"#
    )

    @Test("a file cut off anywhere is an error")
    func truncations() throws {
        let bytes = Array(Self.everything.utf8)
        #expect(try Tokenizer.fuzz(bytes) > 0)
        for count in 0..<bytes.count {
            #expect(throws: TokenizerError.self) { try Tokenizer.fuzz(Array(bytes[..<count])) }
        }
    }

    @Test("a file with damage anywhere is read or refused")
    func damage() {
        let bytes = Array(Self.everything.utf8)
        var generator = SeededGenerator(seed: 11)
        var accepted = 0
        for round in 0..<3000 {
            var damaged = bytes
            for _ in 0...(round % 3) {
                let place = generator.next(below: damaged.count)
                switch generator.next(below: 4) {
                case 0: damaged[place] ^= 1 << UInt8(generator.next(below: 8))
                case 1: damaged.remove(at: place)
                case 2: damaged[place] = Array("0123456789abn{}[]\",:\\ue+*?()".utf8)[generator.next(below: 28)]
                default:
                    let end = min(place + 1 + generator.next(below: 20), damaged.count)
                    damaged.insert(contentsOf: damaged[place..<end], at: generator.next(below: damaged.count))
                }
            }
            if (try? Tokenizer.fuzz(damaged)) != nil { accepted += 1 }
        }
        #expect(accepted > 0)
    }

    @Test("the kept hostile files are read or refused", arguments: Corpus.files)
    func corpus(_ name: String) {
        do throws(TokenizerError) {
            _ = try Tokenizer.fuzz(Goldens.bytes(Corpus.folder + "/" + name))
        } catch {
            #expect(!error.description.isEmpty)
        }
    }
}

enum Corpus {
    static let folder = Goldens.folder + "/corpus"

    /// Listed in a file of their own, for there is no Foundation to list a folder.
    static var files: [String] { String(decoding: Goldens.bytes(folder + "/LIST"), as: UTF8.self).split(separator: "\n").map(String.init) }
}
