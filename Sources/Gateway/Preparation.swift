internal import Inference

/// What has to be made of a body before it can be answered.
struct PreparationJob: Sendable {
    enum Task: Sendable {
        case chat
        case text
        case tokenize
        case detokenize
    }

    let request: UInt64
    let task: Task
    let body: [UInt8]
    /// The most tokens a sequence may have on the worker that is attached.
    let sequenceLimit: Int
}

/// The outcome.
enum Preparation: Sendable {
    case generation(PreparedGeneration)
    /// The whole answer, as JSON.
    case answer([UInt8])
    case refused(APIError)
}

/// A generation request whose prompts are tokens.
struct PreparedGeneration: Sendable {
    var options: GenerationOptions
    var prompts: [PreparedPrompt]
}

struct PreparedPrompt: Sendable {
    var tokens: [TokenID]
    /// The prompt's text when the answer repeats it.
    var echo: String
    /// The request's own limit and what still fits after the prompt, whichever is less. At least one.
    var maxTokens: Int
}
