import HTTP
import Platform
import Testing

@testable import LoadTest

/// An answer put together from pieces at given milliseconds.
struct AnswerTranscript {
    var reader: AnswerReader
    var record = RequestRecord(number: 0, due: .zero, outcome: .unfinished)

    init(keepsText: Bool = true, limits: AnswerLimits = AnswerLimits()) { reader = AnswerReader(limits: limits, keepsText: keepsText) }

    mutating func head(_ status: Int = 200, _ type: String = "text/event-stream; charset=utf-8", at time: Int = 0) {
        reader.head(status: status, contentType: type, at: .milliseconds(time), in: &record)
    }

    mutating func body(_ text: String, at time: Int = 0) {
        reader.body(Array(text.utf8).rawSpan, at: .milliseconds(time), in: &record)
    }

    mutating func end(at time: Int = 0) -> Outcome { reader.end(at: .milliseconds(time), in: &record) }

    var times: [Int] { record.content.nanoseconds.map { Int($0 / 1_000_000) } }
}

@Suite struct AnswerReaderTests {
    @Test func aChatStreamOfFerryGivesItsTimesCountsAndReport() {
        var answer = AnswerTranscript()
        answer.head(at: 3)
        answer.body("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}],\"usage\":null}\n\n", at: 4)
        answer.body("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"He\\u006c\\\"lo\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n", at: 5)
        answer.body("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" you\"},\"finish_reason\":null}],\"usage\":null}\n\n", at: 9)
        answer.body("data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\",\"stop_reason\":null}],\"usage\":null}\n\n", at: 10)
        answer.body(
            """
            data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9,"prompt_tokens_details":{"cached_tokens":4}},\
            "ferry":{"kv":{"profile":"lossless","raw_bytes":100,"sent_bytes":60,"wire_ms":1.5,"exposed_ms":0.25,"wait_ms":0.5},\
            "timeline":{"queue_ms":1.25,"prefill_ms":2,"first_token_ms":3.5,"second_token_ms":null,"decode_ms":4},\
            "workers":{"prefill":"p","decode":"d"},"attempts":2}}


            """, at: 10)
        answer.body("data: [DONE]\n\n", at: 10)
        #expect(answer.end(at: 11) == .completed)
        let record = answer.record
        #expect(record.head == .milliseconds(3) && record.ended == .milliseconds(11) && record.status == 200)
        #expect(answer.times == [5, 9] && record.content.tokens == [1, 1])
        #expect(record.text == "Hel\"lo you" && record.finishReason == "stop")
        #expect(record.inputTokens == 7 && record.outputTokens == 2 && record.cachedTokens == 4)
        var report = ServerReport()
        report.queue = .microseconds(1250)
        report.prefill = .milliseconds(2)
        report.firstToken = .microseconds(3500)
        report.decode = .milliseconds(4)
        (report.prefillWorker, report.decodeWorker, report.attempts) = ("p", "d", 2)
        var transfer = ServerReport.Transfer()
        (transfer.profile, transfer.rawBytes, transfer.sentBytes) = ("lossless", 100, 60)
        (transfer.wire, transfer.exposed, transfer.wait) = (.microseconds(1500), .microseconds(250), .microseconds(500))
        report.transfer = transfer
        #expect(record.server == report)
    }

    /// Comments, CRLF, other fields, reasoning, blanks after colons, usage in every chunk, several tokens a chunk, no end mark.
    @Test func otherServersStreamsAreRead() {
        var answer = AnswerTranscript()
        answer.head(200, "text/event-stream")
        answer.body(": ping\r\n\r\nid: 4\r\nevent: message\r\n", at: 1)
        answer.body("data: {\"choices\": [ {\"delta\": {\"reasoning_content\": \"hm\", \"content\": null}} ], \"usage\": {\"completion_tokens\": 1}}\r\n\r\n", at: 2)
        answer.body("data:{\"choices\":[{\"delta\":{\"content\":\"a b c\"},\"finish_reason\":\"length\"}],\"usage\":{\"completion_tokens\":4}}\r\n\r\n", at: 3)
        #expect(answer.end(at: 4) == .completed)
        #expect(answer.times == [2, 3] && answer.record.content.tokens == [1, 3])
        #expect(answer.record.outputTokens == 4 && answer.record.text == "a b c")
    }

