internal import Platform

/// Decides when a link asks its peer for a sign of life, and when it gives it up. Told of every tick; has no clock of its own.
struct LinkWatch {
    enum Verdict: Equatable { case fine, ping, silent, stalled }

    private let limits: HTTPLinkLimits
    private var lastReceived: MonotonicInstant
    private var lastPing: MonotonicInstant
    private var received: UInt64 = 0
    private var sent: UInt64 = 0
    private var lastSent: MonotonicInstant

    init(limits: HTTPLinkLimits, now: MonotonicInstant) {
        self.limits = limits
        lastReceived = now
        lastPing = now
        lastSent = now
    }

    /// We were not running for so long ourselves: what the peer said in the meantime is still unread, so none of it counts against it.
    mutating func wasAway(_ duration: Duration) {
        lastReceived = lastReceived.advanced(by: duration)
        lastSent = lastSent.advanced(by: duration)
    }

    /// - Parameters:
    ///   - received: bytes received since the beginning.
    ///   - sent: bytes that the system took since the beginning; `waiting`: bytes that it has not taken.
    mutating func tick(now: MonotonicInstant, received: UInt64, sent: UInt64, waiting: Int) -> Verdict {
        if received != self.received {
            self.received = received
            lastReceived = now
        }
        if waiting == 0 || sent != self.sent {
            self.sent = sent
            lastSent = now
        }
        if now.since(lastReceived) >= limits.silenceLimit { return .silent }
        if now.since(lastSent) >= limits.stallTimeout { return .stalled }
        guard now.since(lastPing) >= limits.pingInterval else { return .fine }
        lastPing = now
        return .ping
    }
}
