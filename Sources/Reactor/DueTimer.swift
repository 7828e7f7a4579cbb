internal import CLibUV
internal import Glibc
package import Platform

/// Calls a body on its reactor at a point of the monotonic clock, as exactly as the system wakes a thread (tens of microseconds):
/// `ReactorTimer` knows milliseconds only. Reactor thread only; must be closed.
@safe
package final class DueTimer {
    private let reactor: Reactor
    private let descriptor: Int32
    private let handle: UnsafeMutablePointer<uv_poll_t>
    private var body: (() -> Void)?
    private var isOpen = true

    /// Silent until `set`. The body is never called from within a call to the timer.
    ///
    /// - Throws: `UVError` when the system has no descriptors.
    package init(on reactor: Reactor, body: @escaping () -> Void) throws(UVError) {
        reactor.requireThread()
        self.reactor = reactor
        self.body = body
        descriptor = timerfd_create(CLOCK_MONOTONIC, Int32(TFD_NONBLOCK | TFD_CLOEXEC))
        unsafe handle = .allocate(capacity: 1)
        guard descriptor >= 0 else {
            unsafe handle.deallocate()
            isOpen = false
            throw UVError(-errno, "make a timer")
        }
        // Cannot fail for a descriptor that epoll takes and that is non-blocking already.
        unsafe _ = uv_poll_init(reactor.loop, handle, descriptor)
        unsafe handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
        reactor.didOpen("due timer")
        unsafe _ = uv_poll_start(handle, Int32(UV_READABLE.rawValue), dueTimerFired)
    }

    deinit { precondition(!isOpen, "a due timer went away without being closed") }

    /// Calls the body once at `instant`, or soon when that is over; nil: not at all. What was set before is forgotten.
    package func set(_ instant: MonotonicInstant?) {
        // Zero would silence the timer.
        arm(instant.map { max($0.nanoseconds, 1) } ?? 0, every: 0)
    }

    /// Calls the body at `first` and then every `interval`; what fell into one delay is one call.
    package func set(_ first: MonotonicInstant, every interval: Duration) {
        precondition(interval > .zero, "an interval of \(interval)")
        arm(max(first.nanoseconds, 1), every: UInt64(interval.inNanoseconds))
    }

    private func arm(_ first: UInt64, every interval: UInt64) {
        reactor.requireThread()
        guard isOpen else { return }
        var times = itimerspec(it_interval: timespec(nanoseconds: interval), it_value: timespec(nanoseconds: first))
        // EINVAL only for nanoseconds beyond a second.
        let status = unsafe timerfd_settime(descriptor, Int32(TFD_TIMER_ABSTIME), &times, nil)
        precondition(status == 0, "timerfd_settime: \(errno)")
    }

    /// Ends the timer for good and lets go of the body. Idempotent; allowed inside the body.
    package func close() {
        reactor.requireThread()
        guard isOpen else { return }
        isOpen = false
        body = nil
        reactor.didClose("due timer")
        unsafe uv_close(UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_handle_t.self), dueTimerClosed)
    }

    fileprivate func fire() {
        var count: UInt64 = 0
        // EAGAIN: set anew in the same turn in which it fired.
        guard unsafe read(descriptor, &count, 8) == 8 else { return }
        body?()
    }

    fileprivate func free() {
        Glibc.close(descriptor)
        unsafe handle.deallocate()
    }
}

extension timespec {
    fileprivate init(nanoseconds: UInt64) {
        self.init(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    }
}

@c private func dueTimerFired(_ handle: UnsafeMutablePointer<uv_poll_t>?, _ status: Int32, _ events: Int32) {
    unsafe Unmanaged<DueTimer>.fromOpaque(handle!.pointee.data).takeUnretainedValue().fire()
}

@c private func dueTimerClosed(_ handle: UnsafeMutablePointer<uv_handle_t>?) {
    unsafe Unmanaged<DueTimer>.fromOpaque(handle!.pointee.data).takeRetainedValue().free()
}
