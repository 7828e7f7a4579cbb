package import Platform

/// How a reactor is doing, readable from any thread.
///
/// A reactor turns at least once a second (its heartbeat), so a `lastTurn` older than a few seconds means that something blocks
/// its thread. `idleShare` near zero means that the loop itself is the bottleneck.
package struct Pulse: Sendable, Equatable {
    package var turns: UInt64
    package var lastTurn: MonotonicInstant
    package var uptime: Duration
    /// Time spent asleep, waiting for events, since the start.
    package var idle: Duration
    /// The longest stretch without going to sleep within the last one to two seconds.
    package var longestTurn: Duration

    package var idleShare: Double {
        uptime > .zero ? min(1, idle.inSeconds / uptime.inSeconds) : 1
    }
}
