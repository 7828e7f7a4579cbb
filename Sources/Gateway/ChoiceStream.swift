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
    /// What of the prompt's text is not yet taken. It goes before the answer, and shares the prompt's memory with other choices.
    private var echo: Substring.UnicodeScalarView
    /// Not yet taken. While a slow client is paused it grows, up to the gateway's bound.
    private var pending = ChoiceDelta()
    package private(set) var finish: ChoiceFinish?
    /// Tokens that belong to the answer, the end token included.
    package private(set) var generated = 0

    /// - Parameter echo: text that goes before the answer's own; stop strings are not looked for in it.
    package init(stops: [String], includesStop: Bool, minTokens: Int, keepsTokens: Bool, echo: String = "") {
        self.echo = echo[...].unicodeScalars
        self.matcher = StopMatcher(stops, includesStop: includesStop)
        self.minTokens = minTokens
        self.keepsTokens = keepsTokens
    }

    package var isFinished: Bool { finish != nil }
    /// About how many bytes of the answer wait to be taken: the text, and what its tokens and log probabilities will be written as.
    /// An echo does not count, it takes no memory of its own.
    package var pendingBytes: Int {
        pending.text.utf8.count + pending.tokens.count * 6 + pending.reports.reduce(0) { $0 + ($1.alternatives.count + 1) * 64 }
    }

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

    /// What can be sent now, a chunk at a time; nil when there is no more. Tokens without visible text wait for some, or for the end.
    ///
    /// - Parameter limit: bytes of text that a chunk has at most; a chunk has a 64th as many log probabilities and half as many token
    ///   ids, which are longer when written. Nil: everything.
    package mutating func take(atMost limit: Int? = nil) -> ChoiceDelta? {
        if !echo.isEmpty {
            var part = ChoiceDelta()
            let text = echo.prefix(throughUTF8: limit ?? .max)
            part.text = String(text)
            echo = echo[text.endIndex...]
            return part
        }
        guard !pending.text.isEmpty || (finish != nil && !pending.isEmpty) else { return nil }
        guard let limit, pending.text.utf8.count > limit || pending.reports.count > limit / 64 || pending.tokens.count > limit / 2 else {
            defer { pending = ChoiceDelta() }
            return pending
        }
        var part = ChoiceDelta()
        part.text = String(pending.text[...].unicodeScalars.prefix(throughUTF8: limit))
        pending.text.unicodeScalars.removeFirst(part.text.unicodeScalars.count)
        part.reports = Array(pending.reports.prefix(limit / 64))
        pending.reports.removeFirst(part.reports.count)
        part.tokens = Array(pending.tokens.prefix(limit / 2))
        pending.tokens.removeFirst(part.tokens.count)
        return part
    }
}

extension Substring.UnicodeScalarView {
    /// Whole scalars of at most `limit` bytes of UTF-8, at least one.
    fileprivate func prefix(throughUTF8 limit: Int) -> Substring.UnicodeScalarView {
        var count = 0
        var end = startIndex
        while end < endIndex {
            count += UTF8.width(self[end])
            if count > limit, end > startIndex { break }
            formIndex(after: &end)
        }
        return self[..<end]
    }
}
