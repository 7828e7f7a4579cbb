@testable import Gateway
import Inference
import Platform
import Server
import Telemetry
import TestSupport
import Testing
import Wire

private let chat = "/v1/chat/completions"
private let text = "/v1/completions"

extension String {
    fileprivate func repeated(_ count: Int) -> String { String(repeating: self, count: count) }
}

private func bytes(_ tokens: [TokenID]) -> String {
    tokens.map { $0 == TinyModel.end ? "<|end|>" : $0 == TinyModel.start ? "<|start|>" : String(UnicodeScalar(UInt8($0))) }.joined()
}

@Suite(.timeLimit(.minutes(1))) struct GatewayAnswerTests {
    @Test("a chat is rendered, tokenised, generated and answered in one piece")
    func chatInOnePiece() async throws {
        let stage = try await GatewayStage()
        let client = try await stage.client()
        try await client.post(chat, #"{"model":"tiny","messages":[{"role":"user","content":"hi"}],"max_tokens":5,"temperature":0,"seed":9,"ferry":true}"#)
        let sequence = await stage.worker.started()
        #expect(bytes(sequence.prompt) == "<|start|>user:hi<|end|><|start|>assistant:")
        #expect(sequence.sampling.temperature == 0)
        #expect(sequence.sampling.seed == 9)
        #expect(sequence.sampling.maxTokens == 5)
        #expect(sequence.sampling.stopTokens == [TinyModel.end])
        #expect(sequence.sibling == nil)
        stage.gateway.receive(stage.worker.step("Hé", sequence.id))
        stage.gateway.receive(stage.worker.step([TinyModel.end], sequence.id))
        stage.gateway.receive(stage.worker.end(sequence.id, .stop(TinyModel.end), prompt: 19, cached: 3, generated: 4))
        let answer = try await client.answer()
        #expect(answer.status == 200)
        #expect(answer.header("content-type") == "application/json")
        #expect(answer.header("x-request-id")?.utf8.count == 32)
        #expect(answer.json["object"] == "chat.completion")
        #expect(answer.json["model"] == "tiny")
        #expect(answer.json["system_fingerprint"] == "ferry-d-none-f32")
        let choice = answer.json["choices"]?.array?.first
        #expect(choice?["message"] == ["role": "assistant", "content": "Hé", "refusal": nil])
        #expect(choice?["finish_reason"] == "stop")
        #expect(choice?["stop_reason"] == JSON.null)
        #expect(
            answer.json["usage"] == [
                "prompt_tokens": .integer(Int64(sequence.prompt.count)), "completion_tokens": 4,
                "total_tokens": .integer(Int64(sequence.prompt.count + 4)), "prompt_tokens_details": ["cached_tokens": 3],
            ])
        #expect(answer.json["ferry"]?["workers"] == ["prefill": "scripted", "decode": "scripted"])
        #expect(answer.json["ferry"]?["timeline"]?["prefill_ms"] == 2.0)
        #expect(answer.json["ferry"]?["attempts"] == 1)
        await client.close()
        let line = await stage.log.next(containing: "outcome=completed")
        #expect(line?.contains("completion_tokens=4") == true)
        #expect(line?.contains("finish=stop") == true)
        #expect(line?.contains("hi") == false)
        await stage.end()
        #expect(stage.registry.counter(.generationTokens).value == 4)
    }

    @Test("a stream begins before the first token and writes all tokens of a step at once")
    func stream() async throws {
        let stage = try await GatewayStage()
        let client = try await stage.client()
        try await client.post(
            chat, #"{"messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}}"#,
            headers: ["content-type: application/json; charset=utf-8", "x-request-id: mine-1"])
        let head = try await client.receive(until: "\r\n\r\n")
        #expect(head.hasPrefix("HTTP/1.1 200 "))
        for field in [
            "content-type: text/event-stream; charset=utf-8", "cache-control: no-cache", "x-accel-buffering: no", "x-request-id: mine-1",
        ] { #expect(head.contains(field + "\r\n"), "\(head)") }
        let role = try await client.chunk().events
        #expect(role.count == 1)
        #expect(role[0]["choices"] == [["index": 0, "delta": ["role": "assistant", "content": ""], "logprobs": nil, "finish_reason": nil]])
        let sequence = await stage.worker.started()
        // Without a limit a chat may use the rest of the context.
        #expect(sequence.sampling.maxTokens == 200 - sequence.prompt.count)
        // The first byte of é alone is no text.
        stage.gateway.receive(stage.worker.step([0x61, 0x62, 0xC3], sequence.id))
        let first = try await client.chunk().events
        #expect(first.count == 1)
        #expect(first[0]["choices"]?.array?.first?["delta"] == ["content": "ab"])
        stage.gateway.receive(stage.worker.step([0xA9], sequence.id))
        #expect(try await client.chunk().events.first?["choices"]?.array?.first?["delta"] == ["content": "é"])
        stage.gateway.receive(stage.worker.end(sequence.id, .length, cached: 1))
        let last = try await client.chunks().events
        #expect(last.count == 3)
        #expect(last[0]["choices"] == [["index": 0, "delta": [:], "logprobs": nil, "finish_reason": "length", "stop_reason": nil]])
        #expect(last[1]["choices"] == [])
        #expect(last[1]["usage"]?["completion_tokens"] == 4)
        #expect(last[2] == "[DONE]")
        for event in role + first + last.dropLast(2) {
            #expect(event["usage"] == JSON.null)
            #expect(event["id"] == role[0]["id"])
            #expect(event["object"] == "chat.completion.chunk")
        }
        await client.close()
        await stage.end()
    }

    @Test("choices are siblings with seeds of their own, and every prompt has its choices")
    func choices() async throws {
        let stage = try await GatewayStage()
        let client = try await stage.client()
        try await client.post(text, #"{"prompt":["ab","c"],"n":2,"seed":5,"echo":true,"logprobs":null,"priority":3,"cache_salt":"s"}"#)
        var started: [SequenceRequest] = []
        for _ in 0..<4 { started.append(await stage.worker.started()) }
        #expect(started.map { bytes($0.prompt) } == ["ab", "ab", "c", "c"])
        #expect(started.map(\.sampling.seed) == [5, 6, 5, 6])
        #expect(started.map(\.sibling) == [nil, started[0].id, nil, started[2].id])
        #expect(started.allSatisfy { $0.sampling.maxTokens == 16 && $0.priority == 3 && $0.cacheSalt == "s" && $0.deadline != nil })
        for (index, sequence) in started.enumerated() {
            stage.gateway.receive(stage.worker.step("\(index)", sequence.id))
            stage.gateway.receive(stage.worker.end(sequence.id, index == 3 ? .length : .stop(nil), cached: index))
        }
        let answer = try await client.answer()
        #expect(answer.json["object"] == "text_completion")
        #expect(answer.json["choices"]?.array?.map { $0["text"]?.string } == ["ab0", "ab1", "c2", "c3"])
        #expect(answer.json["choices"]?.array?.map { $0["finish_reason"]?.string } == ["stop", "stop", "stop", "length"])
        #expect(answer.json["usage"]?["prompt_tokens"] == 3)
        #expect(answer.json["usage"]?["completion_tokens"] == 4)
        #expect(answer.json["usage"]?["prompt_tokens_details"] == ["cached_tokens": 2])
        await client.close()
        await stage.end()
    }

    @Test("a stop string ends the answer, cancels the sequence, and waits for its ending")
    func stopString() async throws {
        let stage = try await GatewayStage()
        let client = try await stage.client()
        try await client.post(text, #"{"prompt":"x","stop":["END"],"stream":true,"max_tokens":50}"#)
        _ = try await client.receive(until: "\r\n\r\n")
        let sequence = await stage.worker.started()
        stage.gateway.receive(stage.worker.step("oneE", sequence.id))
        #expect(try await client.chunk().events.first?["choices"]?.array?.first?["text"] == "one")
        stage.gateway.receive(stage.worker.step("NDtwo", sequence.id))
        let finish = try await client.chunk().events
        #expect(finish.count == 1)
        #expect(finish[0]["choices"]?.array?.first?["stop_reason"] == "END")
        #expect(await stage.worker.cancelled() == sequence.id)
        #expect(stage.gateway.status.sequences == 1)
        stage.gateway.receive(stage.worker.step("late", sequence.id))
        stage.gateway.receive(stage.worker.end(sequence.id, .cancelled))
        #expect(try await client.chunks() == "data: [DONE]\n\n")
        await client.close()
        await stage.end()
    }

    @Test("a stop token of the request is counted, named, and shown only when asked for", arguments: [(false, "hi"), (true, "hi!")])
    func stopToken(includes: Bool, shown: String) async throws {
        let stage = try await GatewayStage()
        let client = try await stage.client()
        try await client.post(text, "{\"prompt\":\"x\",\"stop_token_ids\":[33],\"include_stop_str_in_output\":\(includes)}")
        let sequence = await stage.worker.started()
        #expect(sequence.sampling.stopTokens == [33, TinyModel.end])
        stage.gateway.receive(stage.worker.step("hi!", sequence.id))
        stage.gateway.receive(stage.worker.end(sequence.id, .stop(33)))
        let answer = try await client.answer().json
        #expect(answer["choices"]?.array?.first?["text"] == .string(shown))
        #expect(answer["choices"]?.array?.first?["stop_reason"] == 33)
        #expect(answer["usage"]?["completion_tokens"] == 3)
        await client.close()
        await stage.end()
    }

    @Test("log probabilities and token ids come with the text they belong to")
    func logprobs() async throws {
        let stage = try await GatewayStage()
        let client = try await stage.client()
        try await client.post(chat, #"{"messages":[{"role":"user","content":"q"}],"logprobs":true,"top_logprobs":2,"return_token_ids":true}"#)
        let sequence = await stage.worker.started()
        #expect(sequence.sampling.topLogprobs == 2)
        let alternatives = [TokenLogprob(token: 0x62, logprob: -0.5), TokenLogprob(token: 0xC3, logprob: -2)]
        var report = StepReport(tokens: [TokenEvent(sequence: sequence.id, index: 0, token: 0x61, logprob: -1, alternatives: alternatives)])
        report.tokens.append(TokenEvent(sequence: sequence.id, index: 1, token: TinyModel.end, logprob: -0.25))
        stage.gateway.receive(report)
        stage.gateway.receive(stage.worker.end(sequence.id, .stop(TinyModel.end)))
        let choice = try await client.answer().json["choices"]?.array?.first
        let content = choice?["logprobs"]?["content"]?.array
        #expect(content?.count == 2)
        #expect(content?.first?["token"] == "a")
        #expect(content?.first?["top_logprobs"]?.array?.map { $0["bytes"] } == [[98], [195]])
        #expect(content?.last?["token"] == "<|end|>")
        #expect(choice?["token_ids"] == [97, 256])
        #expect(choice?["prompt_token_ids"]?.array?.count == sequence.prompt.count)
        await client.close()
        await stage.end()
    }

    @Test("the last message can be continued")
    func continuation() async throws {
        let stage = try await GatewayStage()
        let client = try await stage.client()
        try await client.post(
            chat, #"{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":" so "}],"continue_final_message":true,"max_tokens":1}"#)
        let sequence = await stage.worker.started()
        #expect(bytes(sequence.prompt) == "<|start|>user:q<|end|><|start|>assistant: so ")
        stage.gateway.receive(stage.worker.end(sequence.id, .length))
        #expect(try await client.answer().json["choices"]?.array?.first?["message"]?["content"] == "")
        await client.close()
        await stage.end()
    }

    @Test("tokens can be counted and turned back without a sequence")
    func tokenize() async throws {
        let stage = try await GatewayStage()
        let client = try await stage.client()
        let counted = try await client.post("/tokenize", answered: #"{"prompt":"ab","return_token_strs":true}"#)
        #expect(counted.json == ["count": 2, "max_model_len": 200, "tokens": [97, 98], "token_strs": ["a", "b"]])
        let rendered = try await client.post("/tokenize", answered: #"{"messages":[{"role":"user","content":"q"}]}"#)
        #expect(rendered.json["count"] == 19)
        let back = try await client.post("/detokenize", answered: #"{"tokens":[97,256,98]}"#)
        #expect(back.json == ["prompt": "a<|end|>b"])
        #expect(try await client.post("/detokenize", answered: #"{"tokens":[260]}"#).json["error"]?["param"] == "tokens[0]")
        await client.close()
        await stage.end()
    }

    @Test("models are listed by every name they answer to")
    func models() async throws {
        let stage = try await GatewayStage()
        let client = try await stage.client()
        try await client.request("GET", "/v1/models")
        let list = try await client.answer().json
        #expect(list["data"]?.array?.map { $0["id"]?.string } == ["tiny", "org/tiny"])
        #expect(list["data"]?.array?.first?["max_model_len"] == 200)
        try await client.request("GET", "/v1/models/org%2Ftiny")
        #expect(try await client.answer().json["id"] == "org/tiny")
        try await client.request("GET", "/v1/models/other")
        #expect(try await client.answer().json["error"]?["code"] == "model_not_found")
        // A body is no reason to refuse what needs none, unless it is large.
        try await client.send("GET /v1/models/tiny HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}")
        #expect(try await client.answer().json["id"] == "tiny")
        try await client.send("GET /health HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
        #expect(try await client.answer().status == 200)
        let large = try await stage.client()
        try await large.send("GET /v1/models HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n")
        #expect(try await large.answer().status == 413)
        await large.close()
        try await client.request("HEAD", "/v1/models")
        #expect(try await client.answer(hasBody: false).status == 200)
        await client.close()
        await stage.end()
    }
}

@Suite(.timeLimit(.minutes(1))) struct GatewayRefusalTests {
    @Test("what cannot be served is refused with a code of the closed list")
    func refusals() async throws {
        let stage = try await GatewayStage(sequenceLimit: 20) { $0.bodyLimit = 2000 }
        let client = try await stage.client()
        func refused(_ path: String, _ body: String, _ status: Int, _ code: String, param: JSON? = nil, type: String = "application/json") async throws {
            let answer = try await client.post(path, answered: body, headers: ["content-type: \(type)"])
            #expect(answer.status == status, "\(body)")
            #expect(answer.json["error"]?["code"] == .string(code), "\(answer.body)")
            if let param { #expect(answer.json["error"]?["param"] == param) }
            #expect(answer.header("x-request-id") != nil)
        }
        try await refused(text, "{", 400, "invalid_json")
        try await refused(text, #"{"prompt":"x","model":"gpt-4"}"#, 404, "model_not_found", param: "model")
        try await refused(text, #"{"prompt":""}"#, 400, "invalid_value", param: "prompt")
        try await refused(text, #"{"prompt":"12345678901234567890"}"#, 400, "context_length_exceeded", param: "prompt")
        try await refused(chat, #"{"messages":[{"role":"tool","content":"x"}]}"#, 400, "invalid_value", param: "messages")
        try await refused(text, #"{"prompt":"x"}"#, 415, "unsupported_media_type", type: "text/plain")
        try await refused("/v1/embeddings", "{}", 404, "route_not_found")
        let tooLarge = try await stage.client()
        try await tooLarge.post(text, #"{"prompt":""# + String(repeating: "x", count: 3000) + "\"}")
        #expect(try await tooLarge.answer().json["error"]?["code"] == "payload_too_large")
        try await client.request("GET", chat)
        let method = try await client.answer()
        #expect(method.status == 405)
        #expect(method.header("allow") == "POST")
        try await client.request("OPTIONS", chat)
        #expect(try await client.answer().status == 405)
        await client.close()
        await tooLarge.close()
        await stage.end()
    }

    @Test("what no route hears of is refused in the same shape", arguments: [
        ("nonsense\r\n\r\n", 400), ("GET /\("x".repeated(20_000)) HTTP/1.1\r\nhost: a\r\n\r\n", 414),
        ("POST /v1/completions HTTP/1.1\r\nhost: a\r\nexpect: wonders\r\ncontent-length: 1\r\n\r\n", 417),
        ("GET / HTTP/1.1\r\nhost: a\r\nx: \("x".repeated(40_000))\r\n\r\n", 431), ("CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n", 501),
        ("GET / HTTP/3.0\r\nhost: a\r\n\r\n", 505), ("GET / HTTP/1.1\r\nhost:", 408),
    ] as [(String, Int)])
    func connectionRefusals(request: String, status: Int) async throws {
        let stage = try await GatewayStage()
        let client = try await stage.client()
        try await client.send(request)
        if status == 408 {
            _ = await stage.server.counters { $0.bytesReceived > 0 }
            await stage.server.checkDeadlines(ahead: .seconds(11))
        }
        let answer = try await client.answer()
        #expect(answer.status == status)
        let code = try #require(APIError.Code(rawValue: answer.json["error"]?["code"]?.string ?? ""))
        #expect(answer.json["error"]?["type"] == .string(code.type))
        #expect(answer.json["error"]?["param"] == JSON.null)
        #expect(answer.header("x-request-id")?.utf8.count == 32)
        #expect(answer.header("x-should-retry") == (status == 408 ? "true" : status >= 500 ? "false" : nil))
        await client.close()
        await stage.end()
    }

    @Test("with keys everything but health needs one")
    func keys() async throws {
        let stage = try await GatewayStage { $0.keys = try APIKeys(["secret"]) }
        let client = try await stage.client()
        for path in ["/v1/models", "/nothing"] {
            try await client.request("GET", path)
            let answer = try await client.answer()
            #expect(answer.status == 401)
            #expect(answer.json["error"]?["code"] == "invalid_api_key")
            #expect(answer.header("www-authenticate") == "Bearer")
        }
        for header in ["authorization: Bearer secret", "x-api-key: secret"] {
            try await client.request("GET", "/v1/models", headers: [header])
            #expect(try await client.answer().status == 200)
        }
        try await client.request("GET", "/v1/models", headers: ["authorization: Bearer secre"])
        #expect(try await client.answer().status == 401)
        try await client.request("GET", "/health")
        #expect(try await client.answer().status == 200)
        let other = try await stage.client()
        #expect(try await other.post(chat, answered: "{}").status == 401)
        await client.close()
        await other.close()
        await stage.end()
    }

    @Test("beyond the bound requests are refused at once and told when to come back")
    func overload() async throws {
        let stage = try await GatewayStage { $0.admission.sequences = 1 }
        let first = try await stage.client()
        try await first.post(text, #"{"prompt":"x"}"#)
        let sequence = await stage.worker.started()
        let second = try await stage.client()
        let refused = try await second.post(text, answered: #"{"prompt":"y"}"#)
        #expect(refused.status == 429)
        #expect(refused.json["error"]?["code"] == "server_overloaded")
        #expect(refused.header("retry-after") == "1")
        #expect(refused.header("retry-after-ms") == "1000")
        #expect(refused.header("x-should-retry") == "true")
        stage.gateway.receive(stage.worker.end(sequence.id, .length))
        #expect(try await first.answer().status == 200)
        try await second.post(text, #"{"prompt":"y"}"#)
        let next = await stage.worker.started()
        stage.gateway.receive(stage.worker.end(next.id, .length))
        #expect(try await second.answer().status == 200)
        await first.close()
        await second.close()
        await stage.end()
    }

    @Test("the time to come back follows from the rate of work, not from idle time before it")
    func retryAfterIdling() async throws {
        let clock = SetClock()
        let stage = try await GatewayStage(clock: clock) { $0.admission.sequences = 1 }
        let client = try await stage.client()
        let other = try await stage.client()
        for hour in 0..<3 {
            clock.set(seconds: UInt64(1 + 3600 * hour))
            try await client.post(text, #"{"prompt":"x"}"#)
            let sequence = await stage.worker.started()
            clock.set(seconds: UInt64(3 + 3600 * hour))
            stage.gateway.receive(stage.worker.step("a", sequence.id))
            await stage.gateway.settle()
            let refused = try await other.post(text, answered: #"{"prompt":"y"}"#)
            #expect(refused.status == 429)
            // One answer in two seconds; before the first, nothing is known.
            let milliseconds = try #require(refused.header("retry-after-ms").flatMap { Int($0) })
            #expect((1000...4500).contains(milliseconds))
            stage.gateway.receive(stage.worker.end(sequence.id, .length))
            #expect(try await client.answer().status == 200)
        }
        await client.close()
        await other.close()
        await stage.end()
    }

    @Test("before a prompt is read it counts for no more than a sequence can have, and what generates nothing does not count")
    func estimates() async throws {
        let stage = try await GatewayStage(sequenceLimit: 200) {
            $0.admission.queuedTokens = 300
            $0.admission.sequences = 2
        }
        let waiting = try await stage.client()
        try await waiting.post(text, #"{"prompt":"x"}"#)
        let first = await stage.worker.started()
        let large = try await stage.client()
        let answer = try await large.post(text, answered: #"{"prompt":""# + String(repeating: "x", count: 8000) + "\"}")
        #expect(answer.json["error"]?["code"] == "context_length_exceeded")
        try await large.post(text, #"{"prompt":"y"}"#)
        let second = await stage.worker.started()
        let other = try await stage.client()
        #expect(try await other.post(text, answered: #"{"prompt":"z"}"#).status == 429)
        let counted = try await other.post("/tokenize", answered: #"{"prompt":""# + String(repeating: "x", count: 8000) + "\"}")
        #expect(counted.json["count"] == 8000)
        #expect(try await other.post("/detokenize", answered: #"{"tokens":[97]}"#).status == 200)
        for sequence in [first, second] { stage.gateway.receive(stage.worker.end(sequence.id, .length)) }
        for client in [waiting, large] { #expect(try await client.answer().status == 200) }
        for client in [waiting, large, other] { await client.close() }
        await stage.end()
    }

    @Test("without a worker the model is loading; while draining no new work is taken and running work ends well")
    func unavailable() async throws {
        let stage = try await GatewayStage(attaches: false)
        let client = try await stage.client()
        try await client.request("GET", "/health")
        #expect(try await client.answer().status == 503)
        let loading = try await client.post(text, answered: #"{"prompt":"x"}"#)
        #expect(loading.status == 503)
        #expect(loading.json["error"]?["code"] == "model_loading")
        #expect(loading.header("retry-after") == "2")
        await stage.gateway.attach(stage.worker)
        try await client.post(text, #"{"prompt":"x"}"#)
        let sequence = await stage.worker.started()
        await stage.gateway.beginDrain()
        let other = try await stage.client()
        #expect(try await other.post(text, answered: #"{"prompt":"x"}"#).json["error"]?["code"] == "draining")
        stage.gateway.receive(stage.worker.step("a", sequence.id))
        stage.gateway.receive(stage.worker.end(sequence.id, .length))
        #expect(try await client.answer().json["choices"]?.array?.first?["text"] == "a")
        await client.close()
        await other.close()
        await stage.end()
    }

    @Test("a channel that is full or closed refuses before anything began")
    func channelRefuses() async throws {
        let stage = try await GatewayStage()
        let client = try await stage.client()
        stage.worker.refuse(.full(limit: 8))
        #expect(try await client.post(text, answered: #"{"prompt":"x"}"#).json["error"]?["code"] == "server_overloaded")
        stage.worker.refuse(.closed)
        #expect(try await client.post(text, answered: #"{"prompt":"x","stream":true}"#).json["error"]?["code"] == "worker_lost")
        await client.close()
        await stage.end()
    }
}

@Suite(.timeLimit(.minutes(1))) struct GatewayEndTests {
    @Test("a client that leaves cancels its sequences at once, and the permit is back before the worker has ended them")
    func clientGone() async throws {
        let stage = try await GatewayStage()
        let client = try await stage.client()
        try await client.post(text, #"{"prompt":"x","n":2,"stream":true}"#)
        _ = try await client.receive(until: "\r\n\r\n")
        let first = await stage.worker.started()
        let second = await stage.worker.started()
        stage.gateway.receive(stage.worker.step("a", first.id))
        _ = try await client.chunk()
        await client.reset()
        #expect(await Set([stage.worker.cancelled(), stage.worker.cancelled()]) == [first.id, second.id])
        #expect(await stage.log.next(containing: "status=499") != nil)
        #expect(stage.gateway.status.permits == 0)
        #expect(stage.gateway.status.sequences == 2)
        stage.gateway.receive(stage.worker.end(first.id, .cancelled))
        stage.gateway.receive(stage.worker.end(second.id, .cancelled))
        await stage.end()
    }

    @Test("a sequence is cancelled once, though its answer had ended by a stop string when the client left")
    func cancelledOnce() async throws {
        let stage = try await GatewayStage()
        let client = try await stage.client()
        try await client.post(text, #"{"prompt":"x","n":2,"stop":"!","stream":true}"#)
        let first = await stage.worker.started()
        let second = await stage.worker.started()
        stage.gateway.receive(stage.worker.step("a!", first.id))
        #expect(await stage.worker.cancelled() == first.id)
        await client.reset()
        // In the order in which they were sent; the first is not among them again.
        #expect(await stage.worker.cancelled() == second.id)
        stage.gateway.receive(stage.worker.end(first.id, .cancelled))
        stage.gateway.receive(stage.worker.end(second.id, .cancelled))
        await stage.end()
    }

    @Test("a client that leaves before an answer in one piece cancels, too")
    func clientGoneWithoutStream() async throws {
        let stage = try await GatewayStage()
        let client = try await stage.client()
        try await client.post(text, #"{"prompt":"x"}"#)
        let sequence = await stage.worker.started()
        await client.close()
        #expect(await stage.worker.cancelled() == sequence.id)
        stage.gateway.receive(stage.worker.end(sequence.id, .cancelled))
        await stage.end()
    }

    @Test("a lost worker is an error in the stream, a 503 before it, and another can take its place")
    func workerLost() async throws {
        let stage = try await GatewayStage()
        let streaming = try await stage.client()
        try await streaming.post(chat, #"{"messages":[{"role":"user","content":"q"}],"stream":true}"#)
        let first = await stage.worker.started()
        let whole = try await stage.client()
        try await whole.post(text, #"{"prompt":"x"}"#)
        _ = await stage.worker.started()
        _ = try await streaming.receive(until: "\r\n\r\n")
        _ = try await streaming.chunk()
        stage.gateway.receive(stage.worker.step("a", first.id))
        _ = try await streaming.chunk()
        stage.gateway.workerLost("it crashed")
        let rest = try await streaming.chunks().events
        #expect(rest.count == 1)
        #expect(rest[0]["error"]?["code"] == "worker_lost")
        let answer = try await whole.answer()
        #expect(answer.status == 503)
        #expect(answer.json["error"]?["code"] == "worker_lost")
        #expect(answer.header("retry-after-ms") == "2000")
        #expect(stage.gateway.status.sequences == 0)
        let next = ScriptedWorker()
        await stage.gateway.attach(next)
        try await whole.post(text, #"{"prompt":"x"}"#)
        let sequence = await next.started()
        #expect(sequence.id != first.id)
        stage.gateway.receive(next.end(sequence.id, .length))
        #expect(try await whole.answer().status == 200)
        await streaming.close()
        await whole.close()
        await stage.end()
    }

    @Test("what still runs when the time to drain is over ends with an error that says so")
    func cutOff() async throws {
        let stage = try await GatewayStage()
        let streaming = try await stage.client()
        try await streaming.post(chat, #"{"messages":[{"role":"user","content":"q"}],"stream":true}"#)
        let first = await stage.worker.started()
        let whole = try await stage.client()
        try await whole.post(text, #"{"prompt":"x"}"#)
        let second = await stage.worker.started()
        _ = try await streaming.receive(until: "\r\n\r\n")
        _ = try await streaming.chunk()
        await stage.gateway.beginDrain()
        #expect(await stage.gateway.cutOff() == 2)
        let rest = try await streaming.chunks().events
        #expect(rest.count == 1)
        #expect(rest[0]["error"]?["code"] == "draining")
        let answer = try await whole.answer()
        #expect(answer.status == 503)
        #expect(answer.json["error"]?["code"] == "draining")
        #expect(await Set([stage.worker.cancelled(), stage.worker.cancelled()]) == [first.id, second.id])
        #expect(await stage.gateway.cutOff() == 0)
        stage.gateway.receive(stage.worker.end(first.id, .cancelled))
        stage.gateway.receive(stage.worker.end(second.id, .cancelled))
        await streaming.close()
        await whole.close()
        await stage.end()
    }

    @Test("an answer that had ended by a stop string survives the loss of its worker")
    func answeredBeforeLoss() async throws {
        let stage = try await GatewayStage()
        let client = try await stage.client()
        try await client.post(text, #"{"prompt":"x","stop":"!"}"#)
        let sequence = await stage.worker.started()
        stage.gateway.receive(stage.worker.step("done!", sequence.id))
        #expect(await stage.worker.cancelled() == sequence.id)
        stage.gateway.workerLost("it crashed")
        #expect(try await client.answer().json["choices"]?.array?.first?["text"] == "done")
        await client.close()
        await stage.end()
    }

    @Test(
        "an ending that is no answer is told as what it is",
        arguments: [
            (.deadlineExceeded, 504, "deadline_exceeded"), (.failed("out of pages"), 500, "internal_error"), (.cancelled, 503, "request_cancelled"),
        ] as [(FinishReason, Int, String)])
    func badEndings(reason: FinishReason, status: Int, code: String) async throws {
        let stage = try await GatewayStage()
        let client = try await stage.client()
        try await client.post(text, #"{"prompt":"x","n":2}"#)
        let first = await stage.worker.started()
        let second = await stage.worker.started()
        stage.gateway.receive(stage.worker.end(first.id, reason))
        let answer = try await client.answer()
        #expect(answer.status == status)
        #expect(answer.json["error"]?["code"] == .string(code))
        #expect(answer.header("x-should-retry") == (status == 503 ? "true" : "false"))
        #expect(await stage.worker.cancelled() == second.id)
        stage.gateway.receive(stage.worker.end(second.id, .cancelled))
        await client.close()
        await stage.end()
    }

    @Test("a client that does not read pauses, then loses its stream; others go on")
    func slowReader() async throws {
        var limits = ServerLimits()
        limits.socketQueue = 16 << 10
        let stage = try await GatewayStage(sequenceLimit: 1_000_000, limits: limits) { $0.bufferLimit = 128 << 10 }
        let slow = try await stage.client(receiveBuffer: 4096)
        try await slow.post(text, #"{"prompt":"x","stream":true,"max_tokens":100000}"#)
        let stuck = await stage.worker.started()
        let other = try await stage.client()
        try await other.post(text, #"{"prompt":"x"}"#)
        let going = await stage.worker.started()
        // The kernel's own buffers take some megabytes before anything waits here.
        var steps = 0
        while stage.gateway.status.permits == 2 {
            steps += 1
            try #require(steps < 5000)
            stage.gateway.receive(stage.worker.step(Array(repeating: TinyModel.long, count: 32), stuck.id))
            await stage.gateway.settle()
        }
        #expect(await stage.worker.cancelled() == stuck.id)
        stage.gateway.receive(stage.worker.end(stuck.id, .cancelled))
        stage.gateway.receive(stage.worker.step("fine", going.id))
        stage.gateway.receive(stage.worker.end(going.id, .length))
        #expect(try await other.answer().json["choices"]?.array?.first?["text"] == "fine")
        await slow.close()
        await other.close()
        await stage.end()
    }

    @Test("a client that reads again gets everything that was gathered meanwhile")
    func pausedReader() async throws {
        var limits = ServerLimits()
        limits.socketQueue = 16 << 10
        let stage = try await GatewayStage(sequenceLimit: 1_000_000, limits: limits) { $0.bufferLimit = 1 << 30 }
        let client = try await stage.client(receiveBuffer: 4096)
        try await client.post(text, #"{"prompt":"x","stream":true,"max_tokens":100000}"#)
        let sequence = await stage.worker.started()
        let count = 200
        for _ in 0..<count {
            stage.gateway.receive(stage.worker.step(Array(repeating: TinyModel.long, count: 32), sequence.id))
            await stage.gateway.settle()
        }
        stage.gateway.receive(stage.worker.end(sequence.id, .length))
        _ = try await client.receive(until: "\r\n\r\n")
        let events = try await client.chunks().events
        #expect(events.last == "[DONE]")
        let length = events.reduce(0) { $0 + ($1["choices"]?.array?.first?["text"]?.string?.utf8.count ?? 0) }
        #expect(length == count * 32 * 1000)
        await client.close()
        await stage.end()
    }

    @Test("a client that had paused gets what was gathered for it before the error that ends its stream")
    func pausedReaderMeetsError() async throws {
        var limits = ServerLimits()
        limits.socketQueue = 16 << 10
        let stage = try await GatewayStage(sequenceLimit: 1_000_000, limits: limits) { $0.bufferLimit = 1 << 30 }
        let client = try await stage.client(receiveBuffer: 4096)
        try await client.post(text, #"{"prompt":"x","stream":true,"max_tokens":100000}"#)
        let sequence = await stage.worker.started()
        let count = 400
        for _ in 0..<count {
            stage.gateway.receive(stage.worker.step(Array(repeating: TinyModel.long, count: 32), sequence.id))
            await stage.gateway.settle()
        }
        stage.gateway.workerLost("it crashed")
        _ = try await client.receive(until: "\r\n\r\n")
        let events = try await client.chunks().events
        #expect(events.last?["error"]?["code"] == "worker_lost")
        let length = events.reduce(0) { $0 + ($1["choices"]?.array?.first?["text"]?.string?.utf8.count ?? 0) }
        #expect(length == count * 32 * 1000)
        await client.close()
        await stage.end()
    }

    @Test("an echo reaches the client however much it is for all choices, in order and whole")
    func largeEcho() async throws {
        let stage = try await GatewayStage()
        let client = try await stage.client()
        let prompt = Array(repeating: "\(TinyModel.long)", count: 150).joined(separator: ",")
        try await client.post(text, "{\"prompt\":[\(prompt)],\"n\":64,\"echo\":true,\"stream\":true}")
        var sequences: [SequenceRequest] = []
        for _ in 0..<64 { sequences.append(await stage.worker.started()) }
        for sequence in sequences {
            stage.gateway.receive(stage.worker.step("!", sequence.id))
            stage.gateway.receive(stage.worker.end(sequence.id, .length))
        }
        _ = try await client.receive(until: "\r\n\r\n")
        let events = try await client.chunks().events
        #expect(events.last == "[DONE]")
        var texts = Array(repeating: "", count: 64)
        for event in events.dropLast() {
            let choice = try #require(event["choices"]?.array?.first)
            texts[try #require(choice["index"]?.integer)] += choice["text"]?.string ?? ""
        }
        let expected = String(repeating: TinyModel.longText, count: 150) + "!"
        #expect(texts.allSatisfy { $0 == expected })
        await client.close()
        await stage.end()
    }

    @Test("the prompt's tokens reach the client however many they are for all choices, each before its choice's text")
    func largePromptTokens() async throws {
        let stage = try await GatewayStage(sequenceLimit: 100_000)
        let client = try await stage.client()
        let content = String(repeating: "x", count: 30_000)
        try await client.post(
            chat, "{\"messages\":[{\"role\":\"user\",\"content\":\"\(content)\"}],\"n\":64,\"return_token_ids\":true,\"stream\":true}")
        var sequences: [SequenceRequest] = []
        for _ in 0..<64 { sequences.append(await stage.worker.started()) }
        for sequence in sequences {
            stage.gateway.receive(stage.worker.step("!", sequence.id))
            stage.gateway.receive(stage.worker.end(sequence.id, .length))
        }
        _ = try await client.receive(until: "\r\n\r\n")
        let events = try await client.chunks().events
        #expect(events.last == "[DONE]")
        var told = Set<Int>()
        for event in events.dropLast() {
            let choice = try #require(event["choices"]?.array?.first)
            let index = try #require(choice["index"]?.integer)
            if let tokens = choice["prompt_token_ids"]?.array {
                #expect(told.insert(index).inserted && tokens.count == sequences[0].prompt.count)
            } else {
                #expect(told.contains(index))
            }
        }
        #expect(told.count == 64)
        await client.close()
        await stage.end()
    }

    @Test("silence is filled with comments")
    func keepAlive() async throws {
        let clock = SetClock()
        let stage = try await GatewayStage(clock: clock) { $0.keepAlive = .seconds(10) }
        func look(at seconds: UInt64) async {
            clock.set(seconds: seconds)
            await stage.gateway.tick()
        }
        let client = try await stage.client()
        try await client.post(text, #"{"prompt":"x","stream":true}"#)
        let sequence = await stage.worker.started()
        _ = try await client.receive(until: "\r\n\r\n")
        await look(at: 9)
        await look(at: 10)
        #expect(try await client.chunk() == ": keep-alive\n\n")
        // Neither a comment nor an event is followed by a comment before the time.
        await look(at: 19)
        stage.gateway.receive(stage.worker.step("y", sequence.id))
        #expect(try await client.chunk().hasPrefix("data: "))
        await look(at: 28)
        await look(at: 29)
        #expect(try await client.chunk() == ": keep-alive\n\n")
        stage.gateway.receive(stage.worker.end(sequence.id, .length))
        let rest = try await client.chunks()
        #expect(rest.hasPrefix("data: ") && rest.hasSuffix("data: [DONE]\n\n"))
        #expect(!rest.contains("keep-alive"))
        await client.close()
        await stage.end()
    }
}
