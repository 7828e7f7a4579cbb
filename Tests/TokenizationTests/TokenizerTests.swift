@testable import Tokenization
import Inference
import Testing

@Suite struct TokenizerTests {
    private func ids(_ json: String, _ text: String) throws -> [TokenID] {
        try Tiny.tokenizer(json).encode(text, addSpecialTokens: true)
    }

    @Test("added tokens take their whitespace along and keep to whole words, as the reference does")
    func addedTokens() throws {
        let added = "[" + [Tiny.added(5, "<x>", "rstrip", "lstrip"), Tiny.added(6, " "), Tiny.added(3, "w", "single_word")].joined(separator: ",") + "]"
        let json = Tiny.json(vocabulary: #"{"a":0,"b":1,"ab":2,"w":3,"é":4}"#, merges: #"["a b"]"#, added: added)
        #expect(try ids(json, "a <x>  b") == [0, 6, 5, 6, 6, 1])
        #expect(try ids(json, "  <x> <x>b") == [6, 6, 5, 6, 5, 1])
        #expect(try ids(json, "w w aw é") == [3, 6, 3, 6, 0, 3, 6, 4])
        #expect(try ids(json, "éw ẃ") == [4, 3, 6])
        #expect(try ids(json, "w\u{200d}w") == [3, 3])
        #expect(try ids(json, "<x>   b a") == [5, 6, 6, 6, 1, 6, 0])
    }

    @Test("an added token that is to be normalised is found in its normal form")
    func normalizedAddedTokens() throws {
        let prepend = #"{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]}"#
        let json = Tiny.json(
            vocabulary: #"{"▁":0,"a":1,"▁a":2}"#, merges: #"["▁ a"]"#, added: "[" + Tiny.added(3, "TOK", "normalized") + "]", normalizer: prepend
        )
        #expect(try ids(json, "a TOKaTOK TOK a") == [2, 3, 1, 3, 2])
        #expect(try ids(json, "aTOK") == [2])
        let lower = Tiny.json(vocabulary: #"{"a":0,"t":1}"#, added: "[" + Tiny.added(2, "TOK", "normalized") + "]", normalizer: #"{"type":"Lowercase"}"#)
        #expect(try ids(lower, "aTOKatok") == [0, 2, 0, 2])
    }

    @Test("unknown characters become bytes, one or many unknown tokens, or nothing")
    func unknown() throws {
        let vocabulary = #"{"<unk>":0,"a":1,"<0xC3>":2,"<0xA9>":3,"b":4}"#
        let options = #","unk_token":"<unk>","byte_fallback":true,"fuse_unk":"#
        #expect(try ids(Tiny.json(vocabulary: vocabulary, model: options + "false"), "aüéüb") == [1, 2, 3, 0, 0, 4])
        #expect(try ids(Tiny.json(vocabulary: vocabulary, model: options + "true"), "aüéüb") == [1, 2, 3, 0, 4])
        #expect(try ids(Tiny.json(), "axb") == [0, 1])
        #expect(throws: TokenizerError.unknownTokenMissing("<unk>")) { try ids(Tiny.json(model: #","unk_token":"<unk>""#), "xyz") }
    }

    @Test("the later of two equal merges sets the rank")
    func duplicateMerges() throws {
        let json = Tiny.json(vocabulary: #"{"a":0,"b":1,"c":2,"ab":3,"bc":4}"#, merges: #"["a b",["b","c"],"a b"]"#)
        #expect(try ids(json, "abc") == [0, 4])
    }

    @Test("a prefix goes before the first word only where the text begins there")
    func metaspaceFirst() throws {
        let metaspace = #"{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true}"#
        let json = { (normalizer: String, pre: String, added: String) in
            Tiny.json(vocabulary: #"{"▁":0,"a":1,"▁a":2}"#, merges: #"["▁ a"]"#, added: added, normalizer: normalizer, preTokenizer: pre)
        }
        #expect(try ids(json("null", metaspace, "[" + Tiny.added(3, "X") + "]"), "aXa a") == [2, 3, 1, 2])
        #expect(try ids(json(#"{"type":"Strip","strip_left":true,"strip_right":true}"#, metaspace, "[]"), "  a a") == [1, 2])
        let sequence = #"{"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},\#(metaspace)]}"#
        #expect(try ids(json("null", sequence, "[]"), " a a") == [1, 1])
        #expect(try ids(json("null", sequence, "[]"), "a a") == [2, 1])
    }

    @Test("special tokens stand around the text only when asked for")
    func postProcessors() throws {
        let template = #"{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"Q","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{"Q":{"id":"Q","ids":[2,1],"tokens":["x","y"]}}}"#
        let tokenizer = try Tiny.tokenizer(Tiny.json(postProcessor: template))
        #expect(try tokenizer.encode("a", addSpecialTokens: true) == [2, 1, 0])
        #expect(try tokenizer.encode("a", addSpecialTokens: false) == [0])
        #expect(try tokenizer.encode("", addSpecialTokens: true) == [2, 1])
        let roberta = #"{"type":"RobertaProcessing","sep":["</s>",2],"cls":["<s>",1],"trim_offsets":true,"add_prefix_space":true}"#
        #expect(try ids(Tiny.json(postProcessor: roberta), "a") == [1, 0, 2])
    }

    @Test("roles of special tokens come from the configuration beside the tokenizer")
    func roles() throws {
        let config = Array(#"{"bos_token":"ab","eos_token":{"content":"b"},"add_bos_token":true,"add_eos_token":true}"#.utf8)
        let map = Array(#"{"bos_token":"a","pad_token":"a","unk_token":"nowhere"}"#.utf8)
        let tokenizer = try Tokenizer(json: Array(Tiny.json().utf8), roles: [("tokenizer_config.json", config), ("special_tokens_map.json", map)])
        #expect(tokenizer.specialTokens.beginning == 2 && tokenizer.eosToken == 1)
        let absent = try Tokenizer(json: Array(Tiny.json().utf8), roles: [("map", Array(#"{"bos_token":"nowhere"}"#.utf8))])
        #expect(absent.specialTokens.beginning == nil)
        #expect(try tokenizer.encode("a", addSpecialTokens: true) == [2, 0, 1])
    }

    @Test("tokens are found by text and id, and tell their bytes")
    func tokens() throws {
        let tokenizer = try Goldens.ownTokenizer("gpt2")
        let the = try #require(tokenizer.vocabulary.id(of: "Ġthe"))
        #expect(tokenizer.vocabulary.text(of: the) == "Ġthe")
        #expect(tokenizer.text(of: the) == " the")
        #expect(tokenizer.bytes(of: the) == Array(" the".utf8))
        #expect(try tokenizer.bytes(of: #require(tokenizer.vocabulary.id(of: "Ã"))) == [0xC3])
        #expect(tokenizer.isSpecial(0) && !tokenizer.isSpecial(the))
        #expect(tokenizer.vocabulary.text(of: -1) == nil && tokenizer.bytes(of: TokenID(tokenizer.vocabularySize)) == nil)
        let sentencePiece = try Goldens.ownTokenizer("llama2")
        #expect(try sentencePiece.bytes(of: #require(sentencePiece.vocabulary.id(of: "<0xE2>"))) == [0xE2])
    }

    @Test("a text beyond the limits is refused")
    func limits() throws {
        let tokenizer = try Tiny.tokenizer(Tiny.json(), limits: TokenizerLimits(textBytes: 10, tokens: 4))
        #expect(throws: TokenizerError.textTooLong(bytes: 11, limit: 10)) { try tokenizer.encode("aaaaaaaaaaa", addSpecialTokens: false) }
        #expect(throws: TokenizerError.tooManyTokens(limit: 4)) { try tokenizer.encode("aaaaa", addSpecialTokens: false) }
        #expect(try tokenizer.encode("aaaa", addSpecialTokens: false) == [0, 0, 0, 0])
    }

    @Test("the byte alphabet is spelled out for rules that come after it")
    func spelledBytes() throws {
        let pre = #"{"type":"Sequence","pretokenizers":[{"type":"ByteLevel","add_prefix_space":true,"use_regex":false},{"type":"Digits","individual_digits":true}]}"#
        // U+0232 is the bytes C8 B2, and the spelling of B2 is ², a numeral.
        #expect(try Tiny.pieces(preTokenizer: pre, "xȲ").count == 2)
        #expect(try PreTokenizer(Tiny.node(pre)).alphabet == .bytes)
    }
}
