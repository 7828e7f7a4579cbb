internal import CLibUV
internal import Glibc

extension TCPStream {
    /// Connects to `endpoint`, resolving a name first (addresses are tried in the resolver's order, at most four).
    ///
    /// `completion` is called exactly once, never from within this call. There is no time limit but the system's own (minutes):
    /// who wants one cancels the returned attempt.
    @discardableResult
    package static func connect(
        to endpoint: Endpoint, on reactor: Reactor, completion: @escaping (Result<TCPStream, UVError>) -> Void
    ) -> Connecting {
        Connecting(to: endpoint, on: reactor, completion)
    }
}

/// An attempt to connect, until it succeeds, fails or is cancelled. Reactor thread only.
@safe
package final class Connecting: TurnEndParticipant {
    private static let addressLimit = 4

    private let endpoint: Endpoint
    private let reactor: Reactor
    private var completion: ((Result<TCPStream, UVError>) -> Void)?
    private var addresses: [sockaddr_storage] = []
    private var current: TCPStream?
    private var isCancelled = false
    /// A failure found within the initialiser, to be told at the end of the turn.
    private var earlyFailure: UVError?

    fileprivate init(
        to endpoint: Endpoint, on reactor: Reactor, _ completion: @escaping (Result<TCPStream, UVError>) -> Void
    ) {
        reactor.requireThread()
        self.endpoint = endpoint
        self.reactor = reactor
        self.completion = completion
        if case .unix(let path) = endpoint {
            connectUnix(path)
        } else if let address = endpoint.numericAddress() {
            addresses = [address]
            tryNext()
        } else {
            resolve()
        }
    }

    /// Gives up; the completion is told ECANCELED on a later turn unless it has been called already.
    package func cancel() {
        isCancelled = true
        current?.close()
    }

    private var attempt: String { "connect to \(endpoint)" }

    package func turnEnds() {
        if let earlyFailure { finish(.failure(earlyFailure)) }
    }

    private func finish(_ result: Result<TCPStream, UVError>) {
        let tell = completion
        completion = nil
        current = nil
        tell?(result)
    }

    private func connectUnix(_ path: String) {
        let stream = TCPStream(on: reactor, unix: true) { self.finish($0) }
        current = stream
        stream.setPeer(endpoint)
        // The library would cut a longer path and connect to something else.
        guard path.utf8.count <= Endpoint.longestPath else { return stream.didConnect(UV_ENAMETOOLONG.rawValue, attempt) }
        let request = unsafe connectRequest(for: stream)
        unsafe uv_pipe_connect(request, stream.pipe, path, connectFinished)
    }

    private func tryNext() {
        let address = addresses.removeFirst()
        let stream = TCPStream(on: reactor, unix: false) { result in
            if case .failure = result, !self.isCancelled, !self.addresses.isEmpty { return self.tryNext() }
            self.finish(result)
        }
        current = stream
        stream.setPeer(endpoint)
        let request = unsafe connectRequest(for: stream)
        var storage = address
        let status = unsafe withUnsafeBytes(of: &storage) { bytes in
            unsafe uv_tcp_connect(request, stream.tcp, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), connectFinished)
        }
        // Immediate failures: EMFILE, ENETUNREACH, EADDRNOTAVAIL. The callback is not called then.
        if status != 0 {
            unsafe Unmanaged<ConnectBox>.fromOpaque(request.pointee.data).release()
            unsafe request.deallocate()
            stream.didConnect(status, attempt)
        }
    }

    private func connectRequest(for stream: TCPStream) -> UnsafeMutablePointer<uv_connect_t> {
        let request = UnsafeMutablePointer<uv_connect_t>.allocate(capacity: 1)
        let box = ConnectBox(stream: stream, attempt: attempt)
        unsafe request.pointee.data = Unmanaged.passRetained(box).toOpaque()
        return unsafe request
    }

    private func resolve() {
        guard case .tcp(let host, let port) = endpoint else { return }
        let request = UnsafeMutablePointer<uv_getaddrinfo_t>.allocate(capacity: 1)
        unsafe request.pointee.data = Unmanaged.passRetained(self).toOpaque()
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        let status = unsafe uv_getaddrinfo(reactor.loop, request, nameResolved, host, String(port), &hints)
        // ENOMEM, or a name that is no host name at all (EINVAL).
        if status != 0 {
            unsafe Unmanaged<Connecting>.fromOpaque(request.pointee.data).release()
            unsafe request.deallocate()
            earlyFailure = UVError(status, attempt)
            reactor.atTurnEnd(self)
        }
    }

    fileprivate func resolved(_ status: Int32, _ found: UnsafeMutablePointer<addrinfo>?) {
        var next = unsafe found
        while let entry = unsafe next, addresses.count < Self.addressLimit {
            var storage = sockaddr_storage()
            let length = min(Int(unsafe entry.pointee.ai_addrlen), MemoryLayout<sockaddr_storage>.size)
            unsafe withUnsafeMutableBytes(of: &storage) { bytes in
                if let address = unsafe entry.pointee.ai_addr {
                    unsafe bytes.baseAddress!.copyMemory(from: UnsafeRawPointer(address), byteCount: length)
                }
            }
            addresses.append(storage)
            unsafe next = entry.pointee.ai_next
        }
        if unsafe found != nil { unsafe uv_freeaddrinfo(found) }
        if isCancelled { return finish(.failure(UVError(.canceled, attempt: attempt))) }
        // EAI_AGAIN, EAI_NONAME, EAI_FAIL: the resolver's answer.
        if status != 0 { return finish(.failure(UVError(status, attempt))) }
        if addresses.isEmpty { return finish(.failure(UVError(.noEntry, attempt: attempt))) }
        tryNext()
    }
}

private final class ConnectBox {
    let stream: TCPStream
    let attempt: String

    init(stream: TCPStream, attempt: String) {
        self.stream = stream
        self.attempt = attempt
    }
}

@c private func connectFinished(_ request: UnsafeMutablePointer<uv_connect_t>?, _ status: Int32) {
    let box = unsafe Unmanaged<ConnectBox>.fromOpaque(request!.pointee.data).takeRetainedValue()
    unsafe request!.deallocate()
    box.stream.didConnect(status, box.attempt)
}

@c private func nameResolved(
    _ request: UnsafeMutablePointer<uv_getaddrinfo_t>?, _ status: Int32, _ found: UnsafeMutablePointer<addrinfo>?
) {
    let connecting = unsafe Unmanaged<Connecting>.fromOpaque(request!.pointee.data).takeRetainedValue()
    unsafe request!.deallocate()
    unsafe connecting.resolved(status, found)
}
