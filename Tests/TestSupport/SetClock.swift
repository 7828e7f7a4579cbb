package import Platform
internal import Synchronization

/// A clock that a test sets.
package final class SetClock: MonotonicClock {
    private let nanoseconds = Atomic<UInt64>(0)

    package init() {}

    package var now: MonotonicInstant { MonotonicInstant(nanoseconds: nanoseconds.load(ordering: .relaxed)) }

    package func set(seconds: UInt64) { nanoseconds.store(seconds * 1_000_000_000, ordering: .relaxed) }
}
