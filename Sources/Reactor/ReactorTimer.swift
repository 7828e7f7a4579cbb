internal import CLibUV

/// Calls a body once or repeatedly on its reactor. Reactor thread only; must be closed.
///
/// For a handful of timers each with its own purpose. Thousands of timeouts share one repeating timer that looks at deadlines.
@safe
package final class ReactorTimer {
    private let reactor: Reactor
    private let handle: UnsafeMutablePointer<uv_timer_t>
    private var body: (() -> Void)?
    private var isOpen = true

    /// Starts at once. Resolution is a millisecond; a body never runs before this returns, even after zero.
    ///
    /// - Parameter repeating: the interval of further calls (at least 1 ms); without one the body is called once.
    package init(on reactor: Reactor, after delay: Duration, repeating interval: Duration? = nil, body: @escaping () -> Void) {
        reactor.requireThread()
        self.reactor = reactor
        self.body = body
        unsafe handle = .allocate(capacity: 1)
        // Cannot fail: these calls only fill in the structure.
        unsafe _ = uv_timer_init(reactor.loop, handle)
        unsafe handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
        reactor.didOpen("timer")
        restart(after: delay, repeating: interval)
    }

    deinit { precondition(!isOpen, "a timer went away without being closed") }

    /// Forgets the current schedule and begins another. A closed timer stays silent.
    package func restart(after delay: Duration, repeating interval: Duration? = nil) {
        guard isOpen else { return }
        unsafe uv_update_time(reactor.loop)
        // EINVAL only for a closing handle or a missing callback.
        unsafe _ = uv_timer_start(handle, timerFired, milliseconds(delay), interval.map { max(1, milliseconds($0)) } ?? 0)
    }

    /// Silences the timer until `restart`.
    package func stop() {
        guard isOpen else { return }
        unsafe _ = uv_timer_stop(handle)
    }

    /// Ends the timer for good and lets go of the body. Idempotent; allowed inside the body.
    package func close() {
        reactor.requireThread()
        guard isOpen else { return }
        isOpen = false
        body = nil
        reactor.didClose("timer")
        unsafe uv_close(UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_handle_t.self), timerClosed)
    }

    fileprivate func fire() { body?() }

    fileprivate func free() { unsafe handle.deallocate() }
}

private func milliseconds(_ duration: Duration) -> UInt64 {
    let (seconds, attoseconds) = max(duration, .zero).components
    return UInt64(seconds) * 1000 + UInt64((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
}

@c private func timerFired(_ handle: UnsafeMutablePointer<uv_timer_t>?) {
    unsafe Unmanaged<ReactorTimer>.fromOpaque(handle!.pointee.data).takeUnretainedValue().fire()
}

@c private func timerClosed(_ handle: UnsafeMutablePointer<uv_handle_t>?) {
    unsafe Unmanaged<ReactorTimer>.fromOpaque(handle!.pointee.data).takeRetainedValue().free()
}
