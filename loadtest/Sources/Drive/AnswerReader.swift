internal import Platform

/// Makes one request's record out of the answer's head and body: times, counts, the server's own report, and how it ended. Knows nothing of
/// connections; every time is the caller's.
///
/// Tolerant where servers differ (a role first, null usage, usage in every chunk, reasoning, comments, no `[DONE]` after a finish reason),
/// strict where a figure would be wrong: an event that is no JSON object, or a stream that ends in the middle, is a broken answer.
struct AnswerReader {
    private enum Form {
        case undecided
        case events(EventReader)
        /// One JSON document: an answer that was not asked to stream, or a refusal.
        case document([UInt8])
    }

    let limits: AnswerLimits
    /// Whether the answer's text is kept in the record.
    let keepsText: Bool
    private var form = Form.undecided
    private var isDone = false
    private var failure: Outcome?
    /// As of the last chunk that had counts.
    private var tokensSoFar = 0

    init(limits: AnswerLimits = AnswerLimits(), keepsText: Bool = false) {
        self.limits = limits
        self.keepsText = keepsText
    }

    /// What is read from now on cannot change the outcome: the connection may be given up.
    var isHopeless: Bool { if case .failed = failure { true } else { false } }

    mutating func head(status: Int, contentType: String?, at time: Duration, in record: inout RequestRecord) {
        record.status = status
        record.head = time
        let isEventStream = contentType?.lowercased().hasPrefix("text/event-stream") ?? false
        form = status == 200 && isEventStream ? .events(EventReader(limit: limits.event)) : .document([])
    }

    mutating func body(_ bytes: RawSpan, at time: Duration, in record: inout RequestRecord) {
        record.bodyBytes += bytes.byteCount
        guard failure == nil else { return }
        guard record.bodyBytes <= limits.answer else {
            failure = .failed(reason: "the answer exceeds \(limits.answer) bytes")
            return
        }
        switch form {
        case .undecided: preconditionFailure("a body before its head")
        case .document(var bytesSoFar):
            form = .undecided
            bytesSoFar.append(bytes)
            form = .document(bytesSoFar)
        case .events(var reader):
            form = .undecided
            let nanoseconds = time.inNanoseconds
            do throws(EventReader.Failure) {
                try reader.receive(bytes) { event($0, nanoseconds, in: &record) }
            } catch {
                failure = .failed(reason: "an event exceeds \(limits.event) bytes")
            }
            form = .events(reader)
        }
    }

    /// The body is complete.
    mutating func end(at time: Duration, in record: inout RequestRecord) -> Outcome {
        record.ended = time
        switch form {
        case .undecided: return .failed(reason: "an answer without a head")
        case .document(let bytes): return failure ?? document(bytes, at: time, in: &record)
        case .events:
            if let failure { return failure }
            return isDone || record.finishReason != nil ? .completed : .broken(code: "incomplete_stream")
        }
    }

    // MARK: Events

    private mutating func event(_ raw: RawSpan, _ time: Int64, in record: inout RequestRecord) {
        guard failure == nil else { return }
        let data = raw.octets
        if isEndMark(data) {
            isDone = true
            return
        }
        guard let event = EventScanner.scan(data) else {
            failure = .broken(code: "malformed_event")
            return
        }
        var tokens = 1
        if event.needsParser {
            let before = tokensSoFar
            parse(data, in: &record)
            if tokensSoFar > before { tokens = tokensSoFar - before }
        }
        if let reason = event.finish { record.finishReason = String(copying: raw.extracting(reason)) }
        if event.content != nil || event.other != nil { record.content.append(nanoseconds: time, tokens: tokens) }
        if keepsText, let content = event.content { record.text += Self.text(data, content) }
    }

    private func isEndMark(_ data: Span<UInt8>) -> Bool {
        data.count == 6 && data[0] == UInt8(ascii: "[") && data[1] == UInt8(ascii: "D") && data[5] == UInt8(ascii: "]")
    }

    /// Undoes the escapes of a string whose inside lies at `range`, quotes around it.
    private static func text(_ data: Span<UInt8>, _ range: Range<Int>) -> String {
        let quoted = data.extracting((range.lowerBound - 1)..<(range.upperBound + 1))
        return (try? JSON(parsing: quoted))?.string ?? ""
    }

