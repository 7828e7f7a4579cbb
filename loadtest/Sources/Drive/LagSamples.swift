internal import Platform

/// Latenesses of a run, at most a million of them: beyond, each sample that came has the same chance to be among those kept (reservoir
/// sampling, Vitter's algorithm R).
struct LagSamples {
    let limit: Int
    private(set) var nanoseconds: [Int64] = []
    private(set) var seen = 0
    private var worst: Duration = .zero
    private var state: UInt64 = 0x9E37_79B9_7F4A_7C15

    init(limit: Int = 1_000_000) { self.limit = limit }

    mutating func record(_ lateness: Duration) {
        let value = max(0, lateness.inNanoseconds)
        seen += 1
        worst = max(worst, lateness)
        if nanoseconds.count < limit { return nanoseconds.append(value) }
        let place = Int(random() % UInt64(seen))
        if place < limit { nanoseconds[place] = value }
    }

    /// The greatest since it was last asked for.
    mutating func recentWorst() -> Duration {
        defer { worst = .zero }
        return worst
    }

    /// xorshift64*.
    private mutating func random() -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 0x2545_F491_4F6C_DD1D
    }
}

/// The probe: a timer that should run at every interval. Each interval that passed without it counts with its own lateness, so that one long
/// delay is as many samples as it deserves.
struct LagProbe {
    let interval: Duration
    private var next: Duration

    init(from start: Duration, every interval: Duration) {
        self.interval = interval
        next = start + interval
    }

    var firstDue: Duration { next }

    mutating func ran(at now: Duration, into samples: inout LagSamples) {
        while next <= now {
            samples.record(now - next)
            next += interval
        }
    }
}
