/// Bounds of a tokenizer. What lies beyond is refused with a `TokenizerError` before memory is spent on it.
package struct TokenizerLimits: Sendable, Equatable {
    /// UTF-8 bytes of a text to encode, at most 128 MiB. Encoding needs up to about 40 times as much memory, where the whole text
    /// is one word.
    package var textBytes: Int
    /// Tokens of one encoded text, special tokens included.
    package var tokens: Int

    package init(textBytes: Int = 16 << 20, tokens: Int = 16 << 20) {
        self.textBytes = min(textBytes, 1 << 27)
        self.tokens = tokens
    }

    /// Bytes of a text after a rewriting step: positions are 32-bit, and a step can treble a text.
    static let rewrittenBytes = 1 << 28
    /// Ids run below this. The largest published vocabularies have about 260,000 entries.
    static let vocabulary = 1 << 22
    /// Bytes of all tokens together.
    static let vocabularyBytes = 1 << 28
    static let merges = 1 << 22
    static let addedTokens = 1 << 16
    /// Bytes of an added token; the search for them costs at most this much per byte of text.
    static let addedTokenBytes = 1 << 10
    /// Steps of a normalizer, a pre-tokenizer or a decoder, nested sequences flattened.
    static let steps = 64
    /// Bytes of a pattern, prefix or replacement.
    static let patternBytes = 1 << 14
}
