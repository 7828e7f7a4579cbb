package import Inference
package import Platform

/// A body of `POST /v1/chat/completions`, checked.
package struct ChatRequest: Sendable, Equatable {
    package var options: GenerationOptions
    /// Messages as templates want them: content as one string, arguments of tool calls as objects, `developer` as `system`.
    package var messages: [JSON]
    /// Offered to the template. Their calls in the answer are not parsed: they come back as the text that the model wrote.
    package var tools: [JSON]
    package var template: TemplateOptions

    package init(
        body: Span<UInt8>, limits: RequestLimits, defaults: SamplingParameters = SamplingParameters()
    ) throws(APIError) {
        try self.init(try GenerationOptions.object(of: body, limits), limits: limits, defaults: defaults)
    }

    package init(_ object: JSONObject, limits: RequestLimits, defaults: SamplingParameters) throws(APIError) {
        var fields = FieldReader(object)
        options = try GenerationOptions(from: &fields, limits: limits, defaults: defaults)
        messages = try ChatMessages.read(&fields, limits)
        tools = try Self.readTools(&fields, limits)
        template = try TemplateOptions(from: &fields)
        options.sampling.topLogprobs = try Self.readLogprobs(&fields, limits)
        try fields.refuse("echo") { $0.bool == false }
        try fields.refuse("suffix") { $0.string?.isEmpty == true }
        options.ignored = fields.unread
    }

    private static func readLogprobs(_ fields: inout FieldReader, _ limits: RequestLimits) throws(APIError) -> Int? {
        let wanted = try fields.bool("logprobs") ?? false
        let top = try fields.integer("top_logprobs", in: 0...limits.topLogprobs)
        guard wanted else {
            if let top, top > 0 {
                throw APIError(.invalidValue, "top_logprobs: only allowed when logprobs is true", param: fields.path("top_logprobs"))
            }
            return nil
        }
        return top ?? 0
    }

    private static func readTools(_ fields: inout FieldReader, _ limits: RequestLimits) throws(APIError) -> [JSON] {
        let tools = try fields.array("tools", atMost: limits.tools) ?? []
        for (index, tool) in tools.enumerated() {
            let path = "tools[\(index)]"
            guard let object = tool.object else { throw FieldReader.wrongType(path, tool, expected: "an object") }
            var tool = FieldReader(object, at: path)
            guard let type = try tool.string("type", longest: 64) else { throw FieldReader.missing(tool.path("type"), expected: "\"function\"") }
            guard type == "function" else {
                throw APIError(
                    .unsupportedParameter, "\(tool.path("type")): \"function\" was expected, found \"\(type)\"", param: tool.path("type"))
            }
            guard let function = try tool.object("function") else {
                throw FieldReader.missing(tool.path("function"), expected: "an object with a name")
            }
            var definition = FieldReader(function, at: tool.path("function"))
            guard let name = try definition.string("name", longest: 256), !name.isEmpty else {
                throw FieldReader.missing(definition.path("name"), expected: "the function's name")
            }
        }
        guard let choice = fields.value("tool_choice") else { return tools }
        switch choice {
        case "auto": return tools
        // A model that does not see the tools cannot call them.
        case "none": return []
        case .string(let choice) where choice != "required":
            throw APIError(
                .invalidValue, "tool_choice: \"auto\" or \"none\" was expected, found \"\(choice.prefix(64))\"", param: "tool_choice")
        case .string, .object:
            throw APIError(
                .unsupportedParameter, "tool_choice: \"auto\" or \"none\" was expected; a forced call needs constrained output, which is not supported",
                param: "tool_choice")
        default: throw FieldReader.wrongType("tool_choice", choice, expected: "a string or an object")
        }
    }
}

/// What the chat template is given besides messages and tools.
package struct TemplateOptions: Sendable, Equatable {
    package var addsGenerationPrompt: Bool
    package var continuesFinalMessage: Bool
    /// Whether the tokeniser adds its own special tokens; templates write them themselves.
    package var addsSpecialTokens: Bool
    package var variables: JSONObject

    /// Names that the gateway itself gives to the template, or that would replace it.
    private static let reserved: Set<String> = [
        "messages", "tools", "add_generation_prompt", "continue_final_message", "chat_template", "tokenize", "bos_token", "eos_token",
    ]

    init(from fields: inout FieldReader) throws(APIError) {
        // A template is a program: one that comes with the request could compute for minutes.
        if fields.value("chat_template") != nil {
            throw APIError(.unsupportedParameter, "chat_template: templates in requests are not accepted", param: fields.path("chat_template"))
        }
        continuesFinalMessage = try fields.bool("continue_final_message") ?? false
        let adds = try fields.bool("add_generation_prompt")
        if continuesFinalMessage, adds == true {
            throw APIError(
                .invalidValue, "continue_final_message and add_generation_prompt exclude each other: one of them can be true",
                param: fields.path("continue_final_message"))
        }
        addsGenerationPrompt = adds ?? !continuesFinalMessage
        addsSpecialTokens = try fields.bool("add_special_tokens") ?? false
        variables = try fields.object("chat_template_kwargs") ?? JSONObject()
        if let name = variables.keys.first(where: { Self.reserved.contains($0) }) {
            throw APIError(
                .invalidValue, "chat_template_kwargs.\(name): this name belongs to the server", param: "chat_template_kwargs.\(name)")
        }
        if let documents = try fields.array("documents", atMost: 4096) { variables["documents"] = .array(documents) }
        if let effort = try fields.string("reasoning_effort", longest: 64) { variables["reasoning_effort"] = .string(effort) }
    }
}
