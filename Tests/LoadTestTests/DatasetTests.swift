import TestSupport
import Testing

@testable import LoadTest

@Suite struct DatasetTests {
    private let folder = ScratchFolder()

    private func plan(
        _ name: WorkloadSettings.DatasetName, path: String, selfTimed: Bool = true, _ change: (inout WorkloadSettings) -> Void = { _ in }
    ) throws -> [PlannedRequest] {
        var workload = WorkloadSettings()
        workload.datasetName = name
        workload.datasetPath = path
        workload.numPrompts = nil
        change(&workload)
        var arrivals = ArrivalSettings()
        arrivals.selfTimed = selfTimed
        var plan = try Plan(workload, arrivals, seed: 1)
        var requests: [PlannedRequest] = []
        while let request = plan.next() { requests.append(request) }
        #expect(requests.count == plan.count)
        return requests
    }

    private func words(_ request: PlannedRequest) -> [String] {
        guard case .chat(let messages) = request.prompt else { return [] }
        return messages[messages.count - 1].text.split(separator: " ").map(String.init)
    }

    private let mooncake = """
        {"timestamp": 1000, "input_length": 1200, "output_length": 40, "hash_ids": [0, 1, 2]}
        {"timestamp": 1500, "input_length": 1100, "output_length": 1, "hash_ids": [0, 1, 7]}
        {"timestamp": 3000, "input_length": 100, "output_length": 8, "hash_ids": [9]}

        """

    @Test func mooncakesEqualIdsAreEqualText() throws {
        let requests = try plan(.mooncake, path: folder.write("trace.jsonl", mooncake))
        #expect(requests.map(\.due) == [.zero, .milliseconds(500), .seconds(2)])
        #expect(requests.map(\.maximumOutputTokens) == [40, 1, 8])
        #expect(requests.map { words($0).count } == [1200, 1100, 100])
        #expect(words(requests[0])[..<1024] == words(requests[1])[..<1024])
        #expect(words(requests[0])[1024..<1060] != words(requests[1])[1024..<1060])
        #expect(words(requests[0])[..<100] != words(requests[2])[..<100])
    }

    @Test func aScaledTraceKeepsItsSharedBeginnings() throws {
        let requests = try plan(.mooncake, path: folder.write("trace.jsonl", mooncake)) {
            $0.traceScale = 0.125
            $0.traceSpeed = 4
            $0.maxInputLen = 140
            $0.maxOutputLen = 4
        }
        #expect(requests.map(\.due) == [.zero, .milliseconds(125), .milliseconds(500)])
        #expect(requests.map { words($0).count } == [140, 138, 13])
        #expect(requests.map(\.maximumOutputTokens) == [4, 1, 1])
        #expect(words(requests[0])[..<128] == words(requests[1])[..<128])
        #expect(words(requests[0])[128..<138] != words(requests[1])[128..<138])
    }

    @Test func moreRequestsThanTheTraceHasAreASecondRoundOfOtherTexts() throws {
        let requests = try plan(.mooncake, path: folder.write("trace.jsonl", mooncake)) { $0.numPrompts = 5 }
        // A round is the last time, 2 s, and one mean gap of 1 s.
        #expect(requests.map(\.due) == [.zero, .milliseconds(500), .seconds(2), .seconds(3), .milliseconds(3500)])
        #expect(words(requests[3]).count == 1200)
        #expect(words(requests[3])[..<50] != words(requests[0])[..<50])
        #expect(words(requests[3])[..<1024] == words(requests[4])[..<1024])
    }

