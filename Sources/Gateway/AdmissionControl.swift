package import Platform

/// Decides who is served: a bound on sequences and a bound on prompt tokens that wait for their first answer. Pure.
package struct AdmissionControl: Sendable {
    package struct Bounds: Sendable, Equatable {
        /// Sequences admitted and not over: choices count each. Beyond: refused.
        package var sequences = 256
        /// Prompt tokens of admitted requests without a first token. Beyond: refused, but for a request that finds none waiting.
        package var queuedTokens = 262_144

        package init() {}
    }

    /// Why not, and when to come back.
    package struct Refusal: Error, Equatable, Sendable {
        package let reason: String
        package let retryAfter: Duration
    }

    package let bounds: Bounds
    package private(set) var sequences = 0
    package private(set) var queuedTokens = 0
    package private(set) var refused: UInt64 = 0
    private var completions = RateEstimator()
    private var prefill = RateEstimator()

    package init(_ bounds: Bounds = Bounds()) {
        precondition(bounds.sequences > 0 && bounds.queuedTokens > 0, "admission bounds of nothing: \(bounds)")
        self.bounds = bounds
    }

    /// Takes room for `sequences` whose prompts have about `tokens`, or says when there will be some.
    package mutating func admit(sequences wanted: Int, tokens: Int) throws(Refusal) {
        precondition(wanted > 0 && tokens >= 0, "admission of \(wanted) sequences with \(tokens) tokens")
        try checkSequences(more: wanted)
        try checkTokens(more: tokens)
        sequences += wanted
        queuedTokens += tokens
    }

    /// The estimate `old` turned out to be `new`. Refused when the difference does not fit; the old estimate then stays.
    package mutating func adjust(
        from old: (sequences: Int, tokens: Int), to new: (sequences: Int, tokens: Int)
    ) throws(Refusal) {
        if new.sequences > old.sequences { try checkSequences(more: new.sequences - old.sequences, own: old.sequences) }
        if new.tokens > old.tokens { try checkTokens(more: new.tokens - old.tokens, own: old.tokens) }
        sequences += new.sequences - old.sequences
        queuedTokens += new.tokens - old.tokens
    }

    /// A request larger than a bound is served when it is alone: refusing it would be for ever.
    private mutating func checkSequences(more: Int, own: Int = 0) throws(Refusal) {
        let others = sequences - own
        guard others == 0 || sequences + more <= bounds.sequences else {
            refused += 1
            throw Refusal(
                reason: "\(others) sequences are being served and at most \(bounds.sequences) are",
                retryAfter: completions.time(for: Double(sequences + more - bounds.sequences)))
        }
    }

    private mutating func checkTokens(more: Int, own: Int = 0) throws(Refusal) {
        let others = queuedTokens - own
        guard others == 0 || queuedTokens + more <= bounds.queuedTokens else {
            refused += 1
            throw Refusal(
                reason: "\(others) prompt tokens are waiting and at most \(bounds.queuedTokens) may",
                retryAfter: prefill.time(for: Double(queuedTokens + more - bounds.queuedTokens)))
        }
    }

    /// `tokens` got their first answer, or never will.
    package mutating func leaveQueue(tokens: Int) {
        queuedTokens -= tokens
        precondition(queuedTokens >= 0, "\(-queuedTokens) more queued tokens left than came")
    }

    package mutating func release(sequences count: Int) {
        sequences -= count
        precondition(sequences >= 0, "\(-sequences) more permits came back than were given")
    }

    /// Work begins after a time without any, which says nothing of how fast work is done.
    package mutating func workBegins(at now: MonotonicInstant) {
        completions.skip(to: now)
        prefill.skip(to: now)
    }

    /// What the service got done since it was last told, from which the time to come back follows.
    package mutating func observe(completed: Int, prefilled: Int, at now: MonotonicInstant) {
        completions.observe(Double(completed), at: now)
        prefill.observe(Double(prefilled), at: now)
    }
}

/// A rate that forgets: events per second, the older the less, by a time constant.
///
/// An observation says how many events there were since the one before, spread evenly, so that its weight is that of its time:
/// after a long one only what it says counts, but no more than the time constant does.
package struct RateEstimator: Sendable {
    /// About a minute of history decides: long enough to average over requests, short enough to follow a change of load.
    private static let timeConstant = 20.0
    private static let shortest: Duration = .milliseconds(250)
    private static let longest: Duration = .seconds(60)

    private var weight = 0.0
    private var amount = 0.0
    private var last: MonotonicInstant?

    package init() {}

    package mutating func observe(_ count: Double, at now: MonotonicInstant) {
        guard let last else { return skip(to: now) }
        let elapsed = max(0, now.since(last).inSeconds)
        skip(to: now)
        let decay = exponential(-elapsed / Self.timeConstant)
        // The integral of what is left of each of its moments.
        let remaining = Self.timeConstant * (1 - decay)
        weight = weight * decay + remaining
        // Within a millisecond nothing is forgotten, and the quotient would be one of rounding errors.
        amount = amount * decay + (elapsed > 1e-3 ? count * remaining / elapsed : count)
    }

    /// The time since the last observation is not observed.
    package mutating func skip(to now: MonotonicInstant) { last = last.map { max($0, now) } ?? now }

    /// Events per second; nil before anything was measured.
    package var rate: Double? { weight > 0 && amount > 0 ? amount / weight : nil }

    /// How long `count` events take, within bounds that make sense to a client; one second when nothing is known.
    package func time(for count: Double) -> Duration {
        guard let rate else { return .seconds(1) }
        let seconds = min(max(0, count) / rate, 3600)
        return min(max(.milliseconds(Int64((seconds * 1000).rounded())), Self.shortest), Self.longest)
    }

    /// e^x for x ≤ 0: (1 + x/1024)^1024, good to a thousandth for the few time constants that matter.
    private func exponential(_ x: Double) -> Double {
        var power = max(0, 1 + x / 1024)
        for _ in 0..<10 { power *= power }
        return power
    }
}