    private mutating func parse(_ data: Span<UInt8>, in record: inout RequestRecord) {
        do throws(JSONError) {
            let json = try JSON(parsing: data, limits: limits.json)
            if let error = json["error"], !error.isNull { failure = .broken(code: Self.code(of: error)) }
            note(json, in: &record)
        } catch {
            failure = .broken(code: "malformed_event")
        }
    }

    // MARK: Documents

    private mutating func document(_ bytes: [UInt8], at time: Duration, in record: inout RequestRecord) -> Outcome {
        let json = try? JSON(parsing: bytes, limits: limits.json)
        guard record.status == 200 else {
            let code = json.map { json in json["error"].map(Self.code) ?? Self.code(of: json) }
            return .refused(code: code ?? "")
        }
        guard let json, let choices = json["choices"]?.array else { return .broken(code: "malformed_answer") }
        if let error = json["error"], !error.isNull { return .broken(code: Self.code(of: error)) }
        note(json, in: &record)
        var hasText = false
        for choice in choices {
            record.finishReason = choice["finish_reason"]?.string ?? record.finishReason
            let text = choice["message"]?["content"]?.string ?? choice["text"]?.string ?? ""
            let thought = choice["message"]?["reasoning_content"]?.string ?? ""
            hasText = hasText || !text.isEmpty || !thought.isEmpty
            if keepsText { record.text += text }
        }
        if hasText { record.content.append(at: time, tokens: record.outputTokens ?? 1) }
        return .completed
    }

    private mutating func note(_ json: JSON, in record: inout RequestRecord) {
        if let usage = json["usage"] {
            record.inputTokens = usage["prompt_tokens"]?.integer ?? record.inputTokens
            record.outputTokens = usage["completion_tokens"]?.integer ?? record.outputTokens
            record.cachedTokens = usage["prompt_tokens_details"]?["cached_tokens"]?.integer ?? record.cachedTokens
            // Only counts that come along with the text say how much of it is in a chunk.
            if let tokens = usage["completion_tokens"]?.integer { tokensSoFar = max(tokensSoFar, tokens) }
        }
        if let report = json["ferry"], report.object != nil { record.server = ServerReport(report) }
    }

    /// `code` of an error object, which some servers make a number; else its type.
    private static func code(of error: JSON) -> String {
        if let code = error["code"]?.string, !code.isEmpty { return code }
        if let number = error["code"]?.integer { return String(number) }
        return error["type"]?.string ?? error.string ?? ""
    }
}

/// What one answer may cost in memory. Beyond: the answer is given up and the request has failed.
struct AnswerLimits: Sendable, Equatable {
    var answer = 64 << 20
    var event = 4 << 20
    var json = JSONLimits(depth: 64, values: 100_000)
}

extension ServerReport {
    /// From the member `ferry` of an answer; what is missing or of another kind stays at its default.
    init(_ json: JSON) {
        self.init()
        func time(_ value: JSON?) -> Duration? { value?.double.map { .nanoseconds(Int64(clampedRounding: $0 * 1e6)) } }
        let timeline = json["timeline"]
        queue = time(timeline?["queue_ms"]) ?? .zero
        prefill = time(timeline?["prefill_ms"]) ?? .zero
        firstToken = time(timeline?["first_token_ms"])
        secondToken = time(timeline?["second_token_ms"])
        decode = time(timeline?["decode_ms"]) ?? .zero
        prefillWorker = json["workers"]?["prefill"]?.string ?? ""
        decodeWorker = json["workers"]?["decode"]?.string ?? ""
        attempts = json["attempts"]?.integer ?? 1
        guard let kv = json["kv"], kv.object != nil else { return }
        var moved = Transfer()
        moved.profile = kv["profile"]?.string ?? ""
        moved.rawBytes = kv["raw_bytes"]?.integer ?? 0
        moved.sentBytes = kv["sent_bytes"]?.integer ?? 0
        moved.wire = time(kv["wire_ms"]) ?? .zero
        moved.exposed = time(kv["exposed_ms"]) ?? .zero
        moved.wait = time(kv["wait_ms"]) ?? .zero
        transfer = moved
    }
}

extension Int64 {
    /// The nearest whole number; 0 for NaN, the ends of the range beyond them.
    init(clampedRounding value: Double) {
        self = value.isNaN ? 0 : Int64(exactly: value.rounded()) ?? (value < 0 ? .min : .max)
    }
}

extension String {
    init(copying bytes: RawSpan) {
        var copy: [UInt8] = []
        copy.append(bytes)
        self.init(decoding: copy, as: UTF8.self)
    }
}
