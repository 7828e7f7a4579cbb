import Kernels

/// Which tokens of which layer a block holds.
package struct KeyValueBlock: Sendable, Hashable {
    /// Tokens of one block at most.
    package static let tokens = 128

    package var layer: Int
    /// The position of the first one.
    package var firstToken: Int
    package var tokens: Int
    /// Of the whole prompt: says which tokens are the recent ones.
    package var promptTokens: Int

    package init(layer: Int, firstToken: Int, tokens: Int, promptTokens: Int) {
        precondition(
            layer >= 0 && firstToken >= 0 && (1...Self.tokens).contains(tokens) && firstToken + tokens <= promptTokens
                && promptTokens <= Int(Int32.max),
            "layer \(layer), \(tokens) tokens from \(firstToken) on of \(promptTokens)")
        (self.layer, self.firstToken, self.tokens, self.promptTokens) = (layer, firstToken, tokens, promptTokens)
    }

    /// The tokens that `profile` does not keep exact, counted from the block's first. Those before are sinks, those behind are recent.
    func coded(_ profile: KeyValueProfile) -> Range<Int> {
        let start = min(max(profile.sinks - firstToken, 0), tokens)
        let end = min(max(promptTokens - profile.recent - firstToken, start), tokens)
        return start..<end
    }

    /// Where the block's first token stands in the first of its pages.
    var firstInPage: Int { firstToken % KeyValueGeometry.tokens }

    /// How many pages it takes.
    package var pages: Int { (firstInPage + tokens + KeyValueGeometry.tokens - 1) / KeyValueGeometry.tokens }
}

/// What the bytes of a block went to.
package struct KeyValueBlockSizes: Sendable, Hashable {
    package var header = 0
    /// Scales, offsets and whatever else quantisers and transforms need.
    package var statistics = 0
    /// Of the entropy coder.
    package var tables = 0
    package var symbols = 0
    /// Of the tokens that are kept exact.
    package var exact = 0

    package init() {}

    package var total: Int { header + statistics + tables + symbols + exact }

    package static func += (sizes: inout KeyValueBlockSizes, more: KeyValueBlockSizes) {
        sizes.header += more.header
        sizes.statistics += more.statistics
        sizes.tables += more.tables
        sizes.symbols += more.symbols
        sizes.exact += more.exact
    }
}

/// What is wrong with a block.
package struct KeyValueBlockError: Error, Equatable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}
