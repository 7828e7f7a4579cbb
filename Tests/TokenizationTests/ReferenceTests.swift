@testable import Tokenization
import Inference
import Platform
import TestSupport
import Testing

@Suite struct ReferenceTests {
    private let isOptimized = !_isDebugAssertConfiguration()

    @Test("a tokenizer of our own gives the reference's ids and texts", arguments: Goldens.own)
    func own(_ name: String) throws {
        let goldens = Goldens.shared
        let tokenizer = try Goldens.ownTokenizer(name)
        try expectEqual(tokenizer, goldens.own(name))
        let prose = try tokenizer.encode(goldens.prose, addSpecialTokens: false)
        #expect(Goldens.digest([prose]) == goldens.own(name)["texts"]?["prose"]?["whole"]?.string)
    }

    @Test("a published tokenizer gives the reference's ids and texts", .enabled(if: SharedFiles.path("tokenizers") != nil), arguments: Goldens.foreign)
    func foreign(_ name: String) throws {
        let directory = try #require(SharedFiles.path(name))
        let golden = Goldens.shared.foreign(name)
        let tokenizer = try Tokenizer(directory: directory)
        try expectEqual(tokenizer, golden)
        for text in Goldens.foreignTexts {
            let path = try #require(SharedFiles.path(text))
            let whole = String(decoding: Goldens.bytes(path), as: UTF8.self)
            let digests = golden["texts"]?[text]
            let head = try tokenizer.encode(Goldens.head(whole), addSpecialTokens: false)
            #expect(Goldens.digest([head]) == digests?["head"]?.string, "\(text)")
            #expect(identical(tokenizer.decode(head, skipSpecialTokens: false), decodeIncrementally(head, with: tokenizer, skipSpecialTokens: false)))
            // A megabyte takes a minute without optimisation.
            if isOptimized {
                let ids = try tokenizer.encode(whole, addSpecialTokens: false)
                #expect(Goldens.digest([ids]) == digests?["whole"]?.string, "\(text)")
            }
        }
    }

    private func expectEqual(_ tokenizer: Tokenizer, _ golden: JSON) throws {
        let goldens = Goldens.shared
        #expect(tokenizer.vocabularySize == golden["size"]?.integer)
        let expected = try #require(golden["short"]?.array).map { $0.array!.map { TokenID($0.integer!) } }
        for (text, ids) in zip(goldens.short, expected) {
            #expect(try tokenizer.encode(text, addSpecialTokens: true) == ids, "\(text.debugDescription)")
        }
        let many = try goldens.many.map { try tokenizer.encode($0, addSpecialTokens: false) }
        #expect(Goldens.digest(many) == golden["many"]?.string)
        let all = try (goldens.short + goldens.many).map { try tokenizer.encode($0, addSpecialTokens: true) }
        for (skip, key) in [(false, "decoded"), (true, "decodedWithoutSpecial")] {
            let texts = all.map { tokenizer.decode($0, skipSpecialTokens: skip) }
            #expect(Goldens.digest(texts) == golden[key]?.string, "\(key)")
            for (ids, text) in zip(all, texts) {
                #expect(identical(decodeIncrementally(ids, with: tokenizer, skipSpecialTokens: skip), text))
            }
        }
        let random = Goldens.randomIDs(4000, below: tokenizer.vocabularySize)
        let chunks = stride(from: 0, to: 4000, by: 40).map { Array(random[$0..<($0 + 40)]) }
        let texts = chunks.map { tokenizer.decode($0, skipSpecialTokens: false) }
        #expect(Goldens.digest(texts) == golden["decodedRandom"]?.string)
        for (ids, text) in zip(chunks, texts) {
            #expect(identical(decodeIncrementally(ids, with: tokenizer, skipSpecialTokens: false), text))
        }
    }
}