    @Test func azuresLinesHaveTheirTimesAndPictures() throws {
        let path = folder.write(
            "azure.csv",
            "TIMESTAMP,NumImages,ContextTokens,GeneratedTokens\r\n2024-02-29 23:59:59.5000000,0,12,3\r\n2024-03-01 00:00:00.2500000,2,5,44")
        let requests = try plan(.azure, path: path) { $0.images.sizes = [.init(width: 4, height: 4)] }
        #expect(requests.map(\.due) == [.zero, .milliseconds(750)])
        #expect(requests.map { words($0).count } == [12, 5])
        #expect(requests.map(\.maximumOutputTokens) == [3, 44])
        guard case .chat(let messages) = requests[1].prompt else { return #expect(Bool(false), "a chat was expected") }
        #expect(messages[0].images.count == 2)
    }

    @Test func timesOfDayAreParsed() {
        #expect(TimeOfDay.parse("1970-01-01 00:00:01.0000005") == .seconds(1) + .nanoseconds(500))
        #expect(TimeOfDay.parse("2023-11-16T18:17:03Z") == .seconds(1_700_158_623))
        #expect(TimeOfDay.parse("2000-03-01 00:00:00+00:00") == .seconds(951_868_800))
        for text in ["", "2023-11-16", "2023-13-16 00:00:00", "2023-11-16 24:00:00", "2023-11-16 00:00:00.", "x-y-z a:b:c"] {
            #expect(TimeOfDay.parse(text) == nil, "\(text)")
        }
    }

    private let conversations = """
        [{"id": "a", "conversations": [{"from": "system", "value": "be \\"kind\\" ]"}, {"from": "human", "value": "one two three four"},
          {"from": "gpt", "value": "five six seven eight nine"}, {"from": "human", "value": "and then?"}, {"from": "gpt", "value": "no more than that"}]},
         {"id": "b", "conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "a very short question, this one"}]},
         {"id": "c", "conversations": []}, {"id": "d", "conversations": [{"from": "human", "value": "another question [of {some} length"},
          {"from": "gpt", "value": "another answer of some length"}]}]
        """

    @Test func shareGPTsFirstExchangeIsTheRequest() throws {
        let requests = try plan(.sharegpt, path: folder.write("chats.json", conversations), selfTimed: false)
        #expect(requests.map { words($0).joined(separator: " ") } == ["one two three four", "another question [of {some} length"])
        // 25 and 29 bytes at four a token.
        #expect(requests.map(\.maximumOutputTokens) == [7, 8])
        #expect(requests.allSatisfy { $0.session == nil && $0.due == .zero })
    }

    @Test func shareGPTsConversationsAreSessionsWhereTurnsAreAskedFor() throws {
        let requests = try plan(.sharegpt, path: folder.write("chats.json", conversations), selfTimed: false) { $0.turns = 1...8 }
        #expect(requests.map(\.session) == [0, 0, 1])
        #expect(requests.map(\.turn) == [0, 1, 0])
        #expect(words(requests[1]) == ["and", "then?"])
        #expect(requests[1].due == nil)
    }

    @Test func linesOfOurOwnHaveTextsMessagesTimesAndSessions() throws {
        let path = folder.write(
            "own.jsonl",
            """
            {"prompt": "later", "output_tokens": 5, "timestamp": 900}
            {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "look"}, \
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}], "timestamp": 100.5, "session": "x"}
            {"prompt": "again", "timestamp": 200, "session": "x", "think_time": 30}

            """)
        let requests = try plan(.custom, path: path) { $0.randomOutputLen = 11 }
        #expect(requests.map(\.due) == [.zero, nil, .microseconds(799_500)])
        #expect(requests.map(\.session) == [0, 0, nil])
        #expect(requests.map(\.turn) == [0, 1, 0])
        #expect(requests.map(\.thinkTime) == [.zero, .milliseconds(30), .zero])
        #expect(requests.map(\.maximumOutputTokens) == [11, 11, 5])
        #expect(
            requests[0].prompt
                == .chat([
                    ChatMessage(role: "system", text: "s"), ChatMessage(role: "user", text: "look", images: ["data:image/png;base64,AA=="]),
                ]))
    }

    @Test func turnsOfASessionFollowTheirTimes() throws {
        let path = folder.write(
            "own.jsonl",
            """
            {"prompt": "second", "timestamp": 20, "session": 5}
            {"prompt": "first", "timestamp": 10, "session": 5}
            """)
        let requests = try plan(.custom, path: path)
        #expect(requests.map { words($0) } == [["first"], ["second"]] && requests.map(\.turn) == [0, 1])
    }

    @Test func tokenIdsAreSentAsTheyAre() throws {
        let path = folder.write("own.jsonl", "{\"prompt\": [5, 6, 7]}\n")
        let requests = try plan(.custom, path: path, selfTimed: false) { $0.promptForm = .tokens(0...9) }
        #expect(requests[0].prompt == .tokens([5, 6, 7]))
        #expect(requests[0].expectedInputTokens == 3)
    }

