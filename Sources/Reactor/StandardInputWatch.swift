internal import CLibUV
internal import Glibc

/// Calls a body once when this process's standard input is at its end: for a supervised process, when its parent is gone.
/// What comes before the end is read and forgotten. Reactor thread only; must be closed.
@safe
package final class StandardInputWatch {
    private let reactor: Reactor
    private let descriptor: Int32
    private let handle: UnsafeMutablePointer<uv_poll_t>
    private var body: (() -> Void)?
    private var isOpen = true

    /// - Parameter descriptor: another one in standard input's place, for tests; it stays the caller's.
    /// - Throws: `UVError` when standard input is nothing that can be waited for, such as a file.
    package init(descriptor: Int32 = 0, on reactor: Reactor, body: @escaping () -> Void) throws(UVError) {
        reactor.requireThread()
        self.reactor = reactor
        self.descriptor = descriptor
        self.body = body
        unsafe handle = .allocate(capacity: 1)
        // Makes the descriptor non-blocking.
        let status = unsafe uv_poll_init(reactor.loop, handle, descriptor)
        guard status == 0 else {
            unsafe handle.deallocate()
            isOpen = false
            throw UVError(status, "watch standard input, which must be a pipe, a socket or a terminal")
        }
        unsafe handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
        reactor.didOpen("standard input watch")
        let started = unsafe uv_poll_start(handle, Int32(UV_READABLE.rawValue | UV_DISCONNECT.rawValue), inputIsReadable)
        if started != 0 {
            close()
            throw UVError(started, "watch standard input")
        }
    }

    deinit { precondition(!isOpen, "a standard input watch went away without being closed") }

    /// Idempotent; allowed inside the body.
    package func close() {
        reactor.requireThread()
        guard isOpen else { return }
        isOpen = false
        body = nil
        reactor.didClose("standard input watch")
        unsafe uv_close(UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_handle_t.self), inputWatchClosed)
    }

    /// One piece a turn: the loop comes again while there is more.
    fileprivate func readable() {
        let count = unsafe withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { buffer in
            unsafe read(descriptor, buffer.baseAddress, buffer.count)
        }
        if count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR)) { return }
        // The end, or an error, after which nothing comes either.
        unsafe _ = uv_poll_stop(handle)
        let tell = body
        body = nil
        tell?()
    }

    fileprivate func free() { unsafe handle.deallocate() }
}

@c private func inputIsReadable(_ handle: UnsafeMutablePointer<uv_poll_t>?, _ status: Int32, _ events: Int32) {
    unsafe Unmanaged<StandardInputWatch>.fromOpaque(handle!.pointee.data).takeUnretainedValue().readable()
}

@c private func inputWatchClosed(_ handle: UnsafeMutablePointer<uv_handle_t>?) {
    unsafe Unmanaged<StandardInputWatch>.fromOpaque(handle!.pointee.data).takeRetainedValue().free()
}
