internal import Glibc

/// A point in time on the machine's monotonic clock, in nanoseconds since an arbitrary start. Comparable within one machine.
package struct MonotonicInstant: Hashable, Comparable, Sendable {
    package var nanoseconds: UInt64

    package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    package static func < (a: Self, b: Self) -> Bool { a.nanoseconds < b.nanoseconds }

    /// Time from `earlier` to `self`; zero when `earlier` is later.
    package func since(_ earlier: Self) -> Duration {
        self <= earlier ? .zero : .nanoseconds(Int64(clamping: nanoseconds - earlier.nanoseconds))
    }

    package func advanced(by duration: Duration) -> Self {
        let (seconds, attoseconds) = duration.components
        let delta = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
        return Self(nanoseconds: delta >= 0 ? nanoseconds &+ UInt64(delta) : nanoseconds - min(nanoseconds, UInt64(-delta)))
    }
}

/// The port through which time is read, so that tests own it.
package protocol MonotonicClock: Sendable {
    var now: MonotonicInstant { get }
}

/// CLOCK_MONOTONIC. About 20 ns a reading.
package struct SystemClock: MonotonicClock {
    package init() {}

    package var now: MonotonicInstant {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicInstant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }
}

/// CLOCK_THREAD_CPUTIME_ID: processor time of the calling thread, which other work on the machine does not move. A system call.
package struct ThreadClock: MonotonicClock {
    package init() {}

    package var now: MonotonicInstant {
        var time = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return MonotonicInstant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }
}

/// CLOCK_PROCESS_CPUTIME_ID: processor time of all threads of this process, in the system's calls as well. A system call.
package struct ProcessClock: MonotonicClock {
    package init() {}

    package var now: MonotonicInstant {
        var time = timespec()
        unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return MonotonicInstant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }
}

extension Duration {
    /// Whole and fractional seconds.
    package var inSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }

    /// Whole nanoseconds; at most 292 years, beyond which it is that.
    package var inNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, isFar) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, isBeyond) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        return isFar || isBeyond ? (seconds < 0 ? .min : .max) : sum
    }

    package var inMilliseconds: Double { inSeconds * 1e3 }
}
