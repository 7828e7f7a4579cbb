package import Inference
package import Platform

/// A prompt as it was given.
package enum Prompt: Sendable, Equatable {
    case text(String)
    case tokens([TokenID])
}

/// A body of `POST /v1/completions`, checked.
package struct CompletionRequest: Sendable, Equatable {
    package var options: GenerationOptions
    /// At least one; prompts times choices are within the limits.
    package var prompts: [Prompt]
    /// The prompt's text goes before the answer's.
    package var echoes: Bool
    package var addsSpecialTokens: Bool

    package init(
        body: Span<UInt8>, limits: RequestLimits, defaults: SamplingParameters = SamplingParameters()
    ) throws(APIError) {
        try self.init(try GenerationOptions.object(of: body, limits), limits: limits, defaults: defaults)
    }

    package init(_ object: JSONObject, limits: RequestLimits, defaults: SamplingParameters) throws(APIError) {
        var fields = FieldReader(object)
        options = try GenerationOptions(from: &fields, limits: limits, defaults: defaults)
        options.sampling.topLogprobs = try fields.integer("logprobs", in: 0...limits.topLogprobs)
        echoes = try fields.bool("echo") ?? false
        addsSpecialTokens = try fields.bool("add_special_tokens") ?? true
        prompts = try Self.readPrompts(&fields, limits)
        if echoes, options.sampling.topLogprobs != nil {
            throw APIError(
                .unsupportedParameter, "echo: log probabilities of the prompt are not supported, so echo and logprobs exclude each other", param: "echo")
        }
        let sequences = prompts.count * options.choices
        guard sequences <= limits.sequences else {
            throw APIError(
                .invalidValue, "prompt: at most \(limits.sequences) sequences were expected, found \(prompts.count) prompts times n = \(options.choices)",
                param: "prompt")
        }
        try fields.refuse("suffix") { $0.string?.isEmpty == true }
        options.ignored = fields.unread
    }

    private static func readPrompts(_ fields: inout FieldReader, _ limits: RequestLimits) throws(APIError) -> [Prompt] {
        let expected = "a string, an array of strings, an array of token ids, or an array of such arrays"
        guard let value = fields.value("prompt") else { throw FieldReader.missing("prompt", expected: expected) }
        if let text = value.string { return [.text(text)] }
        guard let array = value.array else { throw FieldReader.wrongType("prompt", value, expected: expected) }
        guard let first = array.first else {
            throw APIError(.invalidValue, "prompt: at least one element was expected, found none", param: "prompt")
        }
        if first.double != nil { return [.tokens(try GenerationOptions.tokens(array, "prompt", limits))] }
        try FieldReader.bound(array.count, limits.sequences, "prompt")
        var prompts: [Prompt] = []
        for (index, element) in array.enumerated() {
            let path = "prompt[\(index)]"
            switch element {
            case .string(let text): prompts.append(.text(text))
            case .array(let ids): prompts.append(.tokens(try GenerationOptions.tokens(ids, path, limits)))
            default: throw FieldReader.wrongType(path, element, expected: "a string or an array of token ids")
            }
        }
        return prompts
    }
}
