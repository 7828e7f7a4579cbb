/// What is measured of each request. All times from the intended sending unless said otherwise; definitions in Figures.md.
package enum Measure: String, Sendable, CaseIterable {
    case ttft, tpot, itl, e2el
    case clientQueueTime = "client_queue_time"
    case ttftFromSending = "ttft_sent"
    case ttst
    case userThroughput = "user_throughput"
    case tokensPerChunk = "tokens_per_chunk"
    case serverQueue = "server_queue"
    case serverPrefill = "server_prefill"
    case serverDecode = "server_decode"
    case kvWire = "kv_wire"
    case kvExposed = "kv_exposed"
    case kvWait = "kv_wait"

    package var title: String {
        switch self {
        case .ttft: "Time to First Token"
        case .tpot: "Time per Output Token (excl. 1st token)"
        case .itl: "Inter-token Latency"
        case .e2el: "End-to-end Latency"
        case .clientQueueTime: "Client-side Queueing"
        case .ttftFromSending: "Time to First Token from the actual sending"
        case .ttst: "Time from First to Second Token"
        case .userThroughput: "Output Tokens per User"
        case .tokensPerChunk: "Tokens per Chunk"
        case .serverQueue: "Queue in the Server"
        case .serverPrefill: "Prefill in the Server"
        case .serverDecode: "Decode in the Server"
        case .kvWire: "KV on the Wire"
        case .kvExposed: "KV Exposed after the Prefill"
        case .kvWait: "KV Wait"
        }
    }

    /// As in tables.
    package var name: String {
        switch self {
        case .ttft, .tpot, .itl, .e2el, .ttst: rawValue.uppercased()
        case .clientQueueTime: "Client Queue Time"
        case .ttftFromSending: "TTFT from sending"
        case .userThroughput: "Tokens per user"
        case .tokensPerChunk: "Tokens per chunk"
        case .serverQueue: "Server queue"
        case .serverPrefill: "Server prefill"
        case .serverDecode: "Server decode"
        case .kvWire: "KV wire"
        case .kvExposed: "KV exposed"
        case .kvWait: "KV wait"
        }
    }

    package var unit: String {
        switch self {
        case .userThroughput: "tok/s"
        case .tokensPerChunk: "tok"
        default: "ms"
        }
    }

    /// Of keys in results.
    package var suffix: String { unit == "ms" ? "_ms" : "" }

    /// Billionths of the base unit (s, tokens/s, tokens) in the reported one.
    var divisor: Double { unit == "ms" ? 1e6 : 1e9 }
}

/// What one completed request measured, in billionths.
struct RequestMeasures {
    let ttft: Int64?
    let e2el: Int64
    /// Of more than one output token only.
    let tpot: Int64?
    let outputTokens: Int
    let record: RequestRecord

    init(_ record: RequestRecord) {
        self.record = record
        let end = record.ended ?? record.content.last ?? record.due
        let first = record.content.first
        outputTokens = record.outputTokens ?? record.content.tokens.reduce(0) { $0 + Int($1) }
        e2el = max(0, (end - record.due).nanosecondCount)
        ttft = first.map { max(0, ($0 - record.due).nanosecondCount) }
        if let first, outputTokens > 1 {
            tpot = max(0, Int64((Double((end - first).nanosecondCount) / Double(outputTokens - 1)).rounded()))
        } else {
            tpot = nil
        }
    }

    /// Gaps between chunks.
    var gaps: [Int64] { zip(record.content.nanoseconds.dropFirst(), record.content.nanoseconds).map { max(0, $0 - $1) } }

    /// From the first token to the second; 0 where one chunk brought both. Nil where there is one.
    private var secondToken: Int64? {
        let content = record.content
        guard content.count > 0, outputTokens > 1 else { return nil }
        if content.tokens[0] > 1 { return 0 }
        return content.count > 1 ? content.nanoseconds[1] - content.nanoseconds[0] : nil
    }

    func forEach(_ body: (Measure, Int64) -> Void) {
        body(.e2el, e2el)
        if let ttft { body(.ttft, ttft) }
        if let tpot { body(.tpot, tpot) }
        for gap in gaps { body(.itl, gap) }
        if let sent = record.sent {
            body(.clientQueueTime, (sent - record.due).nanosecondCount)
            if let first = record.content.first { body(.ttftFromSending, (first - sent).nanosecondCount) }
        }
        if let secondToken { body(.ttst, secondToken) }
        if let tpot, tpot > 0 { body(.userThroughput, Int64(1e18 / Double(tpot))) }
        if record.content.count > 0 { body(.tokensPerChunk, Int64(Double(outputTokens) * 1e9 / Double(record.content.count))) }
        guard let server = record.server else { return }
        body(.serverQueue, server.queue.nanosecondCount)
        body(.serverPrefill, server.prefill.nanosecondCount)
        body(.serverDecode, server.decode.nanosecondCount)
        guard let transfer = server.transfer else { return }
        body(.kvWire, transfer.wire.nanosecondCount)
        body(.kvExposed, transfer.exposed.nanosecondCount)
        body(.kvWait, transfer.wait.nanosecondCount)
    }
}
