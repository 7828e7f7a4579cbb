package import Inference

/// Which tokens a sequence has seen, as far as penalties ask: a set of the prompt's, counts of the answer's.
package struct TokenHistory: Sendable {
    struct Entry {
        var token: TokenID
        /// Times generated; 0 for a token of the prompt only.
        var generated: Int32
    }

    private(set) var entries: [Entry] = []
    private var positions: [TokenID: Int] = [:]

    package init(prompt: some Sequence<TokenID>) {
        for token in prompt { _ = position(of: token) }
    }

    /// `token` was generated.
    package mutating func append(_ token: TokenID) { entries[position(of: token)].generated += 1 }

    private mutating func position(of token: TokenID) -> Int {
        if let position = positions[token] { return position }
        positions[token] = entries.count
        entries.append(Entry(token: token, generated: 0))
        return entries.count - 1
    }
}

extension SamplingParameters {
    /// Whether the sampler needs a `TokenHistory`.
    package var penalizes: Bool { repetitionPenalty != 1 || presencePenalty != 0 || frequencyPenalty != 0 }
}
