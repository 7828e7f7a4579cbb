internal import Inference

/// The BPE model: words to tokens.
///
/// A word is either raw bytes, each a symbol (`alphabet == .bytes`: the pre-tokenizer ends in the byte-level alphabet, which is
/// then never spelled out), or UTF-8, each scalar a symbol.
struct BytePairEncoder: Sendable {
    enum Alphabet: Sendable { case bytes, scalars }

    /// What a symbol that is not in the vocabulary becomes.
    enum Unknown: Sendable, Equatable {
        /// Nothing: it is left out.
        case dropped
        case token(TokenID)
        /// The file names a token that does not exist; a text that needs it is refused.
        case missing(String)
    }

    let vocabulary: Vocabulary
    let merges: MergeTable
    let alphabet: Alphabet
    let unknown: Unknown
    /// One unknown token for a run of unknown symbols.
    let fusesUnknown: Bool
    /// A word that is a token as a whole is that token, whatever the merges say.
    let ignoresMerges: Bool
    /// Whether no merge joins a symbol that does not end in U+2581 to one that begins with it. Then a text can be cut before
    /// every first U+2581 without changing its tokens, which makes words out of a text that has no pre-tokenizer.
    let separatesAtMetaspace: Bool
    /// The token of each byte (`.bytes`) or ASCII character (`.scalars`), -1 where the vocabulary has none.
    private let single: [TokenID]
    /// The tokens of byte fallback for those that have none; nil where that fails too.
    private let singleFallback: [[TokenID]?]
    /// The tokens `<0x00>`…`<0xFF>`, -1 where there is none; empty without byte fallback.
    private let fallback: [TokenID]

    struct Options {
        var alphabet = Alphabet.scalars
        var unknown = Unknown.dropped
        var fusesUnknown = false
        var ignoresMerges = false
        var fallsBackToBytes = false
        var separatesAtMetaspace = false
    }

    init(vocabulary: Vocabulary, merges: MergeTable, options: Options) {
        self.vocabulary = vocabulary
        self.merges = merges
        alphabet = options.alphabet
        unknown = options.unknown
        fusesUnknown = options.fusesUnknown
        ignoresMerges = options.ignoresMerges
        separatesAtMetaspace = options.separatesAtMetaspace
        let fallback = options.fallsBackToBytes ? (0..<256).map { vocabulary.id(of: Self.fallbackName(UInt8($0))) ?? -1 } : []
        self.fallback = fallback
        let symbols = options.alphabet == .bytes ? ByteAlphabet.textOfByte : (UInt8(0)..<128).map { [$0] }
        single = symbols.map { vocabulary.id(of: $0.span) ?? -1 }
        singleFallback = symbols.map { Self.fallback($0.span, fallback) }
    }