    @Test func aStreamOfCompletionsIsReadAndTextElsewhereIsNot() {
        var answer = AnswerTranscript()
        answer.head()
        answer.body("data: {\"text\":\"no\",\"choices\":[{\"text\":\"yes\",\"logprobs\":{\"text\":\"no\",\"content\":\"no\"}}]}\n\ndata: [DONE]\n\n", at: 1)
        #expect(answer.end() == .completed)
        #expect(answer.record.text == "yes" && answer.times == [1])
    }

    @Test(arguments: 1...40) func theResultDoesNotDependOnHowTheBytesWereCut(size: Int) {
        let text = ": hi\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"ab\"}}]}\n\n\r\n\rdata: {\"choices\":\rdata: [{\"delta\":{\"content\":\"cd\"}}]}\r\rdata: {\"choices\":\r\ndata: [{\"delta\":{\"content\":\"ef\"}}]}\r\n\r\ndata: [DONE]\r\n\r\n"
        var answer = AnswerTranscript()
        answer.head()
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: size) {
            answer.body(String(decoding: bytes[start..<min(bytes.count, start + size)], as: UTF8.self))
        }
        #expect(answer.end() == .completed)
        #expect(answer.record.text == "abcdef" && answer.record.content.count == 3)
    }

    @Test func anErrorInAStreamBreaksIt() {
        var answer = AnswerTranscript()
        answer.head()
        answer.body("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"code\":\"worker_lost\"}}\n\n")
        #expect(answer.end() == .broken(code: "worker_lost"))
        #expect(answer.record.content.count == 1)
    }

    @Test func aStreamWithoutItsEndIsBroken() {
        var answer = AnswerTranscript()
        answer.head()
        answer.body("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n")
        #expect(answer.end() == .broken(code: "incomplete_stream"))
    }

    @Test(arguments: ["not json", "{\"choices\":[", "{\"a\":\"b}", "[1]", "{}}", "{\"usage\":{]}"]) func anEventThatIsNoObjectBreaksTheAnswer(data: String) {
        var answer = AnswerTranscript()
        answer.head()
        answer.body("data: \(data)\n\ndata: [DONE]\n\n")
        #expect(answer.end() == .broken(code: "malformed_event"))
    }

    @Test func refusalsKeepTheirCodes() {
        for (body, code) in [
            ("{\"error\":{\"message\":\"m\",\"type\":\"rate_limit_error\",\"code\":\"rate_limit_exceeded\"}}", "rate_limit_exceeded"),
            ("{\"error\":{\"message\":\"m\",\"type\":\"BadRequestError\",\"param\":null,\"code\":400}}", "400"),
            ("{\"object\":\"error\",\"message\":\"m\",\"type\":\"invalid_request_error\",\"code\":null}", "invalid_request_error"),
            ("<html>", ""),
        ] {
            var answer = AnswerTranscript()
            answer.head(429, "application/json")
            answer.body(body)
            #expect(answer.end() == .refused(code: code))
        }
    }

    @Test func aWholeAnswerIsOneChunkWithAllItsTokens() {
        var answer = AnswerTranscript()
        answer.head(200, "application/json")
        answer.body("{\"choices\":[{\"message\":{\"content\":\"abc\"},\"finish_reason\":\"stop\"}],", at: 5)
        answer.body("\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":9}}", at: 6)
        #expect(answer.end(at: 7) == .completed)
        #expect(answer.times == [7] && answer.record.content.tokens == [9] && answer.record.text == "abc")
    }

    @Test func anAnswerIsBoundedInItsWholeAndInItsEvents() {
        var whole = AnswerTranscript(limits: AnswerLimits(answer: 100))
        whole.head(200, "application/json")
        whole.body(String(repeating: " ", count: 101))
        #expect(whole.reader.isHopeless)
        #expect(whole.end() == .failed(reason: "the answer exceeds 100 bytes"))
        var event = AnswerTranscript(limits: AnswerLimits(event: 100))
        event.head()
        for _ in 0..<20 { event.body("data: 12345\n") }
        #expect(event.end() == .failed(reason: "an event exceeds 100 bytes"))
        var line = AnswerTranscript(limits: AnswerLimits(event: 100))
        line.head()
        for _ in 0..<11 { line.body("1234567890") }
        #expect(line.end() == .failed(reason: "an event exceeds 100 bytes"))
    }
}

