package import HTTP
internal import Platform
package import Reactor

/// The client's side of one HTTP/2 connection, on a reactor: for processes of the fleet that ask one another. Reactor thread only.
///
/// It notices a peer that is frozen or cut off by asking for signs of life, and tells every stream before it ends itself. There is no
/// way back from the end: open another one.
package final class HTTPLink {
    /// connecting → greeting (until the peer's settings) → open → closing → closed; any → closing.
    private enum Phase { case connecting, greeting, open, closing, closed }

    package let endpoint: Endpoint
    package let reactor: Reactor
    package let limits: HTTPLinkLimits
    /// Called exactly once when a link that was handed out has ended, after all its streams have been told.
    package var onClosed: ((LinkError) -> Void)?

    private(set) var http: HTTPClientConnection?
    private var phase = Phase.connecting
    private var transport: TCPStream?
    private var stream: (any ByteStream)?
    private var connecting: Connecting?
    private var streams: [StreamID: LinkStream] = [:]
    private var completion: ((Result<HTTPLink, LinkError>) -> Void)?
    /// Why it ends; the first one counts.
    private var failure: LinkError?
    private var isInTurnEnd = false
    private var watch: LinkWatch
    private let began: MonotonicInstant
    private var lastTick: MonotonicInstant
    private var ticker: ReactorTimer?
    private var output = HTTPOutput()

    /// Connects, and waits until the peer has said that it speaks HTTP/2.
    ///
    /// - Parameters:
    ///   - tls: nil: clear text with prior knowledge. Otherwise ALPN must agree on `h2`.
    ///   - serverName: what the peer's certificate must be for; nil: the endpoint's host.
    ///   - completion: called exactly once, never from within this call.
    @discardableResult
    package static func open(
        to endpoint: Endpoint, tls: TLSContext? = nil, serverName: String? = nil, on reactor: Reactor, limits: HTTPLinkLimits = .init(),
        completion: @escaping (Result<HTTPLink, LinkError>) -> Void
    ) -> LinkAttempt {
        let link = HTTPLink(to: endpoint, on: reactor, limits: limits, completion)
        link.connect(tls, serverName)
        return LinkAttempt(link)
    }

    private init(
        to endpoint: Endpoint, on reactor: Reactor, limits: HTTPLinkLimits, _ completion: @escaping (Result<HTTPLink, LinkError>) -> Void
    ) {
        self.endpoint = endpoint
        self.reactor = reactor
        self.limits = limits
        self.completion = completion
        began = reactor.now
        lastTick = began
        watch = LinkWatch(limits: limits, now: began)
    }

    private func connect(_ tls: TLSContext?, _ serverName: String?) {
        ticker = ReactorTimer(on: reactor, after: limits.tick, repeating: limits.tick) { self.checkDeadlines() }
        connecting = TCPStream.connect(to: endpoint, on: reactor) { result in
            self.connecting = nil
            switch result {
            case .success(let transport): self.begin(transport, tls, serverName)
            case .failure(let error): self.end(self.failure ?? .failed(error))
            }
        }
    }

    private func begin(_ transport: TCPStream, _ tls: TLSContext?, _ serverName: String?) {
        guard failure == nil else {
            transport.receiver = self
            return transport.close()
        }
        self.transport = transport
        if let tls {
            var host = serverName
            if host == nil, case .tcp(let name, _) = endpoint { host = name }
            let secure = TLSStream(over: transport, context: tls, serverName: host)
            secure.onEstablished = { [unowned self] in
                guard stream?.negotiatedProtocol == "h2" else { return fail(.notHTTP2(peer: endpoint.description)) }
                greet()
            }
            stream = secure
        } else {
            stream = transport
        }
        stream?.drainMark = limits.socketQueue / 2
        stream?.receiver = self
        if tls == nil { greet() }
    }

    private func greet() {
        phase = .greeting
        http = HTTPClientConnection(limits: limits.http)
        stream?.resumeReading()
        flushLater()
    }

    // MARK: Use

    package var isOpen: Bool { phase == .open && failure == nil }
    /// What the kernel knows about the path; nil for Unix sockets.
    package var statistics: LinkStatistics? { transport?.linkStatistics() }
    /// On the socket, after encryption.
    package var bytesSent: UInt64 { stream?.bytesSent ?? 0 }
    package var bytesReceived: UInt64 { stream?.bytesReceived ?? 0 }
    package var openStreams: Int { streams.count }

    /// Begins a request. With `endStream` it is complete; otherwise `write` and `finish` follow. Nil when the peer takes no more now (ask
    /// again when a stream has closed), is leaving, or the link has ended.
    package func request(_ head: HTTPHead, endStream: Bool) -> LinkStream? {
        guard isOpen, let id = http?.request(head, endStream: endStream) else { return nil }
        let stream = LinkStream(id: id, on: self)
        streams[id] = stream
        flushLater()
        return stream
    }

    /// Ends the link now: what is queued is dropped, streams are told `linkLost(.closed)`, all on a later turn. Idempotent.
    package func close() { fail(.closed) }

    // MARK: Output

    func flushLater() {
        guard !isInTurnEnd, phase == .open || phase == .greeting else { return }
        isInTurnEnd = true
        reactor.atTurnEnd(self)
    }

    private func flush() {
        while phase == .open || phase == .greeting, let http, let stream {
            let count = http.output(into: &output, maximum: limits.socketQueue - stream.queuedBytes)
            if count > 0 {
                output.drain(small: { stream.write($0) }, large: { stream.write($0, $1) })
            }
            if !drainEvents(), count == 0 { break }
        }
        guard phase == .open || phase == .greeting, let http, http.isFinished else { return }
        fail(http.failure.map { .broken($0) } ?? .peerClosed(peer: endpoint.description))
    }

    // MARK: Events

    @discardableResult
    private func drainEvents() -> Bool {
        var any = false
        while let event = http?.nextEvent() {
            any = true
            perform(event)
        }
        return any
    }

    private func perform(_ event: HTTPEvent) {
        switch event {
        case .response(let id, let head, let isWhole):
            streams[id]?.responded(head)
            if isWhole { streams[id]?.ended([:]) }
        case .body(let id, let bytes):
            streams[id]?.received(bytes.rawSpan)
            http?.consumed(id, bytes.count)
        case .bodyEnd(let id, let trailers): streams[id]?.ended(trailers)
        case .reset(let id, let code): streams[id]?.wasReset(code)
        case .drained(let id): streams[id]?.drained()
        case .streamClosed(let id): streams.removeValue(forKey: id)?.close(failure)
        case .request, .goingAway: break
        }
    }

    private func becomeOpenIfGreeted() {
        guard phase == .greeting, failure == nil, http?.hasPeerSettings == true else { return }
        phase = .open
        let tell = completion
        completion = nil
        tell?(.success(self))
    }

    // MARK: End

    /// Ends the link for a reason of ours; the rest follows when the socket has closed.
    private func fail(_ error: LinkError) {
        guard phase != .closed, phase != .closing else { return }
        if failure == nil { failure = error }
        phase = .closing
        connecting?.cancel()
        stream?.close()
    }

    private func end(_ error: LinkError) {
        guard phase != .closed else { return }
        failure = failure ?? error
        phase = .closed
        ticker?.close()
        ticker = nil
        http?.peerClosed()
        drainEvents()
        let left = streams.values.sorted { $0.id < $1.id }
        streams = [:]
        for stream in left { stream.close(failure) }
        let tellFailure = completion
        let tellEnd = onClosed
        (completion, onClosed) = (nil, nil)
        if let tellFailure { return tellFailure(.failure(failure ?? error)) }
        tellEnd?(failure ?? error)
    }

    // MARK: Time

    /// Ends what has taken too long, seen from `ahead` of now. Called every `HTTPLinkLimits.tick`, and by tests that do not want to wait.
    package func checkDeadlines(ahead: Duration = .zero) {
        let real = reactor.now
        let late = real.since(lastTick) - limits.tick
        // The reactor itself stood still: what the peer sent meanwhile is unread.
        if late > limits.tick { watch.wasAway(late) }
        lastTick = real
        let now = real.advanced(by: ahead)
        switch phase {
        case .connecting, .greeting:
            if now.since(began) >= limits.connectTimeout {
                fail(.connectTimedOut(peer: endpoint.description, limits.connectTimeout))
            }
        case .open: checkLife(now)
        case .closing, .closed: break
        }
    }

    private func checkLife(_ now: MonotonicInstant) {
        switch watch.tick(now: now, received: bytesReceived, sent: bytesSent, waiting: stream?.queuedBytes ?? 0) {
        case .fine: break
        case .ping:
            http?.ping()
            flushLater()
        case .silent: fail(.silent(peer: endpoint.description, limits.silenceLimit))
        case .stalled: fail(.stalled(peer: endpoint.description, limits.stallTimeout))
        }
    }
}

