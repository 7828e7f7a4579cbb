/// How requests ended.
package struct Counts: Sendable, Equatable {
    package struct Refusal: Hashable, Sendable {
        package var status: Int
        package var code: String
    }

    package private(set) var measured = 0
    package private(set) var completed = 0
    package private(set) var refused = 0
    package private(set) var broken = 0
    package private(set) var failed = 0
    package private(set) var troubled = 0
    package private(set) var late = 0
    package private(set) var unfinished = 0
    /// Begun again in the server.
    package private(set) var replayed = 0
    package private(set) var refusals: [Refusal: Int] = [:]
    package private(set) var breaks: [String: Int] = [:]
    package private(set) var failures: [String: Int] = [:]

    package init(_ requests: [RequestRecord]) {
        for request in requests {
            measured += 1
            if let server = request.server, server.attempts > 1 { replayed += 1 }
            switch request.outcome {
            case .completed: completed += 1
            case .refused(let code):
                refused += 1
                refusals[Refusal(status: request.status ?? 0, code: code), default: 0] += 1
            case .broken(let code):
                broken += 1
                breaks[code, default: 0] += 1
            case .failed(let reason):
                failed += 1
                failures[reason, default: 0] += 1
            case .troubled: troubled += 1
            case .late: late += 1
            case .unfinished: unfinished += 1
            }
        }
    }

    /// vLLM's `failed`: asked in earnest and not answered whole.
    package var unsuccessful: Int { measured - completed - troubled }
}

/// Requests that were in flight together.
enum InFlight {
    /// The most at any moment, of completed requests from sending to end; who ends makes place for who begins at the same moment.
    static func most(_ requests: [RequestRecord]) -> Int {
        var events: [(time: Duration, change: Int)] = []
        for request in requests where request.outcome == .completed {
            guard let sent = request.sent, let ended = request.ended else { continue }
            events.append((sent, 1))
            events.append((ended, -1))
        }
        events.sort { ($0.time, $0.change) < ($1.time, $1.change) }
        var now = 0
        var most = 0
        for event in events {
            now += event.change
            most = max(most, now)
        }
        return most
    }
}
