/// Why a sequence ended.
package enum FinishReason: Sendable, Equatable {
    /// A stop token (named) or, from the gateway, a stop string.
    case stop(TokenID?)
    /// `maxTokens`, or the end of the model's context.
    case length
    /// The client went away or asked for it.
    case cancelled
    /// The request's deadline passed.
    case deadlineExceeded
    /// The engine could not go on; the text is for the client.
    case failed(String)
    /// Prefill is done, the first token is reported, and the KV waits for the worker that decodes. Never reaches a client.
    case handedOff
    /// This worker does not go on with it, another may: it is draining, or lost its pages. Never reaches a client.
    case interrupted(String)
}
