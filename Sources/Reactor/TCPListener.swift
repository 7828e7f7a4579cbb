internal import CLibUV
internal import Glibc

/// Accepts connections on a TCP address or a Unix socket. Reactor thread only; must be closed.
@safe
package final class TCPListener {
    package let reactor: Reactor
    /// Where it listens; for port 0 the port the system chose.
    package private(set) var endpoint: Endpoint

    private let memory: UnsafeMutableRawPointer
    private let isUnix: Bool
    private var accepted: ((TCPStream) -> Void)?
    private var isOpen = true
    private var isPaused = false
    private var hasWaiting = false

    /// Listens at once; connections arrive on later turns.
    ///
    /// - Parameters:
    ///   - endpoint: a numeric address, `localhost` (127.0.0.1) or a Unix socket. A socket file that nobody answers any more is
    ///     replaced; the new one may be used by this user only (mode 0600) and is removed on closing.
    ///   - backlog: connections the system keeps waiting; beyond it, it refuses or ignores them (it caps this at somaxconn).
    ///   - accepted: gets each new stream, which must be closed by whoever takes it. Nothing is read before `resumeReading()`.
    /// - Throws: `UVError` naming the endpoint: EADDRINUSE, EACCES, EADDRNOTAVAIL, EMFILE, ENOENT (no such folder).
    package init(
        _ endpoint: Endpoint, backlog: Int = 1024, on reactor: Reactor, accepted: @escaping (TCPStream) -> Void
    ) throws(UVError) {
        reactor.requireThread()
        self.reactor = reactor
        self.endpoint = endpoint
        self.accepted = accepted
        if case .unix = endpoint { isUnix = true } else { isUnix = false }
        unsafe memory = .allocate(byteCount: uv_handle_size(isUnix ? UV_NAMED_PIPE : UV_TCP), alignment: 16)
        if isUnix {
            unsafe _ = uv_pipe_init(reactor.loop, memory.assumingMemoryBound(to: uv_pipe_t.self), 0)
        } else {
            unsafe _ = uv_tcp_init(reactor.loop, memory.assumingMemoryBound(to: uv_tcp_t.self))
        }
        unsafe handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
        reactor.didOpen("listener")
        do throws(UVError) {
            try bind()
            try unsafe check(uv_listen(stream, Int32(clamping: backlog), listenerHasConnection), "listen on \(endpoint)")
        } catch {
            close()
            throw error
        }
    }

    deinit { precondition(!isOpen, "the listener on \(endpoint) went away without being closed") }

    /// Leaves new connections in the system's backlog. Idempotent.
    package func pause() { isPaused = true }

    /// Accepts again: one that was left waiting within this call, the others on later turns. Idempotent.
    package func resume() {
        reactor.requireThread()
        guard isPaused, isOpen else { return }
        isPaused = false
        if hasWaiting { accept() }
    }

    /// Stops accepting; a Unix socket's file is removed. Idempotent.
    package func close() {
        reactor.requireThread()
        guard isOpen else { return }
        isOpen = false
        accepted = nil
        reactor.didClose("listener")
        unsafe uv_close(handle, listenerClosed)
    }

    private var stream: UnsafeMutablePointer<uv_stream_t> { unsafe memory.assumingMemoryBound(to: uv_stream_t.self) }
    private var handle: UnsafeMutablePointer<uv_handle_t> { unsafe memory.assumingMemoryBound(to: uv_handle_t.self) }

    private func bind() throws(UVError) {
        let attempt = "listen on \(endpoint)"
        if case .unix(let path) = endpoint { return try bindUnix(path, attempt) }
        guard var storage = endpoint.numericAddress() else {
            throw UVError(.invalid, attempt: attempt + ", which is not a numeric address or localhost")
        }
        let tcp = unsafe memory.assumingMemoryBound(to: uv_tcp_t.self)
        // EADDRINUSE is kept by the library and reported by uv_listen; EADDRNOTAVAIL and EACCES come at once.
        let status = unsafe withUnsafeBytes(of: &storage) { bytes in
            unsafe uv_tcp_bind(tcp, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), 0)
        }
        try check(status, attempt)
        var length = Int32(MemoryLayout<sockaddr_storage>.size)
        let named = unsafe withUnsafeMutableBytes(of: &storage) { bytes in
            unsafe uv_tcp_getsockname(tcp, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length)
        }
        try check(named, attempt)
        if let bound = Endpoint(storage), case .tcp(_, let port) = bound, case .tcp(let host, 0) = endpoint, port != 0 {
            endpoint = .tcp(host: host, port: port)
        }
    }

    private func bindUnix(_ path: String, _ attempt: String) throws(UVError) {
        // The library would cut a longer path and listen on something else.
        guard path.utf8.count <= Endpoint.longestPath else { throw UVError(.nameTooLong, attempt: attempt) }
        let pipe = unsafe memory.assumingMemoryBound(to: uv_pipe_t.self)
        var status = unsafe uv_pipe_bind(pipe, path)
        if status == UV_EADDRINUSE.rawValue, isAbandonedSocket(path) {
            unsafe _ = unlink(path)
            status = unsafe uv_pipe_bind(pipe, path)
        }
        try check(status, attempt)
        // Before listening, so that nobody else can connect in between.
        guard unsafe chmod(path, 0o600) == 0 else { throw UVError(-errno, "restrict access to \(endpoint)") }
    }

    fileprivate func hasConnection(_ status: Int32) {
        // EMFILE and ENFILE: no descriptor for the connection; the library has shed it and goes on listening.
        guard status == 0, isOpen else { return }
        guard !isPaused else {
            hasWaiting = true
            return
        }
        accept()
    }

    private func accept() {
        hasWaiting = false
        let connection = TCPStream(on: reactor, unix: isUnix)
        // EAGAIN or ECONNABORTED: the peer has gone while it waited.
        guard unsafe uv_accept(stream, connection.stream) == 0 else { return connection.close() }
        connection.begin()
        if let accepted { accepted(connection) } else { connection.close() }
    }

    fileprivate func free() { unsafe memory.deallocate() }
}

/// True for a socket file to which nobody listens. Connecting to a Unix socket answers at once.
private func isAbandonedSocket(_ path: String) -> Bool {
    var status = stat()
    guard unsafe lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return false }
    let kind = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
    let descriptor = socket(AF_UNIX, Int32(kind), 0)
    guard descriptor >= 0 else { return false }
    defer { Glibc.close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { destination in
        unsafe destination.copyBytes(from: path.utf8.prefix(destination.count - 1))
    }
    let result = unsafe withUnsafeBytes(of: &address) { bytes in
        unsafe Glibc.connect(descriptor, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
    }
    return result != 0 && errno == ECONNREFUSED
}

@c private func listenerHasConnection(_ handle: UnsafeMutablePointer<uv_stream_t>?, _ status: Int32) {
    unsafe Unmanaged<TCPListener>.fromOpaque(handle!.pointee.data).takeUnretainedValue().hasConnection(status)
}

@c private func listenerClosed(_ handle: UnsafeMutablePointer<uv_handle_t>?) {
    unsafe Unmanaged<TCPListener>.fromOpaque(handle!.pointee.data).takeRetainedValue().free()
}
