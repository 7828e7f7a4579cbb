internal import Inference

/// Most tokens have neither: a byte says which of the two follow.
private enum TokenFlags {
    static let logprob: UInt8 = 1
    static let alternatives: UInt8 = 2
}

extension MessageEncoder {
    mutating func put(_ report: StepReport) {
        reserve(300 + 8 * report.began.count + 17 * report.tokens.count + 64 * report.endings.count)
        put(count: report.began.count)
        for id in report.began { put(id.value) }
        put(count: report.tokens.count)
        for event in report.tokens { put(event) }
        put(count: report.endings.count)
        for ending in report.endings { put(ending) }
        put(report.load)
    }

    /// 17 bytes without log probabilities.
    private mutating func put(_ event: TokenEvent) {
        put((event.logprob == nil ? 0 : TokenFlags.logprob) | (event.alternatives.isEmpty ? 0 : TokenFlags.alternatives))
        put(event.sequence.value)
        put(UInt32(clamping: event.index))
        put(event.token)
        if let logprob = event.logprob { put(logprob) }
        guard !event.alternatives.isEmpty else { return }
        put(count: event.alternatives.count)
        for alternative in event.alternatives {
            put(alternative.token)
            put(alternative.logprob)
        }
    }

    private mutating func put(_ ending: SequenceEnding) {
        put(ending.sequence.value)
        put(ending.reason)
        put(ending.promptTokens)
        put(ending.cachedTokens)
        put(ending.generatedTokens)
        put(ending.timeline.queued)
        put(ending.timeline.prefill)
        put(ending.timeline.decode)
        put(ending.transfer) { $0.put($1) }
    }

    private mutating func put(_ reason: FinishReason) {
        switch reason {
        case .stop(let token):
            put(UInt8(0))
            put(token) { $0.put($1) }
        case .length: put(UInt8(1))
        case .cancelled: put(UInt8(2))
        case .deadlineExceeded: put(UInt8(3))
        case .failed(let text):
            put(UInt8(4))
            put(reason: text)
        case .handedOff: put(UInt8(5))
        case .interrupted(let text):
            put(UInt8(6))
            put(reason: text)
        }
    }

    private mutating func put(_ summary: TransferSummary) {
        put(text: summary.profile, longest: MessageLimits.reason, "transfer.profile")
        put(summary.rawBytes)
        put(summary.sentBytes)
        put(summary.blocks)
        put(summary.wire)
        put(summary.exposed)
        put(summary.wait)
        put(summary.cachedTokens)
        put(summary.connections)
    }

    mutating func put(_ load: WorkerLoad) {
        for value in [load.running, load.waiting, load.pagesTotal, load.pagesAvailable] { put(value) }
        for value in [load.steps, load.prefillTokens, load.generatedTokens, load.preemptions] { put(value) }
        for value in [load.pendingPrefill, load.decoding, load.exports, load.imports] { put(value) }
        for value in [load.prefixQueries, load.prefixHits] { put(value) }
        put(load.modelTime)
        put(load.stepTime)
    }
}

extension MessageDecoder {
    mutating func report() throws(MessageError) -> StepReport {
        StepReport(
            began: try list("report.began", each: 8) { (decoder) throws(MessageError) in SequenceID(try decoder.unsigned("report.began")) },
            tokens: try list("report.tokens", each: 17) { (decoder) throws(MessageError) in try decoder.event() },
            endings: try list("report.endings", each: 58) { (decoder) throws(MessageError) in try decoder.ending() },
            load: try load())
    }

    private mutating func event() throws(MessageError) -> TokenEvent {
        let flags = try unsigned("token.flags", UInt8.self)
        guard flags <= TokenFlags.logprob | TokenFlags.alternatives else { throw .malformed("token.flags: \(flags), 0 to 3 were expected") }
        var event = TokenEvent(
            sequence: SequenceID(try unsigned("token.sequence")), index: Int(try unsigned("token.index", UInt32.self)), token: try token("token"))
        if flags & TokenFlags.logprob != 0 { event.logprob = try float("token.logprob") }
        guard flags & TokenFlags.alternatives != 0 else { return event }
        event.alternatives = try list("token.alternatives", each: 8) { (decoder) throws(MessageError) in
            TokenLogprob(token: try decoder.token("alternative.token"), logprob: try decoder.float("alternative.logprob"))
        }
        guard !event.alternatives.isEmpty else { throw .malformed("token.alternatives: none, the flags promise some") }
        return event
    }

    private mutating func ending() throws(MessageError) -> SequenceEnding {
        var ending = SequenceEnding(
            sequence: SequenceID(try unsigned("ending.sequence")), reason: try finishReason(), promptTokens: try natural("ending.prompt"),
            cachedTokens: try natural("ending.cached"), generatedTokens: try natural("ending.generated"))
        ending.timeline.queued = try duration("timeline.queued")
        ending.timeline.prefill = try duration("timeline.prefill")
        ending.timeline.decode = try duration("timeline.decode")
        ending.transfer = try optional("ending.transfer") { (decoder) throws(MessageError) in try decoder.transferSummary() }
        return ending
    }

    private mutating func finishReason() throws(MessageError) -> FinishReason {
        switch try unsigned("ending.reason", UInt8.self) {
        case 0: .stop(try optional("ending.stop") { (decoder) throws(MessageError) in try decoder.token("ending.stop") })
        case 1: .length
        case 2: .cancelled
        case 3: .deadlineExceeded
        case 4: .failed(try text("ending.reason", longest: MessageLimits.reason))
        case 5: .handedOff
        case 6: .interrupted(try text("ending.reason", longest: MessageLimits.reason))
        case let other: throw .malformed("ending.reason: \(other), 0 to 6 were expected")
        }
    }

    private mutating func transferSummary() throws(MessageError) -> TransferSummary {
        var summary = TransferSummary()
        summary.profile = try text("transfer.profile", longest: MessageLimits.reason)
        summary.rawBytes = try natural("transfer.raw")
        summary.sentBytes = try natural("transfer.sent")
        summary.blocks = try natural("transfer.blocks")
        summary.wire = try duration("transfer.wire")
        summary.exposed = try duration("transfer.exposed")
        summary.wait = try duration("transfer.wait")
        summary.cachedTokens = try natural("transfer.cached")
        summary.connections = try natural("transfer.connections")
        return summary
    }

    mutating func load() throws(MessageError) -> WorkerLoad {
        var load = WorkerLoad()
        load.running = try natural("load.running")
        load.waiting = try natural("load.waiting")
        load.pagesTotal = try natural("load.pages")
        load.pagesAvailable = try natural("load.pages available")
        load.steps = try unsigned("load.steps")
        load.prefillTokens = try unsigned("load.prefill tokens")
        load.generatedTokens = try unsigned("load.generated tokens")
        load.preemptions = try unsigned("load.preemptions")
        load.pendingPrefill = try natural("load.pending prefill")
        load.decoding = try natural("load.decoding")
        load.exports = try natural("load.exports")
        load.imports = try natural("load.imports")
        load.prefixQueries = try unsigned("load.prefix queries")
        load.prefixHits = try unsigned("load.prefix hits")
        load.modelTime = try duration("load.model time")
        load.stepTime = try duration("load.step time")
        return load
    }
}
