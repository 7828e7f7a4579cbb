package import Inference

/// Why a choice is over, as the response says it.
package enum ChoiceFinish: Sendable, Equatable {
    /// The model's end token, or one that the request named, or a stop string.
    case end
    case stopToken(TokenID)
    case stopString(String)
    case length

    /// The value of `finish_reason`; typed clients accept no other words.
    package var reason: String { if case .length = self { "length" } else { "stop" } }
}

/// A token with its log probability, as text.
package struct TokenReport: Sendable, Equatable {
    package struct Alternative: Sendable, Equatable {
        package var text: String
        package var bytes: [UInt8]
        package var logprob: Float

        package init(text: String, bytes: [UInt8], logprob: Float) {
            self.text = text
            self.bytes = bytes
            self.logprob = logprob
        }
    }

    package var token: Alternative
    /// Best first.
    package var alternatives: [Alternative]

    package init(token: Alternative, alternatives: [Alternative] = []) {
        self.token = token
        self.alternatives = alternatives
    }
}

/// What a choice has to say since it was last asked.
package struct ChoiceDelta: Sendable, Equatable {
    package var text = ""
    package var reports: [TokenReport] = []
    package var tokens: [TokenID] = []

    package init() {}

    package var isEmpty: Bool { text.isEmpty && reports.isEmpty && tokens.isEmpty }
}

/// The answer of one sequence on its way from tokens to the client: counts, stop strings, what waits to be sent, the end.
///
/// States: running → finished (a stop string matched here, or the worker's ending) . After it finished, tokens are ignored: the
/// worker may have computed one more before it heard of the end.
package struct ChoiceStream: Sendable {
    private var matcher: StopMatcher
    private let minTokens: Int
    private let keepsTokens: Bool
    /// Not yet taken. While a slow client is paused it grows, up to the gateway's bound.
    private var pending = ChoiceDelta()
    package private(set) var finish: ChoiceFinish?
    /// Tokens that belong to the answer, the end token included.
    package private(set) var generated = 0

    package init(stops: [String], includesStop: Bool, minTokens: Int, keepsTokens: Bool) {
        self.matcher = StopMatcher(stops, includesStop: includesStop)
        self.minTokens = minTokens
        self.keepsTokens = keepsTokens
    }

    package var isFinished: Bool { finish != nil }
    /// Bytes of text that wait to be taken.
    package var pendingBytes: Int { pending.text.utf8.count }

    /// One more token whose visible text is `text` (empty for an end token, or while a code point is incomplete).
    ///
    /// - Returns: true when it completed a stop string: the worker has to be told.
    package mutating func accept(_ token: TokenID, text: String, report: TokenReport? = nil) -> Bool {
        guard finish == nil else { return false }
        generated += 1
        if keepsTokens { pending.tokens.append(token) }
        if let report { pending.reports.append(report) }
        if !text.isEmpty { pending.text += matcher.push(text, searches: generated > minTokens) }
        guard let stop = matcher.matched else { return false }
        finish = .stopString(stop)
        return true
    }

    /// The worker ended the sequence; `rest` is what the detokeniser still held.
    package mutating func end(_ reason: ChoiceFinish, rest: String = "") {
        guard finish == nil else { return }
        if !rest.isEmpty { pending.text += matcher.push(rest, searches: generated > minTokens) }
        if let stop = matcher.matched {
            finish = .stopString(stop)
        } else {
            pending.text += matcher.flush()
            finish = reason
        }
    }

    /// What can be sent now; nil when there is nothing. Tokens without visible text wait for some, or for the end.
    package mutating func take() -> ChoiceDelta? {
        guard !pending.text.isEmpty || (finish != nil && !pending.isEmpty) else { return nil }
        defer { pending = ChoiceDelta() }
        return pending
    }
}
