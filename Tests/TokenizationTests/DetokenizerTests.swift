@testable import Tokenization
import Inference
import Testing

@Suite struct DetokenizerTests {
    @Test("a character is returned when its last byte is there")
    func wholeCharacters() throws {
        let tokenizer = try Goldens.ownTokenizer("gpt2")
        let ids = try ["ð", "Ł", "ļ", "¢", "Ġthe"].map { try #require(tokenizer.vocabulary.id(of: $0)) }
        var detokenizer = IncrementalDetokenizer(tokenizer, skipSpecialTokens: true)
        #expect(ids.map { detokenizer.append($0) } == ["", "", "", "🚢", " the"])
        #expect(detokenizer.append(ids[0]) == "")
        #expect(detokenizer.append(ids[4]) == "\u{FFFD} the")
        #expect(detokenizer.append(ids[0]) == "")
        #expect(detokenizer.finish() == "\u{FFFD}")
        #expect(detokenizer.finish() == "")
    }

    @Test("bytes that cannot be UTF-8 become one replacement for each maximal part")
    func lossy() throws {
        for (bytes, text) in [
            ([0xF0, 0x9F, 0x98, 0x61], "\u{FFFD}a"), ([0xED, 0xA0, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"), ([0xC0, 0xAF], "\u{FFFD}\u{FFFD}"),
            ([0xE2, 0x82], "\u{FFFD}"), ([0xF4, 0x90, 0x80, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"), ([0xC3, 0xA9], "é"), ([0xFF], "\u{FFFD}"),
        ] as [([UInt8], String)] {
            #expect(LossyUTF8.text(bytes[...]) == text)
            #expect(String(decoding: bytes, as: UTF8.self) == text)
        }
    }

    @Test("a run of fallback bytes is a text if it is UTF-8 as a whole")
    func fallback() throws {
        let decoder = #"{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}"#
        let tokenizer = try Tiny.tokenizer(Tiny.json(vocabulary: #"{"▁a":0,"<0xE5>":1,"<0x8F>":2,"<0xAB>":3,"<0xFF>":4,"▁b":5,"▁":6}"#, decoder: decoder))
        #expect(tokenizer.decode([0, 1, 2, 3, 4, 5, 1, 2, 3], skipSpecialTokens: false) == "a\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD} b叫")
        #expect(tokenizer.decode([6, 6], skipSpecialTokens: false) == " ")
        var detokenizer = IncrementalDetokenizer(tokenizer, skipSpecialTokens: false)
        #expect([6, 6, 0, 1, 2, 3].map { detokenizer.append($0) } == ["", " ", " a", "", "", ""])
        #expect(detokenizer.append(5) == "叫 b")
    }

    @Test("the first token loses its metaspaces, if the scheme prepends one")
    func metaspace() throws {
        for (scheme, texts) in [("always", ["He y z", "  H", "ey   z"]), ("never", ["  He y z", "   H", "e y   z"])] {
            let decoder = #"{"type":"Metaspace","replacement":"▁","prepend_scheme":"\#(scheme)","split":true}"#
            let tokenizer = try Tiny.tokenizer(Tiny.json(vocabulary: #"{"▁":0,"▁▁H":1,"e▁y":2,"▁z":3}"#, decoder: decoder))
            let decoded = [[1, 2, 3], [0, 1], [2, 0, 0, 3]].map { tokenizer.decode($0, skipSpecialTokens: false) }
            #expect(decoded == texts)
        }
    }

    @Test("rules for the joined text hold back what later text may change")
    func growingText() throws {
        let decoder = #"{"type":"Sequence","decoders":[{"type":"Fuse"},{"type":"Replace","pattern":{"String":"abc"},"content":"-"},{"type":"Strip","content":"_","start":2,"stop":2}]}"#
        let tokenizer = try Tiny.tokenizer(Tiny.json(vocabulary: #"{"_":0,"a":1,"b":2,"c":3,"__a":4,"__":5}"#, decoder: decoder))
        #expect(tokenizer.decode([0, 4, 0, 5], skipSpecialTokens: false) == "_a_")
        let ids: [TokenID] = [0, 0, 0, 1, 2, 1, 2, 3, 0, 0, 3, 0, 0, 0]
        #expect(tokenizer.decode(ids, skipSpecialTokens: false) == "_ab-__c_")
        #expect(decodeIncrementally(ids, with: tokenizer, skipSpecialTokens: false) == "_ab-__c_")
        var detokenizer = IncrementalDetokenizer(tokenizer, skipSpecialTokens: false)
        #expect([1, 2, 3, 0, 3].map { detokenizer.append($0) } == ["", "", "-", "", "_c"])
    }

    @Test("without a decoder tokens are words, and ids outside the vocabulary are nothing")
    func noDecoder() throws {
        let tokenizer = try Tiny.tokenizer(Tiny.json(added: "[" + Tiny.added(3, "<x>", "special") + "]"))
        #expect(tokenizer.decode([0, 1, 3, 77, -5, 2], skipSpecialTokens: false) == "a b <x> ab")
        #expect(tokenizer.decode([0, 1, 3, 2], skipSpecialTokens: true) == "a b ab")
    }
}
