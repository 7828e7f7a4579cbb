internal import Platform

/// Token counts of a request over all its choices.
package struct Usage: Sendable, Equatable {
    /// Each prompt once, however many choices it has.
    package var promptTokens = 0
    package var completionTokens = 0
    package var cachedTokens = 0

    package init(promptTokens: Int = 0, completionTokens: Int = 0, cachedTokens: Int = 0) {
        self.promptTokens = promptTokens
        self.completionTokens = completionTokens
        self.cachedTokens = cachedTokens
    }

    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.field("prompt_tokens", promptTokens)
        writer.field("completion_tokens", completionTokens)
        writer.field("total_tokens", promptTokens + completionTokens)
        writer.key("prompt_tokens_details")
        writer.beginObject()
        writer.field("cached_tokens", cachedTokens)
        writer.endObject()
        writer.endObject()
    }
}

/// The response extension `ferry`: where the time went and who did the work. Sent when the request says `"ferry": true`.
package struct FerryReport: Sendable, Equatable {
    /// From arrival until a worker began: preparation here, queue there.
    package var queue: Duration = .zero
    package var prefill: Duration = .zero
    /// From arrival to the first token at the gateway; nil when none came.
    package var firstToken: Duration?
    package var decode: Duration = .zero
    package var prefillWorker = ""
    package var decodeWorker = ""
    /// Times the request was started on a worker.
    package var attempts = 1

    package init() {}

    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        // Filled where prefill and decode are different workers and the KV cache travelled.
        writer.key("kv")
        writer.null()
        writer.key("timeline")
        writer.beginObject()
        writer.field("queue_ms", queue.inMilliseconds)
        writer.field("prefill_ms", prefill.inMilliseconds)
        writer.key("first_token_ms")
        if let firstToken { writer.number(firstToken.inMilliseconds) } else { writer.null() }
        writer.field("decode_ms", decode.inMilliseconds)
        writer.endObject()
        writer.key("workers")
        writer.beginObject()
        writer.field("prefill", prefillWorker)
        writer.field("decode", decodeWorker)
        writer.endObject()
        writer.field("attempts", attempts)
        writer.endObject()
    }
}
