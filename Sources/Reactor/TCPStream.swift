internal import CLibUV
internal import Glibc

/// A connected TCP or Unix socket on a reactor.
///
/// Reads go through the reactor's one buffer straight to the receiver. Writes are gathered in the turn, tried with one vectored
/// call at its end, and what the socket does not take then follows as it becomes writable.
@safe
package final class TCPStream: ByteStream, TurnEndParticipant, NextTurnParticipant {
    /// connecting → open → closing → closed; connecting → closing. Only `closed` lets go of the memory.
    private enum State { case connecting, open, closing, closed }

    package let reactor: Reactor
    package var receiver: (any ByteStreamReceiver)?
    package private(set) var peer: Endpoint?
    package var negotiatedProtocol: String? { nil }
    package var isEncrypted: Bool { false }
    package var drainMark = 64 << 10
    package private(set) var bytesReceived: UInt64 = 0
    package private(set) var bytesSent: UInt64 = 0

    /// What a write that waits for room takes with it when much is waiting: a page.
    private static let leastRequest = 4 << 10

    private let isUnix: Bool
    /// A `uv_tcp_t` or `uv_pipe_t`; both begin with a `uv_stream_t`, which begins with a `uv_handle_t`.
    private let memory: UnsafeMutableRawPointer
    private var state: State
    private var reason = StreamEnd.closed
    private var queue = OutputQueue()
    private var inFlight: WriteRequest?
    private var wantsReading = false
    private var isReading = false
    private var wantsFinish = false
    private var hasFinished = false
    private var isFinishing = false
    private var closesWhenFinished = false
    private var isInTurnEnd = false
    private var owesDrain = false
    /// Told of the outcome of connecting; nil once told, or for accepted streams.
    private var connected: ((Result<TCPStream, UVError>) -> Void)?

    init(on reactor: Reactor, unix: Bool, connected: ((Result<TCPStream, UVError>) -> Void)? = nil) {
        reactor.requireThread()
        self.reactor = reactor
        self.isUnix = unix
        self.connected = connected
        self.state = connected == nil ? .open : .connecting
        unsafe memory = .allocate(byteCount: uv_handle_size(unix ? UV_NAMED_PIPE : UV_TCP), alignment: 16)
        // Neither can fail: without an address family no socket is made yet.
        if unix {
            unsafe _ = uv_pipe_init(reactor.loop, memory.assumingMemoryBound(to: uv_pipe_t.self), 0)
        } else {
            unsafe _ = uv_tcp_init(reactor.loop, tcp)
        }
        unsafe handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
        reactor.didOpen("stream")
    }

    deinit { precondition(state == .closed, "a stream to \(name) went away while \(state)") }

    var tcp: UnsafeMutablePointer<uv_tcp_t> { unsafe memory.assumingMemoryBound(to: uv_tcp_t.self) }
    var pipe: UnsafeMutablePointer<uv_pipe_t> { unsafe memory.assumingMemoryBound(to: uv_pipe_t.self) }
    var stream: UnsafeMutablePointer<uv_stream_t> { unsafe memory.assumingMemoryBound(to: uv_stream_t.self) }
    private var handle: UnsafeMutablePointer<uv_handle_t> { unsafe memory.assumingMemoryBound(to: uv_handle_t.self) }

    private var name: String { peer.map(\.description) ?? "a nameless peer" }

    package var isOpen: Bool { state == .open || state == .connecting }

    /// The socket's descriptor, which the stream keeps owning; nil for Unix sockets.
    var descriptor: Int32? {
        guard !isUnix else { return nil }
        var descriptor: Int32 = -1
        // EBADF while no socket has been made or after closing.
        return unsafe uv_fileno(handle, &descriptor) == 0 ? descriptor : nil
    }

    // MARK: Writing

    package var queuedBytes: Int { queue.count + (inFlight?.count ?? 0) }

    package func write(_ bytes: RawSpan) {
        guard mayWrite() else { return }
        queue.append(bytes)
    }

    package func write(_ bytes: consuming [UInt8]) {
        guard mayWrite() else { return }
        queue.append(bytes)
    }

    package func write(_ bytes: [UInt8], _ range: Range<Int>) {
        guard mayWrite() else { return }
        queue.append(bytes, range)
    }

    package func finishWriting() {
        reactor.requireThread()
        guard isOpen, !wantsFinish else { return }
        wantsFinish = true
        flushLater()
    }

    package func closeWhenWritten() {
        closesWhenFinished = true
        finishWriting()
        // The end of our direction may have been told already.
        if hasFinished, !isFinishing { close() }
    }

    private func mayWrite() -> Bool {
        reactor.requireThread()
        guard isOpen else { return false }
        precondition(!wantsFinish, "writing to a stream after finishWriting()")
        flushLater()
        return true
    }

    private func flushLater() {
        guard !isInTurnEnd else { return }
        isInTurnEnd = true
        reactor.atTurnEnd(self)
    }

    package func turnEnds() {
        isInTurnEnd = false
        let wasLong = queuedBytes > drainMark
        flush()
        guard wasLong, state == .open else { return }
        owesDrain = true
        // All taken at once: told on the next turn, so that a producer and a fast peer do not keep the turn for themselves.
        if inFlight == nil { reactor.onNextTurn(self) }
    }

    package func nextTurnBegins() { tellDrained() }

    private func tellDrained() {
        guard owesDrain, queuedBytes <= drainMark, state == .open else { return }
        owesDrain = false
        receiver?.streamDidDrain(self)
    }

    /// Writes what the socket takes now, for a last word before closing.
    func flushNow() { flush() }

    /// Gives the system what it takes now; the rest follows from the request's callback.
    private func flush() {
        guard state == .open else { return }
        while inFlight == nil, !queue.isEmpty {
            let status = unsafe queue.withVectors { unsafe uv_try_write(stream, $0.baseAddress, UInt32($0.count)) }
            if status > 0 {
                bytesSent += UInt64(status)
                queue.drop(Int(status))
            } else if status == 0 || status == UV_EAGAIN.rawValue {
                startRequest()
            } else {
                // EPIPE, ECONNRESET, ETIMEDOUT and their like: the peer or the path is gone.
                return fail(status, "write to")
            }
        }
        if queuedBytes == 0, wantsFinish, !hasFinished { sendFinish() }
    }

    private func startRequest() {
        let request = reactor.spareWrites.popLast() ?? WriteRequest()
        // It waits for the socket to have room again; what is sent with it is copied, what follows is not.
        let length = queue.count > WriteRequest.capacity ? Self.leastRequest : WriteRequest.capacity
        request.count = unsafe queue.take(into: UnsafeMutableRawBufferPointer(rebasing: request.bytes[..<length]))
        unsafe request.request.pointee.data = Unmanaged.passUnretained(self).toOpaque()
        inFlight = request
        var vector = unsafe uv_buf_t(base: request.bytes.baseAddress!.assumingMemoryBound(to: CChar.self), len: request.count)
        // Fails only for a handle without a descriptor, which an open stream is not. The handle holds `self` until the callback.
        let status = unsafe uv_write(request.request, stream, &vector, 1, streamWrote)
        precondition(status == 0, "uv_write on an open stream: \(UVError.Code(rawValue: status).name)")
    }

    fileprivate func didWrite(_ status: Int32) {
        guard let request = inFlight else { preconditionFailure("a write completed that was not in flight") }
        inFlight = nil
        if status == 0 { bytesSent += UInt64(request.count) }
        if reactor.spareWrites.count < WriteRequest.spareLimit { reactor.spareWrites.append(request) }
        guard state == .open else { return }
        // ECANCELED belongs to closing, which the guard has caught.
        if status < 0 { return fail(status, "write to") }
        flush()
        tellDrained()
    }

    private func sendFinish() {
        hasFinished = true
        isFinishing = true
        let request = UnsafeMutablePointer<uv_shutdown_t>.allocate(capacity: 1)
        unsafe request.pointee.data = Unmanaged.passUnretained(self).toOpaque()
        // ENOTCONN when the peer has reset in the meantime: reading reports that.
        let status = unsafe uv_shutdown(request, stream, streamFinished)
        if status != 0 {
            unsafe request.deallocate()
            didFinish()
        }
    }

    fileprivate func didFinish() {
        isFinishing = false
        if closesWhenFinished { close() }
    }

    // MARK: Reading

    package func resumeReading() {
        reactor.requireThread()
        wantsReading = true
        startReading()
    }

    package func pauseReading() {
        reactor.requireThread()
        wantsReading = false
        guard state == .open, isReading else { return }
        isReading = false
        unsafe _ = uv_read_stop(stream)
    }

    private func startReading() {
        guard state == .open, wantsReading, !isReading else { return }
        isReading = true
        // ENOTCONN when the socket is already dead; report it as any other failure, on a later turn.
        let status = unsafe uv_read_start(stream, streamNeedsBuffer, streamRead)
        if status != 0 { fail(status, "read from") }
    }

    fileprivate func didRead(_ count: Int) {
        guard state == .open, let receiver else { return }
        if count > 0 {
            bytesReceived += UInt64(count)
            receiver.stream(self, didReceive: unsafe UnsafeRawBufferPointer(rebasing: reactor.readBuffer[..<count]).bytes)
        } else if count == Int(UV_EOF.rawValue) {
            isReading = false
            wantsReading = false
            unsafe _ = uv_read_stop(stream)
            receiver.streamDidReachEnd(self)
        } else if count < 0 {
            fail(Int32(count), "read from")
        }
    }

    // MARK: Beginning

    /// Configures an accepted or connected socket and lets what was asked for in the meantime begin.
    func begin() {
        state = .open
        if !isUnix {
            // These set socket options and fail only on a socket that is already dead, which reading then reports.
            unsafe _ = uv_tcp_nodelay(tcp, 1)
            unsafe _ = uv_tcp_keepalive(tcp, 1, 60)
            var storage = sockaddr_storage()
            var length = Int32(MemoryLayout<sockaddr_storage>.size)
            let status = unsafe withUnsafeMutableBytes(of: &storage) { bytes in
                unsafe uv_tcp_getpeername(tcp, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length)
            }
            if status == 0 { peer = Endpoint(storage) }
        }
        startReading()
        flushLater()
    }

    func setPeer(_ endpoint: Endpoint) { peer = endpoint }

    func didConnect(_ status: Int32, _ attempt: String) {
        guard state == .connecting else { return }
        if status != 0 {
            reason = .failed(UVError(status, attempt))
            return close()
        }
        begin()
        let tell = connected
        connected = nil
        tell?(.success(self))
    }

    // MARK: Ending

    package func close() { close(reason) }

    package func close(_ reason: StreamEnd) {
        reactor.requireThread()
        guard isOpen else { return }
        self.reason = reason
        state = .closing
        queue.removeAll()
        reactor.didClose("stream")
        unsafe uv_close(handle, streamClosed)
    }

    /// Ends the stream now with a reset (RST) instead of an end (FIN): what a peer sees of a program that died. Over a Unix socket as
    /// `close()`. Idempotent.
    package func reset() {
        reactor.requireThread()
        guard isOpen else { return }
        state = .closing
        queue.removeAll()
        reactor.didClose("stream")
        // EINVAL while our direction is being ended.
        if !isUnix, unsafe uv_tcp_close_reset(tcp, streamClosed) == 0 { return }
        unsafe uv_close(handle, streamClosed)
    }

    private func fail(_ status: Int32, _ verb: String) {
        close(.failed(UVError(status, "\(verb) \(name)")))
    }

    fileprivate func didClose() {
        state = .closed
        unsafe memory.deallocate()
        if let tell = connected {
            connected = nil
            receiver = nil
            if case .failed(let error) = reason { return tell(.failure(error)) }
            return tell(.failure(UVError(.canceled, attempt: "connect to \(name)")))
        }
        let last = receiver
        receiver = nil
        last?.streamDidClose(self, reason)
    }
}

