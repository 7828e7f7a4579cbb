/// The dimensions of a decoder model, as every stage that must agree on them sees them.
package struct ModelShape: Sendable, Equatable {
    package var layers: Int
    package var hidden: Int
    package var intermediate: Int
    package var heads: Int
    package var keyValueHeads: Int
    package var headDimension: Int
    package var vocabulary: Int
    /// Tokens of prompt and answer together.
    package var context: Int

    package init(
        layers: Int, hidden: Int, intermediate: Int, heads: Int, keyValueHeads: Int, headDimension: Int, vocabulary: Int, context: Int
    ) {
        self.layers = layers
        self.hidden = hidden
        self.intermediate = intermediate
        self.heads = heads
        self.keyValueHeads = keyValueHeads
        self.headDimension = headDimension
        self.vocabulary = vocabulary
        self.context = context
    }
}
