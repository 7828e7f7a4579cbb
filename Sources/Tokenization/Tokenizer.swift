package import Inference
internal import Synchronization

/// A model's tokenizer, as its tokenizer.json describes it: text to token ids and back, with the ids that Hugging Face
/// `tokenizers` gives.
///
/// Immutable, so any number of threads may use it. What encoding needs of working memory is taken from a small stock and put
/// back afterwards: one lock per text and none per word, a warm word cache for every thread, and nothing for callers to carry.
package final class Tokenizer: Sendable {
    /// Working memory beyond this many sets is dropped when it comes back; so many threads encode with a warm cache.
    private static let scratchLimit = 8
    /// A set that grew beyond so many symbols for one long word gives the memory back.
    private static let scratchSymbols = 1 << 16

    let vocabulary: Vocabulary
    let tokenText: TokenText
    private let parts: TokenizerParts
    private let scratches = Mutex<[EncodingScratch]>([])

    package let specialTokens: SpecialTokens
    package let limits: TokenizerLimits

    init(_ parts: TokenizerParts, _ tokenText: TokenText, limits: TokenizerLimits) {
        vocabulary = parts.vocabulary
        self.parts = parts
        self.tokenText = tokenText
        self.limits = limits
        specialTokens = parts.specialTokens
    }

    /// One more than the highest id. Ids below may be without a token.
    package var vocabularySize: Int { vocabulary.idLimit }

    package var eosToken: TokenID? { specialTokens.end }

    /// The token as it reads inside a text; U+FFFD for bytes that are not UTF-8 by themselves.
    package func text(of id: TokenID) -> String? { bytes(of: id).map { LossyUTF8.text($0[...]) } }

    /// The bytes the token adds inside a text.
    package func bytes(of id: TokenID) -> [UInt8]? { tokenText.isPresent(id) ? Array(tokenText.bytes(of: id)) : nil }

    /// Whether the file marks the token as special: decoding may leave it out.
    package func isSpecial(_ id: TokenID) -> Bool { parts.special.contains(id) }

    /// The tokens of `text`. Added tokens that stand in the text are found there, special ones too.
    ///
    /// - Parameter addSpecialTokens: whether to put around it what the file's post-processor says, such as a beginning token.
    /// - Throws: `textTooLong`, `tooManyTokens`, `patternTooCostly`, `unknownTokenMissing`.
    package func encode(_ text: String, addSpecialTokens: Bool) throws(TokenizerError) -> [TokenID] {
        let count = text.utf8.count
        guard count <= limits.textBytes else { throw .textTooLong(bytes: count, limit: limits.textBytes) }
        var scratch = scratches.withLock { $0.popLast() } ?? EncodingScratch()
        defer { putBack(scratch) }
        var tokens: [TokenID] = []
        tokens.reserveCapacity(count / 4 + 8)
        try encode(Array(text.utf8), with: &scratch, to: &tokens)
        if addSpecialTokens { tokens = parts.postProcessor.apply(to: tokens) }
        guard tokens.count <= limits.tokens else { throw .tooManyTokens(limit: limits.tokens) }
        return tokens
    }

    package func decode(_ ids: [TokenID], skipSpecialTokens: Bool) -> String {
        var detokenizer = IncrementalDetokenizer(self, skipSpecialTokens: skipSpecialTokens)
        return detokenizer.decode(ids)
    }

    private func putBack(_ scratch: consuming EncodingScratch) {
        scratch.queue.trim(toCapacity: Self.scratchSymbols)
        let scratch = scratch
        scratches.withLock { stock in
            if stock.count < Self.scratchLimit { stock.append(scratch) }
        }
    }

    /// Added tokens first, in the text as it is; then, between them, normalisation and the added tokens of normalised text.
    private func encode(
        _ text: [UInt8], with scratch: inout EncodingScratch, to tokens: inout [TokenID]
    ) throws(TokenizerError) {
        var budget = MatchBudget(bytes: text.count)
        for segment in parts.addedTokens.segments(of: text.span) {
            if let token = segment.token {
                tokens.append(token)
                continue
            }
            let isAll = segment.start == 0 && segment.end == text.count
            let (normal, startsAtOrigin) = try parts.normalizer.apply(
                to: isAll ? text : Array(text[segment.start..<segment.end]), within: &budget)
            for part in parts.normalizedAddedTokens.segments(of: normal.span) {
                if let token = part.token {
                    tokens.append(token)
                    continue
                }
                let isAll = part.start == 0 && part.end == normal.count
                let isFirst = startsAtOrigin && segment.start == 0 && part.start == 0
                let words = isAll ? normal : Array(normal[part.start..<part.end])
                try encodeWords(words, isFirst, within: &budget, with: &scratch, to: &tokens)
            }
            guard tokens.count <= limits.tokens else { throw .tooManyTokens(limit: limits.tokens) }
        }
    }

    private func encodeWords(
        _ text: [UInt8], _ startsAtOrigin: Bool, within budget: inout MatchBudget, with scratch: inout EncodingScratch,
        to tokens: inout [TokenID]
    ) throws(TokenizerError) {
        var buffer = PieceBuffer(text: text, startsAtOrigin: startsAtOrigin)
        try parts.preTokenizer.apply(to: &buffer, within: &budget)
        let words = buffer.text.span
        for piece in buffer.pieces {
            try parts.model.encode(words, Int(piece.start), Int(piece.end), with: &scratch, to: &tokens)
        }
    }
}

/// Everything tokenizer.json describes, but for the decoder.
struct TokenizerParts: Sendable {
    /// The model's tokens and the added ones.
    var vocabulary: Vocabulary
    var model: BytePairEncoder
    var addedTokens: AddedTokenMatcher
    var normalizedAddedTokens: AddedTokenMatcher
    /// What the latter are sought as.
    var normalForms: [TokenID: [UInt8]]
    var special: Set<TokenID>
    var normalizer: Normalizer
    var preTokenizer: PreTokenizer
    var postProcessor: PostProcessor
    var specialTokens: SpecialTokens
}
