@testable import LoadTest

/// Records made by hand, in milliseconds.
enum Records {
    static func request(
        _ number: Int, due: Double, sent: Double? = nil, chunks: [(at: Double, tokens: Int)] = [], ended: Double? = nil,
        outcome: Outcome = .completed, _ change: (inout RequestRecord) -> Void = { _ in }
    ) -> RequestRecord {
        var record = RequestRecord(number: number, due: ms(due), outcome: outcome)
        record.sent = ms(sent ?? due)
        for chunk in chunks { record.content.append(at: ms(chunk.at), tokens: chunk.tokens) }
        record.ended = (ended ?? chunks.last?.at).map(ms)
        record.status = outcome == .completed ? 200 : nil
        change(&record)
        return record
    }

    static func run(
        _ requests: [RequestRecord], from: Double = 0, to: Double, _ change: (inout RunRecord) -> Void = { _ in }
    ) -> RunRecord {
        var record = RunRecord()
        record.requests = requests
        record.began = ms(from)
        record.ended = ms(to)
        record.date = "2026-11-30T20:15:00Z"
        change(&record)
        return record
    }

    static func ms(_ value: Double) -> Duration { .nanoseconds(Int64((value * 1e6).rounded())) }

    /// Two whole answers, one refusal, one failure, one cancelled by its client, one warm-up; 2 s.
    static var small: RunRecord {
        run(
            [
                request(0, due: -500, chunks: [(-400, 1)]) { $0.isWarmup = true },
                request(1, due: 0, sent: 1, chunks: [(101, 1), (121, 1), (151, 2)], ended: 160) {
                    $0.inputTokens = 10
                    $0.outputTokens = 4
                    $0.cachedTokens = 3
                    $0.bodyBytes = 100
                },
                request(2, due: 1000, sent: 1050, chunks: [(1150, 2), (1250, 1)], ended: 1250) {
                    $0.inputTokens = 20
                    $0.bodyBytes = 50
                },
                request(3, due: 1100, outcome: .refused(code: "queue_full")) { $0.status = 429 },
                request(4, due: 1200, outcome: .failed(reason: "connection reset")),
                request(5, due: 1300, chunks: [(1400, 1)], outcome: .troubled),
            ], to: 2000)
    }
}
