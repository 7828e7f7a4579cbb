package import Inference
package import Platform

/// A body of `POST /tokenize`: text, or messages to be rendered first.
package struct TokenizeRequest: Sendable, Equatable {
    package enum Input: Sendable, Equatable {
        case text(String, addsSpecialTokens: Bool)
        case messages([JSON], tools: [JSON], TemplateOptions)
    }

    package var model: String?
    package var input: Input
    /// Adds `token_strs`.
    package var returnsStrings: Bool

    package init(body: Span<UInt8>, limits: RequestLimits) throws(APIError) {
        let object = try GenerationOptions.object(of: body, limits)
        var fields = FieldReader(object)
        model = try fields.string("model", longest: 512)
        returnsStrings = try fields.bool("return_token_strs") ?? false
        if object["messages"] != nil {
            // The same reading as for an answer, so that both count the same tokens.
            let chat = try ChatRequest(object, limits: limits, defaults: SamplingParameters())
            input = .messages(chat.messages, tools: chat.tools, chat.template)
        } else {
            guard let text = try fields.string("prompt", longest: .max) else {
                throw FieldReader.missing("prompt", expected: "a string, or messages instead")
            }
            input = .text(text, addsSpecialTokens: try fields.bool("add_special_tokens") ?? true)
        }
    }
}

/// A body of `POST /detokenize`.
package struct DetokenizeRequest: Sendable, Equatable {
    package var model: String?
    package var tokens: [TokenID]

    package init(body: Span<UInt8>, limits: RequestLimits) throws(APIError) {
        var fields = FieldReader(try GenerationOptions.object(of: body, limits))
        model = try fields.string("model", longest: 512)
        guard let ids = try fields.array("tokens", atMost: .max) else {
            throw FieldReader.missing("tokens", expected: "an array of token ids")
        }
        tokens = try GenerationOptions.tokens(ids, "tokens", limits)
    }
}
