/// How the next token is chosen from the logits. Names and defaults as vLLM and the OpenAI API have them.
package struct SamplingParameters: Sendable, Equatable {
    /// 0 is greedy: the highest logit, the lowest id among equals.
    package var temperature: Float = 1
    /// Keep the k likeliest tokens; 0 keeps all.
    package var topK: Int = 0
    /// Keep the smallest set of likeliest tokens whose probabilities sum to at least this; 1 keeps all.
    package var topP: Float = 1
    /// Keep tokens with at least this share of the likeliest token's probability; 0 keeps all.
    package var minP: Float = 0
    /// Subtracted once from the logit of each token already generated.
    package var presencePenalty: Float = 0
    /// Subtracted from a token's logit for each time it was generated.
    package var frequencyPenalty: Float = 0
    /// Divides positive and multiplies negative logits of tokens in prompt or output; 1 does nothing.
    package var repetitionPenalty: Float = 1
    /// Added to the logits of these tokens.
    package var logitBias: [TokenID: Float] = [:]
    /// With the position it determines every random draw of the sequence, whatever the batch.
    package var seed: UInt64 = 0
    /// Tokens that end the sequence; the token itself is reported, its text is not.
    package var stopTokens: Set<TokenID> = []
    /// No stop token is chosen before this many were generated.
    package var minTokens: Int = 0
    /// At most this many are generated.
    package var maxTokens: Int = 16
    /// How many alternatives to report beside each token's log probability; nil reports none at all.
    package var topLogprobs: Int? = nil

    package init() {}
}
