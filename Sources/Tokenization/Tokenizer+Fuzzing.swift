internal import Inference

extension Tokenizer {
    /// The entry point of fuzzing: builds a tokenizer from hostile bytes and takes a small text there and back. Returns how many
    /// tokens it had, or throws; anything else is a bug.
    package static func fuzz(_ json: [UInt8]) throws(TokenizerError) -> Int {
        let tokenizer = try Tokenizer(json: json, limits: TokenizerLimits(textBytes: 1 << 16, tokens: 1 << 16))
        let text = "Don't cross  the\n\nriver: 12 345 é \u{1F6A2} \u{2581}<s> MARK\t"
        let ids = try tokenizer.encode(text, addSpecialTokens: true)
        var detokenizer = IncrementalDetokenizer(tokenizer, skipSpecialTokens: true)
        for id in ids + [0, 1, 2, -1, TokenID.max, TokenID(tokenizer.vocabularySize)] {
            _ = detokenizer.append(id)
            _ = tokenizer.text(of: id)
        }
        _ = detokenizer.finish()
        return ids.count
    }
}
