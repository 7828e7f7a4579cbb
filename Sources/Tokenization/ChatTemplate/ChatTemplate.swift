package import Platform

/// A model's chat template: turns a conversation into the text the model was trained to continue.
///
/// The language is the part of Jinja that chat templates use, with the settings they are written for (see `TemplateLexer`
/// for whitespace). Values behave as Python's do, so that the text is the one the model's authors get. It cannot reach outside
/// its arguments, change them, or exceed its limits. Immutable after parsing; any thread may render. Rendering is a function
/// of its arguments.
///
/// Differences from Python that templates could notice: integers have 64 bits; `|escape` and `|safe` give plain text;
/// `lipsum`, `cycler` and `joiner` are not defined; iterators are computed at once; an error in a constant expression is always
/// an error; a filter or test that does not exist is refused when the template is parsed.
package struct ChatTemplate: Sendable {
    private let standard: TemplateProgram
    /// Used instead when tools are given, for models that have two templates.
    private let toolUse: TemplateProgram?
    /// Variables every rendering has, such as the special tokens.
    package let variables: JSONObject
    package let limits: TemplateLimits

    package init(source: String, limits: TemplateLimits = TemplateLimits()) throws(TemplateError) {
        try self.init(source: source, toolUse: nil, variables: JSONObject(), limits: limits)
    }

    init(source: String, toolUse: String?, variables: JSONObject, limits: TemplateLimits) throws(TemplateError) {
        standard = try TemplateParser.parse(source, limits: limits)
        if let toolUse {
            self.toolUse = try TemplateParser.parse(toolUse, limits: limits)
        } else {
            self.toolUse = nil
        }
        self.variables = variables
        self.limits = limits
    }

    /// The text for `messages`.
    ///
    /// - Parameters:
    ///   - tools: what the template sees as `tools`; none when nil.
    ///   - addGenerationPrompt: whether the text ends where the assistant begins to speak.
    ///   - extra: further variables, such as `enable_thinking`; they win over those the template came with.
    ///   - now: what `strftime_now` tells the template.
    /// - Throws: `TemplateError.raised` when the template refuses the conversation, which is the client's error.
    package func render(
        messages: [JSON], tools: [JSON]? = nil, addGenerationPrompt: Bool, extra: JSONObject = JSONObject(), now: TemplateDate
    ) throws(TemplateError) -> String {
        var variables = variables
        variables["documents"] = .null
        for member in extra.members { variables[member.key] = member.value }
        variables["messages"] = .array(messages)
        variables["tools"] = tools.map(JSON.array) ?? .null
        variables["add_generation_prompt"] = .bool(addGenerationPrompt)
        let program = tools == nil ? standard : toolUse ?? standard
        return try TemplateInterpreter.render(program, variables: variables, now: now, limits: limits)
    }

    /// Renders `template`, a JSON object as `variables`, both from anywhere: for fuzzing. Returns or throws, never traps.
    package static func renderUntrusted(template: [UInt8], variables: [UInt8]) throws(TemplateError) -> String {
        let limits = TemplateLimits(steps: 50_000, outputBytes: 1 << 16)
        let template = try ChatTemplate(source: String(decoding: template, as: UTF8.self), limits: limits)
        let parsed = try? JSON(parsing: variables)
        return try template.render(
            messages: parsed?["messages"]?.array ?? [], tools: parsed?["tools"]?.array, addGenerationPrompt: true,
            extra: parsed?.object ?? JSONObject(), now: TemplateDate(unixSeconds: 0)
        )
    }
}
