/// The bounds of fetching, and what happens at each.
package struct FetchLimits: Sendable {
    /// How often leases are renewed, in one message per peer, from the moment the engine announces a transfer.
    package var renewal: Duration = .seconds(5)
    /// From the announcement of a transfer to the order to fetch it. Beyond: it has failed. Two workers that are full of what each has
    /// announced to the other would wait for ever otherwise.
    package var announcement: Duration = .seconds(60)
    /// Streams opened for one transfer: the first, and after each break another from the last whole block. Beyond: it has failed, and the
    /// engine computes the rest itself. As many attempts in a row to reach a peer fail what is wanted from it.
    package var connections = 3
    /// Without a block on a stream. Beyond: it counts as broken. A healthy sender may be busy with a long prompt that is before this one; one
    /// that hangs is noticed by the gateway sooner. As long without a stream at all, because the peer takes no more of them: the transfer
    /// has failed.
    package var stall: Duration = .seconds(60)
    /// Before another attempt to reach a peer, each failure doubling it up to 16 times.
    package var retryAfter: Duration = .milliseconds(250)

    package init() {}

    /// The same, with renewals often enough for leases of this length: some of them may be lost.
    func renewing(leases duration: Duration) -> FetchLimits {
        var limits = self
        limits.renewal = min(renewal, duration / 4)
        return limits
    }
}
