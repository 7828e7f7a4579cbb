/// Decides whether a call asks the helpers at all.
///
/// On a machine with more runnable threads than cores, a helper is sooner or later descheduled in the middle of its chunk, and the
/// caller waits for milliseconds while it could have done all of the work alone. Helpers that made the caller wait too long are
/// therefore left out for a while, for longer each time it happens again, and trusted again as calls go well. Times are nanoseconds.
package struct HelperTrust: Sendable, Equatable {
    /// Until when calls are made alone.
    private var alone: UInt64 = 0
    /// How long calls are made alone after the next stall.
    private var penalty = Self.leastPenalty
    /// Calls with helpers since the last stall.
    private var good = 0

    /// A wait for a descheduled thread takes some 3...8 ms (the scheduler's slices); twice that loses little when it was an accident.
    private static let leastPenalty: UInt64 = 16_000_000
    /// Then the helpers get another chance: a stall a second costs less than one percent.
    private static let greatestPenalty: UInt64 = 1_024_000_000
    /// Good calls (a decoding step of 30 layers has about 150) after which the penalty is halved.
    private static let goodCalls = 128

    package init() {}

    /// Whether a call that begins at `now` goes to the helpers too.
    package func calls(at now: UInt64) -> Bool { now >= alone }

    /// A call with helpers ended at `now`. The caller waited for them for `wait` after `work` of its own.
    package mutating func endCall(at now: UInt64, work: UInt64, wait: UInt64) {
        // A wait is measured against the work: where a thread that has a moment's work, such as a reactor's, takes a core from a helper, the
        // call is slower than it might be, but not slower than alone. 0.3 ms is longer than any chunk of a short call.
        if wait > 300_000 && wait > 3 * work {
            alone = now + penalty
            penalty = min(penalty * 2, Self.greatestPenalty)
            good = 0
        } else {
            good += 1
            if good >= Self.goodCalls {
                penalty = max(penalty / 2, Self.leastPenalty)
                good = 0
            }
        }
    }
}