extension HTTPLink: TurnEndParticipant {
    package func turnEnds() {
        flush()
        isInTurnEnd = false
    }
}

extension HTTPLink: ByteStreamReceiver {
    package func stream(_ stream: any ByteStream, didReceive bytes: RawSpan) {
        guard phase == .open || phase == .greeting, let http else { return }
        http.receive(bytes) { id, piece in
            self.drainEvents()
            if self.failure == nil { self.streams[id]?.received(piece) }
            http.consumed(id, piece.byteCount)
        }
        becomeOpenIfGreeted()
        drainEvents()
        flushLater()
    }

    package func streamDidReachEnd(_ stream: any ByteStream) { fail(.peerClosed(peer: endpoint.description)) }

    package func streamDidDrain(_ stream: any ByteStream) { flushLater() }

    package func streamDidClose(_ stream: any ByteStream, _ reason: StreamEnd) {
        switch reason {
        case .closed: end(.closed)
        case .failed(let error): end(.failed(error))
        case .insecure(let error): end(.insecure(error))
        }
    }
}

/// A link being opened, until its completion is called. Reactor thread only.
package final class LinkAttempt {
    private weak let link: HTTPLink?

    init(_ link: HTTPLink) { self.link = link }

    /// Gives up: the completion hears `closed` on a later turn, unless it has been called already. A link that is open stays so.
    package func cancel() {
        guard let link, !link.isOpen else { return }
        link.close()
    }
}
