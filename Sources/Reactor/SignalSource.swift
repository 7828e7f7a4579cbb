internal import CLibUV
internal import Glibc

/// A signal that a daemon reacts to.
package enum Signal: Sendable, CaseIterable {
    case terminate, interrupt, hangup, user1, user2

    var number: Int32 {
        switch self {
        case .terminate: SIGTERM
        case .interrupt: SIGINT
        case .hangup: SIGHUP
        case .user1: SIGUSR1
        case .user2: SIGUSR2
        }
    }
}

/// Calls a body on its reactor whenever the process receives one signal, instead of the signal's default effect.
/// Reactor thread only; must be closed. Signals that arrive close together may be reported once.
@safe
package final class SignalSource {
    private let reactor: Reactor
    private let handle: UnsafeMutablePointer<uv_signal_t>
    private var body: (() -> Void)?
    private var isOpen = true

    /// - Throws: `UVError` when the system has no descriptors for the signal pipe.
    package init(_ signal: Signal, on reactor: Reactor, body: @escaping () -> Void) throws(UVError) {
        reactor.requireThread()
        self.reactor = reactor
        self.body = body
        unsafe handle = .allocate(capacity: 1)
        let status = unsafe uv_signal_init(reactor.loop, handle)
        guard status == 0 else {
            unsafe handle.deallocate()
            isOpen = false
            throw UVError(status, "watch the signal \(signal)")
        }
        unsafe handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
        reactor.didOpen("signal source")
        let started = unsafe uv_signal_start(handle, signalArrived, signal.number)
        if started != 0 {
            close()
            throw UVError(started, "watch the signal \(signal)")
        }
    }

    deinit { precondition(!isOpen, "a signal source went away without being closed") }

    /// Restores the signal's earlier effect. Idempotent; allowed inside the body.
    package func close() {
        reactor.requireThread()
        guard isOpen else { return }
        isOpen = false
        body = nil
        reactor.didClose("signal source")
        unsafe uv_close(UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_handle_t.self), signalSourceClosed)
    }

    fileprivate func arrived() { body?() }

    fileprivate func free() { unsafe handle.deallocate() }
}

@c private func signalArrived(_ handle: UnsafeMutablePointer<uv_signal_t>?, _ number: Int32) {
    unsafe Unmanaged<SignalSource>.fromOpaque(handle!.pointee.data).takeUnretainedValue().arrived()
}

@c private func signalSourceClosed(_ handle: UnsafeMutablePointer<uv_handle_t>?) {
    unsafe Unmanaged<SignalSource>.fromOpaque(handle!.pointee.data).takeRetainedValue().free()
}