private func stream(_ handle: UnsafeMutableRawPointer?) -> TCPStream {
    unsafe Unmanaged<TCPStream>.fromOpaque(handle!).takeUnretainedValue()
}

@c private func streamNeedsBuffer(
    _ handle: UnsafeMutablePointer<uv_handle_t>?, _ suggested: Int, _ buffer: UnsafeMutablePointer<uv_buf_t>?
) {
    let memory = unsafe stream(handle!.pointee.data).reactor.readBuffer
    unsafe buffer!.pointee = uv_buf_t(base: memory.baseAddress!.assumingMemoryBound(to: CChar.self), len: memory.count)
}

@c private func streamRead(
    _ handle: UnsafeMutablePointer<uv_stream_t>?, _ count: Int, _ buffer: UnsafePointer<uv_buf_t>?
) {
    unsafe stream(handle!.pointee.data).didRead(count)
}

@c private func streamWrote(_ request: UnsafeMutablePointer<uv_write_t>?, _ status: Int32) {
    unsafe stream(request!.pointee.data).didWrite(status)
}

@c private func streamFinished(_ request: UnsafeMutablePointer<uv_shutdown_t>?, _ status: Int32) {
    let finished = unsafe stream(request!.pointee.data)
    unsafe request!.deallocate()
    finished.didFinish()
}

@c private func streamClosed(_ handle: UnsafeMutablePointer<uv_handle_t>?) {
    unsafe Unmanaged<TCPStream>.fromOpaque(handle!.pointee.data).takeRetainedValue().didClose()
}