@Suite struct ResponseParserTests {
    /// What a parser says of `text`, cut into pieces of `size`; bodies joined.
    private func read(_ text: String, size: Int = .max, closes: Bool = false) throws -> [String] {
        var parser = ResponseParser()
        parser.expect()
        var said: [String] = []
        var body = ""
        func note(_ piece: ResponseParser.Piece, _ bytes: [UInt8]) {
            switch piece {
            case .head(let status, let headers): said.append("\(status) \(headers.fields.map { $0.name + "=" + $0.value }.joined(separator: ","))")
            case .body(let range): body += String(decoding: bytes[range], as: UTF8.self)
            case .end:
                said += [body, parser.keepsAlive ? "alive" : "dead"]
                body = ""
                parser.expect()
            case .needsMore: break
            }
        }
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: min(size, bytes.count)) {
            let piece = Array(bytes[start..<min(bytes.count, start + min(size, bytes.count))])
            var offset = 0
            while true {
                let next = try parser.next(piece.rawSpan, &offset)
                if next == .needsMore { break }
                note(next, piece)
            }
        }
        if closes { note(try parser.close(), []) }
        return said
    }

    @Test(arguments: [1, 2, 3, 7, 1000]) func responsesAreReadHoweverTheyAreCut(size: Int) throws {
        let chunked = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: a b \r\n\r\n5;x=1\r\nhello\r\nA\r\n0123456789\r\n0\r\nT: 1\r\n\r\n"
        let sized = "HTTP/1.1 429\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno"
        let empty = "HTTP/1.1 204 No Content\r\n\r\n"
        #expect(
            try read(chunked + empty + sized, size: size) == [
                "200 transfer-encoding=chunked,x=a b", "hello0123456789", "alive", "204 ", "", "alive",
                "429 content-length=2,connection=close", "no", "dead",
            ])
    }

    @Test func aBodyWithoutALengthEndsWithTheConnection() throws {
        #expect(try read("HTTP/1.0 200 OK\r\n\r\nabc", closes: true) == ["200 ", "abc", "dead"])
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\n\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 999 No\r\n\r\n", "SSH-2.0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\na b: c\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n", "HTTP/1.1 101 Switching\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffff\r\n",
    ]) func whatIsNoResponseIsRefused(text: String) {
        #expect(throws: ResponseError.self) { try read(text) }
    }

    @Test func anEarlyEndIsNoAnswer() {
        #expect(throws: ResponseError("the server closed the connection in the middle of an answer")) {
            try read("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc", closes: true)
        }
        #expect(throws: ResponseError("the server closed the connection without an answer")) {
            var parser = ResponseParser()
            parser.expect()
            _ = try parser.close()
        }
    }
}

@Suite struct TroublePlanTests {
    @Test func troubleStrikesAfterTheHeadOrAfterSendingWhereNoneCame() {
        var silent = TroublePlan(.cancel(after: .milliseconds(50)))
        silent.sent(at: .milliseconds(10))
        #expect(silent.due == .milliseconds(60))
        #expect(silent.look(at: .milliseconds(59)) == nil)
        #expect(silent.look(at: .milliseconds(60)) == .cancel)
        #expect(silent.look(at: .milliseconds(90)) == nil && silent.due == nil)
        var answered = TroublePlan(.vanish(after: .milliseconds(50)))
        answered.sent(at: .milliseconds(10))
        answered.headCame(at: .milliseconds(40))
        #expect(answered.look(at: .milliseconds(60)) == nil)
        #expect(answered.look(at: .milliseconds(90)) == .vanish)
    }

    @Test func whoStopsReadingWithholdsEverythingFromThenOn() {
        var plan = TroublePlan(.stopReading(after: .milliseconds(5)))
        plan.sent(at: .zero)
        #expect(!plan.withholds)
        #expect(plan.look(at: .milliseconds(5)) == .stopReading)
        #expect(plan.withholds && plan.due == nil)
    }

    @Test func aSlowReaderGivesBackNoFasterThanItsPace() {
        // 1024 bytes a second: 512 bytes are half a second of reading.
        var plan = TroublePlan(.readSlowly(bytesPerSecond: 1024))
        plan.sent(at: .zero)
        plan.received(1000, at: .seconds(1))
        #expect(plan.withholds && plan.due == .milliseconds(1500))
        #expect(plan.look(at: .milliseconds(1499)) == nil)
        #expect(plan.look(at: .milliseconds(1500)) == .giveBack(512))
        plan.received(24, at: .milliseconds(1600))
        #expect(plan.due == .seconds(2))
        // It looks late, and the pace stays.
        #expect(plan.look(at: .seconds(9)) == .giveBack(512))
        #expect(!plan.withholds && plan.due == nil)
        plan.received(1024, at: .seconds(10))
        #expect(plan.due == .milliseconds(10_500))
    }
}
