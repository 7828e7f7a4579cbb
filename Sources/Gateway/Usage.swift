internal import Platform
package import Wire

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
    /// From arrival to the second one: a hand-over between workers lies before it.
    package var secondToken: Duration?
    /// How the KV went from the prefilling to the decoding worker; nil where it did not have to.
    package var transfer: TransferSummary?
    package var decode: Duration = .zero
    package var prefillWorker = ""
    package var decodeWorker = ""
    /// Times the request was started on a worker.
    package var attempts = 1

    package init() {}

    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("kv")
        if let transfer { Self.write(transfer, to: &writer) } else { writer.null() }
        writer.key("timeline")
        writer.beginObject()
        writer.field("queue_ms", queue.inMilliseconds)
        writer.field("prefill_ms", prefill.inMilliseconds)
        writer.key("first_token_ms")
        if let firstToken { writer.number(firstToken.inMilliseconds) } else { writer.null() }
        writer.key("second_token_ms")
        if let secondToken { writer.number(secondToken.inMilliseconds) } else { writer.null() }
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

    private static func write(_ transfer: TransferSummary, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.field("profile", transfer.profile)
        writer.field("raw_bytes", transfer.rawBytes)
        writer.field("sent_bytes", transfer.sentBytes)
        writer.field("blocks", transfer.blocks)
        writer.field("wire_ms", transfer.wire.inMilliseconds)
        // The part that was not hidden behind the prefill.
        writer.field("exposed_ms", transfer.exposed.inMilliseconds)
        writer.field("wait_ms", transfer.wait.inMilliseconds)
        writer.field("cached_tokens", transfer.cachedTokens)
        writer.field("connections", transfer.connections)
        writer.endObject()
    }

    /// The same as fields of a trailer section, for clients that read those.
    package var trailers: [(String, String)] {
        func text(_ duration: Duration) -> String { String((duration.inMilliseconds * 1000).rounded() / 1000) }
        var fields = [
            ("x-ferry-queue-ms", text(queue)), ("x-ferry-prefill-ms", text(prefill)), ("x-ferry-decode-ms", text(decode)),
            ("x-ferry-prefill-worker", prefillWorker), ("x-ferry-decode-worker", decodeWorker), ("x-ferry-attempts", String(attempts)),
        ]
        if let firstToken { fields.append(("x-ferry-first-token-ms", text(firstToken))) }
        if let secondToken { fields.append(("x-ferry-second-token-ms", text(secondToken))) }
        if let transfer {
            fields += [
                ("x-ferry-kv-profile", transfer.profile), ("x-ferry-kv-raw-bytes", String(transfer.rawBytes)),
                ("x-ferry-kv-sent-bytes", String(transfer.sentBytes)), ("x-ferry-kv-wire-ms", text(transfer.wire)),
                ("x-ferry-kv-exposed-ms", text(transfer.exposed)), ("x-ferry-kv-wait-ms", text(transfer.wait)),
            ]
        }
        return fields
    }
}
