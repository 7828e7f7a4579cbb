package import Platform

/// Which API is asked.
package enum InferenceEndpoint: String, Sendable, CaseIterable {
    case chat = "/v1/chat/completions"
    case completions = "/v1/completions"
}

/// What the body of every request of a run says beside its prompt.
package struct BodyOptions: Sendable {
    package var streams = true
    /// Asks for Ferry's own report in the answer.
    package var asksFerry = false
    package var ignoresEnd = false
    package var temperature: Double?
    /// Members that replace or join those above.
    package var extra = JSONObject()

    package init() {}
}

/// Writes the JSON that a request sends.
package enum RequestBody {
    /// - Parameter conversation: the messages of earlier turns, answers included.
    package static func json(
        for request: PlannedRequest, endpoint: InferenceEndpoint, model: String, conversation: [ChatMessage] = [], options: BodyOptions
    ) -> [UInt8] {
        var writer = JSONWriter(capacity: 1024)
        let replaced = Set(options.extra.keys)
        func isOurs(_ key: String) -> Bool { !replaced.contains(key) }
        writer.beginObject()
        if isOurs("model") { writer.field("model", model) }
        switch endpoint {
        case .chat:
            writer.key("messages")
            writer.beginArray()
            for message in conversation + messages(request.prompt) { write(message, to: &writer) }
            writer.endArray()
        case .completions:
            writer.key("prompt")
            prompt(request.prompt, after: conversation, to: &writer)
        }
        if isOurs("max_tokens") { writer.field("max_tokens", request.maximumOutputTokens) }
        if let temperature = options.temperature, isOurs("temperature") { writer.field("temperature", temperature) }
        if options.ignoresEnd, isOurs("ignore_eos") { writer.field("ignore_eos", true) }
        if isOurs("stream") { writer.field("stream", options.streams) }
        if options.streams, isOurs("stream_options") {
            writer.key("stream_options")
            writer.beginObject()
            writer.field("include_usage", true)
            writer.endObject()
        }
        if options.asksFerry, isOurs("ferry") { writer.field("ferry", true) }
        for member in options.extra.members { writer.field(member.key, member.value) }
        writer.endObject()
        return writer.bytes
    }

    /// What a turn adds to the conversation: its messages.
    static func messages(_ prompt: Prompt) -> [ChatMessage] {
        switch prompt {
        case .chat(let messages): messages
        case .text(let text): [ChatMessage(role: "user", text: text)]
        // Chats have no room for token ids; the command line refuses the combination.
        case .tokens: []
        }
    }

    private static func write(_ message: ChatMessage, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.field("role", message.role)
        writer.key("content")
        if message.images.isEmpty {
            writer.string(message.text)
        } else {
            writer.beginArray()
            for image in message.images {
                writer.beginObject()
                writer.field("type", "image_url")
                writer.key("image_url")
                writer.beginObject()
                writer.field("url", image)
                writer.endObject()
                writer.endObject()
            }
            if !message.text.isEmpty {
                writer.beginObject()
                writer.field("type", "text")
                writer.field("text", message.text)
                writer.endObject()
            }
            writer.endArray()
        }
        writer.endObject()
    }

    private static func prompt(_ prompt: Prompt, after conversation: [ChatMessage], to writer: inout JSONWriter) {
        if case .tokens(let tokens) = prompt {
            writer.beginArray()
            for token in tokens { writer.integer(token) }
            return writer.endArray()
        }
        writer.string((conversation + messages(prompt)).map(\.text).joined(separator: "\n"))
    }
}