    @Test(arguments: [
        (WorkloadSettings.DatasetName.mooncake, "{\"timestamp\": 0}", "line 1: `input_length` is missing, an integer was expected"),
        (.mooncake, "\n{\"timestamp\": -1}", "line 2: `timestamp` is -1, milliseconds from 0 to 31536000000 was expected"),
        (
            .mooncake, "{\"timestamp\": 0, \"input_length\": 600, \"output_length\": 1, \"hash_ids\": [3]}",
            "line 1: `hash_ids` is [3], an array of 2 integers, one for each 512 tokens, was expected"
        ),
        (
            .mooncake, "{\"timestamp\": 0, \"input_length\": 6, \"output_length\": 1, \"hash_ids\": [1.5]}",
            "line 1: `hash_ids` is 1.5, an integer from 0 to 2147483647 was expected"
        ),
        (.mooncake, "{\"timestamp\": 0,", "line 1: invalid JSON at byte 16: a key was expected"),
        (.mooncake, "[1]", "line 1 is an array, an object was expected"),
        (.azure, "TIMESTAMP,ContextTokens\n", "line 1 has no column GeneratedTokens; TIMESTAMP,ContextTokens,GeneratedTokens was expected"),
        (.azure, "TIMESTAMP,ContextTokens,GeneratedTokens\n1,2\n", "line 2 has 2 columns, 3 were expected"),
        (
            .azure, "TIMESTAMP,ContextTokens,GeneratedTokens\nnow,2,3\n",
            "line 2 `TIMESTAMP` is \"now\", a time as 2023-11-16 18:17:03.9799600 was expected"
        ),
        (
            .azure, "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,-2,3\n",
            "line 2 `ContextTokens` is \"-2\", an integer from 0 to 10000000 was expected"
        ),
        (.azure, "TIMESTAMP,ContextTokens,GeneratedTokens\n", "has no requests"),
        (.sharegpt, "{}", "is no JSON array, one of conversations was expected"),
        (.sharegpt, "[{\"a\": [}", "element 1 has no end"),
        (.sharegpt, "[{\"conversations\": 3}]", "element 1: `conversations` is 3, an array was expected"),
        (.sharegpt, "[{\"conversations\": []} 3]", "element 1 is followed by byte 51 at 23, ',' or ']' was expected"),
        (.sharegpt, "[{\"conversations\": []}", "ends inside its array, ']' was expected"),
        (.sharegpt, "[]", "has no request that the settings allow"),
        (.custom, "{\"prompt\": 3}", "line 1: `prompt` is 3, a string was expected"),
        (.custom, "{}", "line 1: `prompt` is missing, `prompt` or `messages` was expected"),
        (.custom, "{\"prompt\": \"a\", \"messages\": []}", "line 1: `prompt` is \"a\", `prompt` or `messages`, not both, was expected"),
        (
            .custom, "{\"messages\": [{\"role\": \"user\"}]}",
            "line 1: `messages` is {\"role\":\"user\"}, objects with `role` and `content` was expected"
        ),
        (.custom, "{\"prompt\": \"a\", \"output_tokens\": 0}", "line 1: `output_tokens` is 0, an integer from 1 to 10000000 was expected"),
        (.custom, "{\"prompt\": \"a\", \"session\": []}", "line 1: `session` is [], a string or an integer was expected"),
        (
            .custom, "{\"prompt\": \"a\", \"timestamp\": 1}\n{\"prompt\": \"b\"}",
            "`timestamp` stands in 1 of 2 lines, in all or none was expected"
        ),
        (.custom, "", "is empty, requests were expected"),
    ]) func aHostileFileIsNamedWithThePlace(name: WorkloadSettings.DatasetName, text: String, message: String) throws {
        let path = folder.write("hostile", text)
        let error = #expect(throws: PlanError.self) { _ = try plan(name, path: path, selfTimed: false) }
        let description = error?.description ?? ""
        #expect(description == "\(path) \(message)" || description == "\(path): \(message)", "\(description)")
    }

    @Test func aLineWithoutEndIsRefused() throws {
        let path = folder.write("long", [UInt8](repeating: UInt8(ascii: " "), count: DatasetFile.mostBytes + 2))
        #expect(throws: PlanError("\(path) line 1 is longer than 16777216 bytes")) { _ = try plan(.custom, path: path, selfTimed: false) }
    }

    @Test(.enabled(if: SharedFiles.path("traces/mooncake/conversation_trace.jsonl") != nil))
    func aWholeTraceFitsASmallModel() throws {
        let path = try #require(SharedFiles.path("traces/mooncake/conversation_trace.jsonl"))
        var workload = WorkloadSettings()
        workload.datasetName = .mooncake
        workload.datasetPath = path
        workload.numPrompts = nil
        workload.traceScale = 1.0 / 64
        workload.maxInputLen = 1900
        workload.maxOutputLen = 64
        var arrivals = ArrivalSettings()
        arrivals.selfTimed = true
        var plan = try Plan(workload, arrivals, seed: 1)
        #expect(plan.count == 12_031)
        var last = Duration.zero
        var count = 0
        while let request = plan.next() {
            #expect(request.due! >= last && request.expectedInputTokens! <= 1900 && request.maximumOutputTokens <= 64)
            last = request.due!
            count += 1
        }
        #expect(count == 12_031)
        #expect(last == .milliseconds(3_536_999))
    }

    @Test(.enabled(if: SharedFiles.path("traces/azure-llm-2023/AzureLLMInferenceTrace_code.csv") != nil))
    func azuresTraceIsRead() throws {
        let path = try #require(SharedFiles.path("traces/azure-llm-2023/AzureLLMInferenceTrace_code.csv"))
        let rows = try TraceWorkload.Row.azure(path: path, most: nil)
        #expect(rows.count == 8819)
        #expect(rows[0] == TraceWorkload.Row(time: .zero, input: 4808, output: 10))
        #expect(rows[1] == TraceWorkload.Row(time: .milliseconds(52), input: 3180, output: 8))
    }
}