    /// `<0x0A>` for 10.
    static func fallbackName(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16, uppercase: true)
        return "<0x" + (digits.count == 1 ? "0" : "") + digits + ">"
    }

    private static func fallback(_ symbol: borrowing Span<UInt8>, _ tokens: [TokenID]) -> [TokenID]? {
        guard !tokens.isEmpty else { return nil }
        var ids: [TokenID] = []
        for index in symbol.indices {
            let id = tokens[Int(symbol[index])]
            guard id >= 0 else { return nil }
            ids.append(id)
        }
        return ids
    }

    /// Appends the tokens of the word `text[start..<end]`.
    func encode(
        _ text: borrowing Span<UInt8>, _ start: Int, _ end: Int, with scratch: inout EncodingScratch, to output: inout [TokenID]
    ) throws(TokenizerError) {
        guard separatesAtMetaspace else { return try encodeWord(text, start, end, with: &scratch, to: &output) }
        var wordStart = start
        var index = start
        var inMetaspace = true
        while index < end {
            let isMetaspace = text[index] == 0xE2 && text[index + 1] == 0x96 && text[index + 2] == 0x81
            if isMetaspace && !inMetaspace {
                try encodeWord(text, wordStart, index, with: &scratch, to: &output)
                wordStart = index
            }
            inMetaspace = isMetaspace
            index += lengthOfScalar(text[index])
        }
        try encodeWord(text, wordStart, end, with: &scratch, to: &output)
    }

    @inline(__always)
    private func encodeWord(
        _ text: borrowing Span<UInt8>, _ start: Int, _ end: Int, with scratch: inout EncodingScratch, to output: inout [TokenID]
    ) throws(TokenizerError) {
        if end - start == 1 {
            let id = single[Int(text[start])]
            if id >= 0 { return output.append(id) }
        }
        guard end - start <= WordCache.maximumWord else {
            return try mergeWord(text, start, end, with: &scratch, to: &output)
        }
        let hash = WordCache.hash(text, start, end)
        if scratch.cache.append(text, start, end, hash: hash, to: &output) { return }
        let known = output.count
        try mergeWord(text, start, end, with: &scratch, to: &output)
        scratch.cache.remember(text, start, end, hash: hash, tokens: output[known...])
    }

    @inline(never)
    private func mergeWord(
        _ text: borrowing Span<UInt8>, _ start: Int, _ end: Int, with scratch: inout EncodingScratch, to output: inout [TokenID]
    ) throws(TokenizerError) {
        guard start < end else { return }
        if ignoresMerges, let id = wholeWord(text.extracting(start..<end)) { return output.append(id) }
        scratch.queue.symbols.removeAll(keepingCapacity: true)
        try symbolise(text, start, end, into: &scratch.queue.symbols)
        scratch.queue.merge(by: merges)
        output.append(contentsOf: scratch.queue.symbols)
    }

    private func wholeWord(_ word: borrowing Span<UInt8>) -> TokenID? {
        switch alphabet {
        case .bytes: vocabulary.id(of: ByteAlphabet.text(of: word).span)
        case .scalars: vocabulary.id(of: word)
        }
    }

    /// Symbols of a word before merging. An unknown token is held back until the next symbol of the vocabulary: a run of them
    /// can be fused across characters that fell back to bytes, which then stand before it.
    private func symbolise(
        _ text: borrowing Span<UInt8>, _ start: Int, _ end: Int, into symbols: inout [TokenID]
    ) throws(TokenizerError) {
        var pending: TokenID?
        var index = start
        while index < end {
            let lead = text[index]
            let length = alphabet == .bytes ? 1 : lengthOfScalar(lead)
            var known: TokenID = -1
            var bytes: [TokenID]?
            if Int(lead) < single.count {
                known = single[Int(lead)]
                if known < 0 { bytes = singleFallback[Int(lead)] }
            } else {
                let symbol = text.extracting(index..<(index + length))
                if let id = vocabulary.id(of: symbol) { known = id } else { bytes = Self.fallback(symbol, fallback) }
            }
            index += length
            if known >= 0 {
                if let held = pending {
                    symbols.append(held)
                    pending = nil
                }
                symbols.append(known)
            } else if let bytes {
                symbols.append(contentsOf: bytes)
            } else {
                try meetUnknown(&pending, &symbols)
            }
        }
        if let held = pending { symbols.append(held) }
    }

    private func meetUnknown(_ pending: inout TokenID?, _ symbols: inout [TokenID]) throws(TokenizerError) {
        switch unknown {
        case .dropped: break
        case .missing(let name): throw .unknownTokenMissing(name)
        case .token(let id):
            if let held = pending, !fusesUnknown { symbols.append(held) }
            pending = id
        }
    }
}

/// What encoding a text needs besides the text and leaves behind for the next one.
struct EncodingScratch: Sendable {
    var queue = MergeQueue()
    /// 32,768 words, 3 MiB: English prose then finds more than 95 % of its words.
    var cache = WordCache(slotBits: 15, arenaBytes: 2 << 20)
}
