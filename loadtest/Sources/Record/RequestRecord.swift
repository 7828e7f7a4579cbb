/// What became of one planned request. All times count from the run's start, on the monotonic clock.
package struct RequestRecord: Sendable, Equatable {
    package var number: Int
    package var session: Int?
    package var turn = 0
    package var isWarmup = false
    package var trouble: Trouble?
    /// The intended time of sending. In a closed loop, when its place became free.
    package var due: Duration
    /// Its bytes were handed to the socket (HTTP/2: to the session); nil: never.
    package var sent: Duration?
    /// The answer's status had come.
    package var head: Duration?
    /// Chunks with content, in the order of their coming.
    package var content = ContentTimes()
    package var ended: Duration?
    package var outcome: Outcome
    package var status: Int?
    /// As the server counts them; nil: it did not say.
    package var inputTokens: Int?
    package var outputTokens: Int?
    package var cachedTokens: Int?
    package var finishReason: String?
    /// What the server said of its own work, where it speaks the extension `ferry`.
    package var server: ServerReport?
    /// Numbered in the order of their opening.
    package var connection: Int?
    /// Bytes of the answer's body.
    package var bodyBytes = 0
    /// Filled only where details are kept.
    package var text = ""

    package init(number: Int, due: Duration, outcome: Outcome) {
        self.number = number
        self.due = due
        self.outcome = outcome
    }
}

/// How a request ended.
package enum Outcome: Sendable, Equatable {
    /// A whole answer with status 200.
    case completed
    /// An answer with another status; `code` from the error's body where it has one.
    case refused(code: String)
    /// An error in the midst of a stream that had begun well.
    case broken(code: String)
    /// No answer, or not to its end: what the connection said.
    case failed(reason: String)
    /// The client itself ended it: that was its trouble.
    case troubled
    /// The client gave up at its deadline.
    case late
    /// The run ended first.
    case unfinished
}

/// When each chunk of content came, and how many tokens were in it. 10 bytes a chunk; bounded by the reader of the answer.
package struct ContentTimes: Sendable, Equatable {
    /// Nanoseconds from the run's start.
    package private(set) var nanoseconds: [Int64] = []
    /// Where the server says no number it is 1.
    package private(set) var tokens: [UInt16] = []

    package init() {}

    package var count: Int { nanoseconds.count }
    package var first: Duration? { nanoseconds.first.map { .nanoseconds($0) } }
    package var second: Duration? { nanoseconds.count > 1 ? .nanoseconds(nanoseconds[1]) : nil }
    package var last: Duration? { nanoseconds.last.map { .nanoseconds($0) } }

    package mutating func append(at time: Duration, tokens count: Int) {
        let parts = time.components
        append(nanoseconds: parts.seconds * 1_000_000_000 + parts.attoseconds / 1_000_000_000, tokens: count)
    }

    package mutating func append(nanoseconds time: Int64, tokens count: Int) {
        nanoseconds.append(time)
        tokens.append(UInt16(clamping: count))
    }
}

/// The response extension `ferry`, as far as figures are made of it.
package struct ServerReport: Sendable, Equatable {
    package var queue: Duration = .zero
    package var prefill: Duration = .zero
    package var firstToken: Duration?
    package var secondToken: Duration?
    package var decode: Duration = .zero
    package var prefillWorker = ""
    package var decodeWorker = ""
    package var attempts = 1
    package var transfer: Transfer?

    package init() {}

    /// How the KV went from the prefilling to the decoding worker.
    package struct Transfer: Sendable, Equatable {
        package var profile = ""
        package var rawBytes = 0
        package var sentBytes = 0
        package var wire: Duration = .zero
        package var exposed: Duration = .zero
        package var wait: Duration = .zero

        package init() {}
    }
}
