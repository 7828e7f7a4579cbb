package import Inference
internal import Platform

/// Writes the server-sent events of one response. Frames are appended to one buffer that the caller takes once per step, so that
/// all tokens of a step leave in one write; buffer and JSON writer keep their memory.
///
/// Rules (WHATWG HTML, "Server-sent events", and what OpenAI's SDKs expect): a frame is `data: {…}` and a blank line, LF only;
/// id, created and model are the same in every chunk; the usage chunk has empty choices and every other chunk `usage: null`;
/// `[DONE]` ends every good stream and no bad one.
package struct EventWriter: Sendable {
    private let header: ResponseHeader
    private let reportsUsage: Bool
    private let wantsLogprobs: Bool
    /// `data: {"id":…,"choices":[`
    private let head: [UInt8]
    /// `]}` or `],"usage":null}` and the blank line.
    private let tail: [UInt8]
    private var json = JSONWriter(capacity: 512)
    package private(set) var bytes: [UInt8] = []
    /// Code points sent per choice, for `text_offset`.
    private var offsets: [Int]

    package init(_ header: ResponseHeader, choices: Int, reportsUsage: Bool, wantsLogprobs: Bool) {
        self.header = header
        self.reportsUsage = reportsUsage
        self.wantsLogprobs = wantsLogprobs
        self.offsets = Array(repeating: 0, count: choices)
        var writer = JSONWriter()
        writer.beginObject()
        header.write(to: &writer, streaming: true)
        writer.key("choices")
        writer.beginArray()
        self.head = Array("data: ".utf8) + writer.bytes
        self.tail = Array((reportsUsage ? "],\"usage\":null}\n\n" : "]}\n\n").utf8)
        bytes.reserveCapacity(1024)
    }

    /// Hands the bytes to `body` and empties the buffer, keeping its memory.
    package mutating func drain(_ body: ([UInt8]) -> Void) {
        guard !bytes.isEmpty else { return }
        body(bytes)
        bytes.removeAll(keepingCapacity: true)
    }

    /// The first chunk of a choice; only chats have one.
    package mutating func role(choice: Int, promptTokenIDs: [TokenID]? = nil) {
        guard header.kind == .chat else { return }
        begin(choice)
        json.key("delta")
        json.beginObject()
        json.field("role", "assistant")
        json.field("content", "")
        json.endObject()
        json.key("logprobs")
        json.null()
        json.key("finish_reason")
        json.null()
        if let promptTokenIDs { Self.write(promptTokenIDs, "prompt_token_ids", to: &json) }
        end()
    }

    /// New text of a choice.
    ///
    /// - Parameter usage: the counts so far, when the request wants them with every chunk.
    package mutating func delta(choice: Int, _ delta: ChoiceDelta, tokenIDs: Bool = false, usage: Usage? = nil) {
        begin(choice)
        switch header.kind {
        case .chat:
            json.key("delta")
            json.beginObject()
            json.field("content", delta.text)
            json.endObject()
        case .text: json.field("text", delta.text)
        }
        logprobs(choice, delta.reports)
        json.key("finish_reason")
        json.null()
        if tokenIDs { Self.write(delta.tokens, "token_ids", to: &json) }
        end(usage)
    }

    /// The last chunk of a choice.
    package mutating func finish(choice: Int, _ finish: ChoiceFinish, usage: Usage? = nil) {
        begin(choice)
        switch header.kind {
        case .chat:
            json.key("delta")
            json.beginObject()
            json.endObject()
        case .text: json.field("text", "")
        }
        json.key("logprobs")
        json.null()
        json.field("finish_reason", finish.reason)
        Self.writeStopReason(finish, to: &json)
        end(usage)
    }

    /// The chunk after all choices: counts, the extension, or both. Nothing when neither was asked for.
    package mutating func summary(_ usage: Usage, ferry: FerryReport?) {
        guard reportsUsage || ferry != nil else { return }
        json.removeAll()
        json.beginObject()
        header.write(to: &json, streaming: true)
        json.key("choices")
        json.beginArray()
        json.endArray()
        if reportsUsage {
            json.key("usage")
            usage.write(to: &json)
        }
        if let ferry {
            json.key("ferry")
            ferry.write(to: &json)
        }
        json.endObject()
        frame()
    }

    package mutating func done() { bytes.append(contentsOf: "data: [DONE]\n\n".utf8) }

    /// The stream ends with it and without `[DONE]`.
    package mutating func error(_ error: APIError) {
        json.removeAll()
        error.write(to: &json)
        frame()
    }

    /// A comment frame, which clients skip: keeps proxies from taking a long prefill for a dead connection.
    package static let keepAlive = Array(": keep-alive\n\n".utf8)

    // MARK: Parts

    private mutating func begin(_ choice: Int) {
        json.removeAll()
        json.beginObject()
        json.field("index", choice)
    }

    private mutating func end(_ usage: Usage? = nil) {
        json.endObject()
        bytes.append(contentsOf: head)
        bytes.append(contentsOf: json.bytes)
        guard let usage else {
            bytes.append(contentsOf: tail)
            return
        }
        json.removeAll()
        usage.write(to: &json)
        bytes.append(contentsOf: "],\"usage\":".utf8)
        bytes.append(contentsOf: json.bytes)
        bytes.append(contentsOf: "}\n\n".utf8)
    }

    private mutating func frame() {
        bytes.append(contentsOf: "data: ".utf8)
        bytes.append(contentsOf: json.bytes)
        bytes.append(contentsOf: "\n\n".utf8)
    }

    private mutating func logprobs(_ choice: Int, _ reports: [TokenReport]) {
        json.key("logprobs")
        guard wantsLogprobs else { return json.null() }
        switch header.kind {
        case .chat: LogprobsWriter.chat(reports, to: &json)
        case .text: LogprobsWriter.text(reports, offset: &offsets[choice], to: &json)
        }
    }

    static func write(_ tokens: [TokenID], _ name: String, to json: inout JSONWriter) {
        json.key(name)
        json.beginArray()
        for token in tokens { json.integer(token) }
        json.endArray()
    }

    /// vLLM's `stop_reason`: the string or token that ended the choice; null for the model's own end and for the length.
    static func writeStopReason(_ finish: ChoiceFinish, to json: inout JSONWriter) {
        json.key("stop_reason")
        switch finish {
        case .end, .length: json.null()
        case .stopToken(let token): json.integer(token)
        case .stopString(let stop): json.string(stop)
        }
    }
}
