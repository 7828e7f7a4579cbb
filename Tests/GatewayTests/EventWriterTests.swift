import Gateway
import Inference
import Platform
import Testing
import Wire

private let chatHeader = ResponseHeader(kind: .chat, id: "chatcmpl-1", created: 7, model: "m", fingerprint: "ferry-f")
private let textHeader = ResponseHeader(kind: .text, id: "cmpl-1", created: 7, model: "m", fingerprint: "ferry-f")

private func delta(_ text: String, _ reports: [TokenReport] = [], tokens: [TokenID] = []) -> ChoiceDelta {
    var delta = ChoiceDelta()
    delta.text = text
    delta.reports = reports
    delta.tokens = tokens
    return delta
}

private func report(_ text: String, _ logprob: Float) -> TokenReport {
    let token = TokenReport.Alternative(text: text, bytes: Array(text.utf8), logprob: logprob)
    return TokenReport(token: token, alternatives: [token, .init(text: "z", bytes: [0x7A], logprob: -.infinity)])
}

@Suite struct EventWriterTests {
    @Test("a chat stream is role, text, finish, usage, DONE")
    func chat() {
        var writer = EventWriter(chatHeader, choices: 1, reportsUsage: true, wantsLogprobs: false)
        writer.role(choice: 0)
        writer.delta(choice: 0, delta("Hé\n\"x\""))
        writer.finish(choice: 0, .stopString("END"))
        writer.summary(Usage(promptTokens: 3, completionTokens: 2, cachedTokens: 1), ferry: nil)
        writer.done()
        let head = #"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,"model":"m","system_fingerprint":"ferry-f","choices":["#
        #expect(
            String(decoding: writer.bytes, as: UTF8.self)
                == head + #"{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"usage":null}"# + "\n\n"
                + head + #"{"index":0,"delta":{"content":"Hé\n\"x\""},"logprobs":null,"finish_reason":null}],"usage":null}"# + "\n\n"
                + head + #"{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop","stop_reason":"END"}],"usage":null}"# + "\n\n"
                + head
                + #"],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":1}}}"# + "\n\n"
                + "data: [DONE]\n\n")
    }

    @Test("without include_usage no chunk mentions usage and no chunk has empty choices")
    func withoutUsage() {
        var writer = EventWriter(chatHeader, choices: 1, reportsUsage: false, wantsLogprobs: false)
        writer.role(choice: 0)
        writer.delta(choice: 0, delta("a"))
        writer.finish(choice: 0, .length)
        writer.summary(Usage(), ferry: nil)
        writer.done()
        let text = String(decoding: writer.bytes, as: UTF8.self)
        #expect(!text.contains("usage"))
        #expect(!text.contains("\"choices\":[]"))
        #expect(text.contains(#""finish_reason":"length","stop_reason":null"#))
    }

    @Test("text completions have no role chunk, and log probabilities with offsets over the whole stream")
    func text() {
        var writer = EventWriter(textHeader, choices: 1, reportsUsage: false, wantsLogprobs: true)
        writer.role(choice: 0)
        #expect(writer.bytes.isEmpty)
        writer.delta(choice: 0, delta("né", [report("n", -0.5), report("é", -1)], tokens: [4, 5]), tokenIDs: true)
        writer.delta(choice: 0, delta("x", [report("x", -0.25)]), usage: Usage(promptTokens: 1, completionTokens: 3))
        let head = #"data: {"id":"cmpl-1","object":"text_completion","created":7,"model":"m","system_fingerprint":"ferry-f","choices":["#
        #expect(
            String(decoding: writer.bytes, as: UTF8.self)
                == head
                + #"{"index":0,"text":"né","logprobs":{"tokens":["n","é"],"token_logprobs":[-0.5,-1.0],"top_logprobs":[{"n":-0.5,"z":-9999.0},{"é":-1.0,"z":-9999.0}],"text_offset":[0,1]},"finish_reason":null,"token_ids":[4,5]}]}"#
                + "\n\n" + head
                + #"{"index":0,"text":"x","logprobs":{"tokens":["x"],"token_logprobs":[-0.25],"top_logprobs":[{"x":-0.25,"z":-9999.0}],"text_offset":[2]},"finish_reason":null}],"usage":{"prompt_tokens":1,"completion_tokens":3,"total_tokens":4,"prompt_tokens_details":{"cached_tokens":0}}}"#
                + "\n\n")
    }

    @Test("chat log probabilities have text, bytes and alternatives")
    func chatLogprobs() {
        var writer = EventWriter(chatHeader, choices: 1, reportsUsage: false, wantsLogprobs: true)
        writer.delta(choice: 0, delta("é", [report("é", -1)]))
        #expect(
            String(decoding: writer.bytes, as: UTF8.self).contains(
                #""logprobs":{"content":[{"token":"é","logprob":-1.0,"bytes":[195,169],"top_logprobs":[{"token":"é","logprob":-1.0,"bytes":[195,169]},{"token":"z","logprob":-9999.0,"bytes":[122]}]}],"refusal":null}"#
            ))
    }

    @Test("an error in a stream is one frame with the error object")
    func error() {
        var writer = EventWriter(chatHeader, choices: 1, reportsUsage: true, wantsLogprobs: false)
        writer.error(APIError(.workerLost, "gone"))
        #expect(
            String(decoding: writer.bytes, as: UTF8.self)
                == #"data: {"error":{"message":"gone","type":"server_error","param":null,"code":"worker_lost"}}"# + "\n\n")
    }

    @Test("the ferry extension comes in a chunk of its own, with or without usage")
    func ferry() {
        var writer = EventWriter(textHeader, choices: 1, reportsUsage: false, wantsLogprobs: false)
        var report = FerryReport()
        report.queue = .milliseconds(1)
        report.firstToken = .microseconds(2500)
        report.prefillWorker = "w0"
        report.decodeWorker = "w0"
        writer.summary(Usage(), ferry: report)
        #expect(
            String(decoding: writer.bytes, as: UTF8.self).hasSuffix(
                #""choices":[],"ferry":{"kv":null,"timeline":{"queue_ms":1.0,"prefill_ms":0.0,"first_token_ms":2.5,"second_token_ms":null,"decode_ms":0.0},"workers":{"prefill":"w0","decode":"w0"},"attempts":1}}"#
                    + "\n\n"))
    }

    @Test("where KV travelled, the extension and the trailers say what it cost")
    func transfer() {
        var writer = EventWriter(textHeader, choices: 1, reportsUsage: false, wantsLogprobs: false)
        var report = FerryReport()
        (report.prefillWorker, report.decodeWorker, report.attempts) = ("p", "d", 2)
        var transfer = TransferSummary()
        (transfer.rawBytes, transfer.sentBytes, transfer.blocks, transfer.connections) = (100, 228, 2, 1)
        (transfer.wire, transfer.exposed, transfer.wait) = (.milliseconds(3), .milliseconds(1), .milliseconds(4))
        report.transfer = transfer
        writer.summary(Usage(), ferry: report)
        #expect(
            String(decoding: writer.bytes, as: UTF8.self).contains(
                #""kv":{"profile":"raw","raw_bytes":100,"sent_bytes":228,"blocks":2,"wire_ms":3.0,"exposed_ms":1.0,"wait_ms":4.0,"cached_tokens":0,"connections":1}"#))
        let trailers = Dictionary(uniqueKeysWithValues: report.trailers)
        #expect(trailers["x-ferry-kv-raw-bytes"] == "100" && trailers["x-ferry-kv-exposed-ms"] == "1.0")
        #expect(trailers["x-ferry-prefill-worker"] == "p" && trailers["x-ferry-attempts"] == "2")
    }

    @Test("a response in one piece has message, reasons, usage")
    func whole() throws {
        let body = Array(#"{"prompt":"p","return_token_ids":true}"#.utf8)
        let options = try CompletionRequest(body: body.span, limits: RequestLimits(vocabulary: 9)).options
        var choice = FinishedChoice(delta: delta("out", tokens: [1]), finish: .stopToken(1))
        choice.echo = "in "
        choice.promptTokenIDs = [3]
        let text = ResponseBody.bytes(textHeader, [choice], usage: Usage(promptTokens: 1, completionTokens: 1), options: options, ferry: nil)
        #expect(
            String(decoding: text, as: UTF8.self)
                == #"{"id":"cmpl-1","object":"text_completion","created":7,"model":"m","system_fingerprint":"ferry-f","choices":[{"index":0,"text":"in out","logprobs":null,"finish_reason":"stop","stop_reason":1,"token_ids":[1],"prompt_token_ids":[3]}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"prompt_tokens_details":{"cached_tokens":0}}}"#
        )
        let chat = ResponseBody.bytes(chatHeader, [FinishedChoice(delta: delta("a"), finish: .end)], usage: Usage(), options: options, ferry: nil)
        let json = try JSON(parsing: chat)
        #expect(json["choices"]?.array?.first?["message"] == ["role": "assistant", "content": "a", "refusal": nil])
    }
}

