package import Platform

/// What a request may ask for at most. Beyond a limit: 400 with the limit in the message.
package struct RequestLimits: Sendable, Equatable {
    /// Token ids are below it. From the model.
    package var vocabulary: Int
    /// Prompts times choices of one request.
    package var sequences = 64
    /// Stop strings (OpenAI: 4), and bytes of each.
    package var stops = 16
    package var stopBytes = 512
    package var stopTokens = 256
    /// Alternatives beside each token (OpenAI: 20).
    package var topLogprobs = 20
    package var logitBiases = 2048
    package var messages = 4096
    package var contentParts = 4096
    package var tools = 128
    /// Nesting and number of values in a body. Its bytes are bounded by the server.
    package var json = JSONLimits(depth: 64, values: 1_000_000)

    package init(vocabulary: Int) { self.vocabulary = vocabulary }
}
