import Gateway
import Inference
import Platform
import TestSupport
import Testing

private let limits = RequestLimits(vocabulary: 1000)

private func chat(_ text: String) throws(APIError) -> ChatRequest { try ChatRequest(body: Array(text.utf8).span, limits: limits) }
private func completion(_ text: String) throws(APIError) -> CompletionRequest {
    try CompletionRequest(body: Array(text.utf8).span, limits: limits)
}

/// A valid chat body with further members.
private func chatBody(_ members: String) -> String {
    #"{"messages":[{"role":"user","content":"hi"}]"# + (members.isEmpty ? "" : "," + members) + "}"
}

@Suite struct ChatRequestTests {
    @Test("a minimal chat has the defaults of the OpenAI API")
    func minimal() throws {
        let request = try chat(chatBody(""))
        #expect(request.messages == [["role": "user", "content": "hi"]])
        #expect(request.options.sampling == SamplingParameters())
        #expect(request.options.maxTokens == nil)
        #expect(request.options.choices == 1)
        #expect(!request.options.streams)
        #expect(request.template.addsGenerationPrompt)
        #expect(!request.template.addsSpecialTokens)
    }

    @Test("every sampling member reaches the sampling parameters")
    func sampling() throws {
        let request = try chat(
            chatBody(
                #"""
                "temperature":0.5,"top_p":0.9,"top_k":40,"min_p":0.05,"presence_penalty":-1,"frequency_penalty":2,
                "repetition_penalty":1.1,"logit_bias":{"5":-100,"7":1.5},"seed":-1,"min_tokens":3,"max_tokens":9,"n":4,
                "stop":["a","bc"],"stop_token_ids":[3,4],"ignore_eos":true,"include_stop_str_in_output":true,
                "skip_special_tokens":false,"logprobs":true,"top_logprobs":3,"priority":-2,"cache_salt":"t","ferry":true,
                "stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true},"truncate_prompt_tokens":7
                """#))
        let options = request.options
        #expect(options.sampling.temperature == 0.5)
        #expect(options.sampling.topP == 0.9)
        #expect(options.sampling.topK == 40)
        #expect(options.sampling.minP == 0.05)
        #expect(options.sampling.presencePenalty == -1)
        #expect(options.sampling.frequencyPenalty == 2)
        #expect(options.sampling.repetitionPenalty == 1.1)
        #expect(options.sampling.logitBias == [5: -100, 7: 1.5])
        #expect(options.sampling.minTokens == 3)
        #expect(options.sampling.topLogprobs == 3)
        #expect(options.seed == .max)
        #expect(options.maxTokens == 9)
        #expect(options.choices == 4)
        #expect(options.stops == ["a", "bc"])
        #expect(options.stopTokens == [3, 4])
        #expect(options.ignoresEnd && options.includesStop && !options.skipsSpecialTokens)
        #expect(options.priority == -2)
        #expect(options.cacheSalt == "t")
        #expect(options.reportsFerry && options.streams && options.reportsUsage && options.reportsUsageContinuously)
        #expect(options.promptTail == 7)
    }

    @Test("the newer name of the token limit wins, and null counts as absent")
    func maxTokens() throws {
        #expect(try chat(chatBody(#""max_tokens":5,"max_completion_tokens":7"#)).options.maxTokens == 7)
        #expect(try chat(chatBody(#""max_tokens":5,"max_completion_tokens":null"#)).options.maxTokens == 5)
        #expect(try chat(chatBody(#""temperature":null,"stop":null,"n":null,"seed":null,"tools":null"#)).options.sampling.temperature == 1)
    }

    @Test("members without effect are accepted and listed")
    func ignored() throws {
        let request = try chat(chatBody(#""user":"u","metadata":{},"store":true,"service_tier":"auto","x":[1],"verbosity":null"#))
        #expect(request.options.ignored == ["user", "metadata", "store", "service_tier", "x"])
    }

    @Test("seeds are any whole number", arguments: [("0", 0), ("18446744073709551615", UInt64(1.8446744073709552e19.bitPattern)), ("9223372036854775808", 1 << 63), ("7.0", 7)] as [(String, UInt64)])
    func seeds(text: String, seed: UInt64) throws {
        #expect(try chat(chatBody("\"seed\":\(text)")).options.seed == seed)
    }

    @Test("messages are brought into the form that templates expect")
    func messages() throws {
        let request = try chat(
            #"""
            {"messages":[
              {"role":"developer","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
              {"role":"user","content":"","name":"bob"},
              {"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},
              {"role":"tool","tool_call_id":"1","content":"ok"}],
             "tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"auto",
             "chat_template_kwargs":{"enable_thinking":false},"reasoning_effort":"low"}
            """#)
        #expect(
            request.messages == [
                ["role": "system", "content": "a\nb"],
                ["role": "user", "content": "", "name": "bob"],
                [
                    "role": "assistant", "content": "",
                    "tool_calls": [["id": "1", "type": "function", "function": ["name": "f", "arguments": ["x": 1]]]],
                ],
                ["role": "tool", "content": "ok", "tool_call_id": "1"],
            ])
        #expect(request.tools.count == 1)
        #expect(request.template.variables == JSONObject([("enable_thinking", false), ("reasoning_effort", "low")]))
    }

    @Test("tool_choice none hides the tools from the model")
    func toolChoiceNone() throws {
        #expect(try chat(chatBody(#""tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"none""#)).tools.isEmpty)
    }

    @Test("continuing the last message turns the generation prompt off")
    func continuing() throws {
        let template = try chat(chatBody(#""continue_final_message":true"#)).template
        #expect(template.continuesFinalMessage && !template.addsGenerationPrompt)
    }

    struct Refused: Sendable, CustomTestStringConvertible {
        let members: String
        let code: APIError.Code
        let param: String?
        var testDescription: String { members }

        init(_ members: String, _ code: APIError.Code, _ param: String?) {
            self.members = members
            self.code = code
            self.param = param
        }
    }

    static let refused: [Refused] = [
        // Ranges.
        Refused(#""temperature":-0.1"#, .invalidValue, "temperature"), Refused(#""temperature":2.1"#, .invalidValue, "temperature"),
        Refused(#""top_p":0"#, .invalidValue, "top_p"), Refused(#""top_p":1.01"#, .invalidValue, "top_p"),
        Refused(#""top_k":-2"#, .invalidValue, "top_k"), Refused(#""min_p":1.5"#, .invalidValue, "min_p"),
        Refused(#""presence_penalty":3"#, .invalidValue, "presence_penalty"),
        Refused(#""frequency_penalty":-2.5"#, .invalidValue, "frequency_penalty"),
        Refused(#""repetition_penalty":0"#, .invalidValue, "repetition_penalty"),
        Refused(#""n":0"#, .invalidValue, "n"), Refused(#""n":65"#, .invalidValue, "n"),
        Refused(#""n":9007199254740993"#, .invalidValue, "n"), Refused(#""n":1e300"#, .invalidType, "n"),
        Refused(#""n":1.5"#, .invalidType, "n"), Refused(#""max_tokens":0"#, .invalidValue, "max_tokens"),
        Refused(#""max_completion_tokens":-1"#, .invalidValue, "max_completion_tokens"),
        Refused(#""max_tokens":2,"min_tokens":3"#, .invalidValue, "min_tokens"),
        Refused(#""stop":["a",""]"#, .invalidValue, "stop[1]"),
        Refused(#""stop":["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17"]"#, .invalidValue, "stop"),
        Refused(#""logit_bias":{"1000":1}"#, .invalidValue, "logit_bias"), Refused(#""logit_bias":{"x":1}"#, .invalidValue, "logit_bias"),
        Refused(#""logit_bias":{"1":101}"#, .invalidValue, "logit_bias.1"), Refused(#""logit_bias":{"1":"2"}"#, .invalidType, "logit_bias.1"),
        Refused(#""top_logprobs":21,"logprobs":true"#, .invalidValue, "top_logprobs"),
        Refused(#""top_logprobs":2"#, .invalidValue, "top_logprobs"), Refused(#""logprobs":3"#, .invalidType, "logprobs"),
        Refused(#""stop_token_ids":[1000]"#, .invalidValue, "stop_token_ids[0]"),
        Refused(#""stream_options":{"include_usage":true}"#, .invalidValue, "stream_options"),
        Refused(#""stream":true,"stream_options":{"include_usage":1}"#, .invalidType, "stream_options.include_usage"),
        Refused(#""continue_final_message":true,"add_generation_prompt":true"#, .invalidValue, "continue_final_message"),
        Refused(#""seed":1.5"#, .invalidType, "seed"),
        // What would change the answer.
        Refused(#""response_format":{"type":"json_object"}"#, .unsupportedParameter, "response_format.type"),
        Refused(#""response_format":{"type":"json_schema","json_schema":{}}"#, .unsupportedParameter, "response_format.type"),
        Refused(#""grammar":"root ::= x""#, .unsupportedParameter, "grammar"),
        Refused(#""structured_outputs":{}"#, .unsupportedParameter, "structured_outputs"),
        Refused(#""guided_json":{}"#, .unsupportedParameter, "guided_json"),
        Refused(#""tool_choice":"required""#, .unsupportedParameter, "tool_choice"),
        Refused(#""tool_choice":{"type":"function","function":{"name":"f"}}"#, .unsupportedParameter, "tool_choice"),
        Refused(#""tool_choice":"sometimes""#, .invalidValue, "tool_choice"), Refused(#""tool_choice":1"#, .invalidType, "tool_choice"),
        Refused(#""best_of":2"#, .unsupportedParameter, "best_of"), Refused(#""suffix":"x""#, .unsupportedParameter, "suffix"),
        Refused(#""audio":{}"#, .unsupportedParameter, "audio"), Refused(#""modalities":["text","audio"]"#, .unsupportedParameter, "modalities"),
        Refused(#""prompt_logprobs":1"#, .unsupportedParameter, "prompt_logprobs"),
        Refused(#""allowed_token_ids":[1]"#, .unsupportedParameter, "allowed_token_ids"),
        Refused(#""bad_words":["x"]"#, .unsupportedParameter, "bad_words"), Refused(#""use_beam_search":true"#, .unsupportedParameter, "use_beam_search"),
        Refused(#""functions":[{}]"#, .unsupportedParameter, "functions"), Refused(#""echo":true"#, .unsupportedParameter, "echo"),
        Refused(#""chat_template":"{{ x }}""#, .unsupportedParameter, "chat_template"),
        Refused(#""chat_template_kwargs":{"messages":[]}"#, .invalidValue, "chat_template_kwargs.messages"),
        Refused(#""kv_transfer_params":{}"#, .unsupportedParameter, "kv_transfer_params"),
        Refused(#""return_tokens_as_token_ids":true"#, .unsupportedParameter, "return_tokens_as_token_ids"),
        // Tools.
        Refused(#""tools":[1]"#, .invalidType, "tools[0]"), Refused(#""tools":[{}]"#, .missingParameter, "tools[0].type"),
        Refused(#""tools":[{"type":"retrieval"}]"#, .unsupportedParameter, "tools[0].type"),
        Refused(#""tools":[{"type":"function"}]"#, .missingParameter, "tools[0].function"),
        Refused(#""tools":[{"type":"function","function":{}}]"#, .missingParameter, "tools[0].function.name"),
    ]

    @Test("a chat with a member that cannot be served is refused by name", arguments: refused)
    func refusals(refused: Refused) throws {
        let error = #expect(throws: APIError.self) { try chat(chatBody(refused.members)) }
        #expect(error?.code == refused.code)
        #expect(error?.param == refused.param)
        #expect(error?.code.status == 400)
    }

    @Test("what is spelled out as the default is not refused")
    func harmless() throws {
        _ = try chat(
            chatBody(
                #"""
                "response_format":{"type":"text"},"best_of":1,"suffix":"","echo":false,"bad_words":[],"allowed_token_ids":null,
                "modalities":["text"],"use_beam_search":false,"functions":[],"function_call":"auto","tools":[],"tool_choice":"auto","stop":""
                """#))
    }

    @Test(
        "messages at fault are named by their path",
        arguments: [
            (#"{}"#, .missingParameter, "messages"), (#"{"messages":[]}"#, .invalidValue, "messages"),
            (#"{"messages":"hi"}"#, .invalidType, "messages"), (#"{"messages":["hi"]}"#, .invalidType, "messages[0]"),
            (#"{"messages":[{"content":"x"}]}"#, .missingParameter, "messages[0].role"),
            (#"{"messages":[{"role":"boss","content":"x"}]}"#, .invalidValue, "messages[0].role"),
            (#"{"messages":[{"role":"user"}]}"#, .missingParameter, "messages[0].content"),
            (#"{"messages":[{"role":"user","content":5}]}"#, .invalidType, "messages[0].content"),
            (#"{"messages":[{"role":"user","content":[5]}]}"#, .invalidType, "messages[0].content[0]"),
            (#"{"messages":[{"role":"user","content":[{"type":"text"}]}]}"#, .missingParameter, "messages[0].content[0].text"),
            (
                #"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:"}}]}]}"#, .imageRejected,
                "messages[0].content[0]"
            ),
            (#"{"messages":[{"role":"user","content":[{"type":"input_audio"}]}]}"#, .unsupportedParameter, "messages[0].content[0].type"),
            (
                #"{"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{"}}]}]}"#, .invalidValue,
                "messages[0].tool_calls[0].function.arguments"
            ),
        ] as [(String, APIError.Code, String)])
    func badMessages(body: String, code: APIError.Code, param: String) throws {
        let error = #expect(throws: APIError.self) { try chat(body) }
        #expect(error?.code == code)
        #expect(error?.param == param)
    }

    @Test("a message says what was found and what was expected")
    func wording() throws {
        let error = #expect(throws: APIError.self) { try chat(chatBody(#""temperature":"hot""#)) }
        #expect(error?.message == "temperature: a number from 0 to 2 was expected, found a string")
        let second = #expect(throws: APIError.self) { try chat(chatBody(#""top_p":0"#)) }
        #expect(second?.message == "top_p: a number above 0 up to 1 was expected, found 0")
    }

    @Test("no member of any wrong type is taken")
    func wrongTypes() throws {
        let members = [
            "model", "messages", "temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty", "seed",
            "logit_bias", "max_tokens", "max_completion_tokens", "min_tokens", "ignore_eos", "include_stop_str_in_output", "skip_special_tokens",
            "stop", "stop_token_ids", "stream", "stream_options", "return_token_ids", "ferry", "n", "priority", "cache_salt",
            "truncate_prompt_tokens", "logprobs", "top_logprobs", "tools", "tool_choice", "add_generation_prompt", "continue_final_message",
            "add_special_tokens", "chat_template_kwargs", "documents", "reasoning_effort", "response_format",
        ]
        let strings: Set = ["model", "cache_salt", "reasoning_effort", "stop", "messages", "tool_choice"]
        let values: [(kind: String, text: String)] = [
            ("string", #""x""#), ("number", "0.5"), ("bool", "true"), ("array", "[[]]"), ("object", #"{"a":[]}"#),
        ]
        let allowed: [String: Set<String>] = [
            "string": strings, "number": ["temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty"],
            "bool": [
                "ignore_eos", "include_stop_str_in_output", "skip_special_tokens", "stream", "return_token_ids", "ferry", "logprobs",
                "add_generation_prompt", "continue_final_message", "add_special_tokens",
            ],
            "array": ["documents"], "object": ["chat_template_kwargs", "response_format", "stream_options", "tool_choice"],
        ]
        for member in members {
            for value in values where !(allowed[value.kind]!.contains(member)) {
                let body = member == "messages" ? "{\"messages\":\(value.text)}" : chatBody("\"\(member)\":\(value.text)")
                let error = #expect(throws: APIError.self, "\(body)") { try chat(body) }
                #expect(error?.param?.hasPrefix(member) == true, "\(body): \(String(describing: error))")
            }
        }
    }
}

@Suite struct CompletionRequestTests {
    @Test(
        "a prompt comes in four forms",
        arguments: [
            (#""hi""#, [.text("hi")]), (#"["a","b"]"#, [.text("a"), .text("b")]), ("[1,2]", [.tokens([1, 2])]),
            ("[[1],[2,3]]", [.tokens([1]), .tokens([2, 3])]),
        ] as [(String, [Prompt])])
    func prompts(text: String, prompts: [Prompt]) throws {
        #expect(try completion("{\"prompt\":\(text)}").prompts == prompts)
    }

    @Test(
        "prompts at fault are named",
        arguments: [
            ("{}", .missingParameter, "prompt"), (#"{"prompt":[]}"#, .invalidValue, "prompt"), (#"{"prompt":{}}"#, .invalidType, "prompt"),
            (#"{"prompt":[1,"a"]}"#, .invalidType, "prompt[1]"), (#"{"prompt":["a",1]}"#, .invalidType, "prompt[1]"),
            (#"{"prompt":[1000]}"#, .invalidValue, "prompt[0]"), (#"{"prompt":[-1]}"#, .invalidValue, "prompt[0]"),
            (#"{"prompt":[[1],[1.5]]}"#, .invalidType, "prompt[1][0]"), (#"{"prompt":["a","b"],"n":40}"#, .invalidValue, "prompt"),
            (#"{"prompt":"a","echo":true,"logprobs":1}"#, .unsupportedParameter, "echo"),
            (#"{"prompt":"a","logprobs":true}"#, .invalidType, "logprobs"), (#"{"prompt":"a","suffix":"b"}"#, .unsupportedParameter, "suffix"),
            (#"{"prompt":"a","prompt_embeds":"x"}"#, .unsupportedParameter, "prompt_embeds"),
        ] as [(String, APIError.Code, String)])
    func bad(body: String, code: APIError.Code, param: String) throws {
        let error = #expect(throws: APIError.self) { try completion(body) }
        #expect(error?.code == code)
        #expect(error?.param == param)
    }

    @Test("completions take logprobs as a number and can echo")
    func options() throws {
        let request = try completion(#"{"prompt":"a","logprobs":5,"max_tokens":1,"add_special_tokens":false}"#)
        #expect(request.options.sampling.topLogprobs == 5)
        #expect(!request.addsSpecialTokens)
        #expect(try completion(#"{"prompt":"a","echo":true}"#).echoes)
    }
}

@Suite struct HostileBodyTests {
    @Test(
        "what is not a JSON object is refused with a place or a kind",
        arguments: [
            ("", .invalidJSON), ("{", .invalidJSON), ("[]", .invalidType), ("null", .invalidType), (#"{"a":1,"a":2}"#, .invalidJSON),
            ("{\"a\":\"\\ud800\"}", .invalidJSON), (String(repeating: "[", count: 100_000), .invalidJSON),
            (#"{"messages":"# + String(repeating: "[", count: 63) + String(repeating: "]", count: 63) + "}", .invalidType),
        ] as [(String, APIError.Code)])
    func notObjects(body: String, code: APIError.Code) throws {
        let error = #expect(throws: APIError.self) { try chat(body) }
        #expect(error?.code == code)
    }

    @Test("strings that are not UTF-8 are refused")
    func invalidUTF8() throws {
        let body = Array(#"{"messages":[{"role":"user","content":""#.utf8) + [0xC3, 0x28, 0xFF] + Array(#""}]}"#.utf8)
        let error = #expect(throws: APIError.self) { try ChatRequest(body: body.span, limits: limits) }
        #expect(error?.code == .invalidJSON)
    }

    @Test("every truncation and many bit flips of valid bodies are read or refused, never trapped on")
    func damaged() throws {
        let valid = [
            chatBody(
                #""temperature":0.5,"logit_bias":{"5":-100},"stop":["é"],"tools":[{"type":"function","function":{"name":"f"}}],"seed":18446744073709551615,"stream":true,"stream_options":{"include_usage":true},"n":2"#
            ), #"{"prompt":[[1,2],[3]],"echo":true,"max_tokens":9223372036854775807,"min_tokens":0}"#,
            #"{"tokens":[1,2,3],"prompt":"x","messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}]}"#,
        ]
        var random = SeededGenerator(seed: 7)
        for text in valid {
            let bytes = Array(text.utf8)
            for count in 0...bytes.count { RequestFuzzing.run(Array(bytes[..<count])) }
            for _ in 0..<3000 {
                var damaged = bytes
                for _ in 0...Int(random.next() % 3) { damaged[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next()) }
                RequestFuzzing.run(damaged)
            }
        }
    }
}