@Suite struct APIErrorTests {
    @Test("retryable errors say three times when to come back; what cannot work says not to")
    func headers() {
        func headers(_ error: APIError) -> [String: String] { Dictionary(uniqueKeysWithValues: error.headers.map { ($0.name, $0.value) }) }
        #expect(
            headers(APIError(.serverOverloaded, "", retryAfter: .milliseconds(1500)))
                == ["retry-after": "2", "retry-after-ms": "1500", "x-should-retry": "true"])
        #expect(headers(APIError(.draining, "")) == ["retry-after": "1", "retry-after-ms": "1000", "x-should-retry": "true"])
        #expect(headers(APIError(.deadlineExceeded, "")) == ["x-should-retry": "false"])
        #expect(headers(APIError(.invalidAPIKey, "")) == ["www-authenticate": "Bearer"])
        #expect(headers(APIError(.methodNotAllowed, "", allowedMethods: ["GET", "HEAD"])) == ["allow": "GET, HEAD"])
    }

    @Test("the body is the one shape")
    func body() {
        #expect(
            String(decoding: APIError(.invalidValue, "m", param: "a[0]").body, as: UTF8.self)
                == #"{"error":{"message":"m","type":"invalid_request_error","param":"a[0]","code":"invalid_value"}}"#)
    }
}
