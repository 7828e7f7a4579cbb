internal import HTTP
internal import Platform
internal import Reactor

/// One client's connection: joins a stream of bytes with the protocol's state machine and turns its events into exchanges.
///
/// Lives on the reactor from accepting until the stream has closed, held by the floor.
final class Connection: ByteStreamReceiver, TurnEndParticipant {
    /// handshaking → open → lingering → closing; any → closing. In `lingering` our last byte is on its way and input is
    /// discarded.
    private enum Phase { case handshaking, open, lingering, closing }

    let stream: any ByteStream
    /// The same, where the server is shapeable and the connection in clear.
    let shaped: ShapedStream?
    let server: ServerFloor
    /// In the order of arrival.
    let number: Int
    /// Nil until the protocol is known under TLS.
    private(set) var http: HTTPServerConnection?
    private var phase: Phase
    private var exchanges: [StreamID: Exchange] = [:]
    private var isInTurnEnd = false

    /// When the current phase, or the time without a request, began.
    private var since: MonotonicInstant
    /// When the head now being received began.
    private var headSince: MonotonicInstant?
    /// When the wait for the preface that belongs to a 101 began.
    private var prefaceSince: MonotonicInstant?
    private var hasHadRequest = false
    private var lastSent: UInt64 = 0
    private var lastSentAt: MonotonicInstant
    private var hasFinishedDrain = false
    private var peerHasEnded = false

    init(over transport: TCPStream, tls: TLSContext?, server: ServerFloor) {
        self.server = server
        self.number = server.counters.connectionsAccepted
        self.since = transport.reactor.now
        self.lastSentAt = since
        if let tls {
            phase = .handshaking
            let secure = TLSStream(over: transport, context: tls)
            stream = secure
            shaped = nil
            secure.onEstablished = { [unowned self] in
                self.begin(self.stream.negotiatedProtocol == "h2" ? .http2 : .http1, scheme: "https")
            }
        } else {
            phase = .open
            shaped = server.isShapeable ? ShapedStream(over: transport, shape: server.shape, seed: UInt64(number)) : nil
            stream = shaped ?? transport
        }
        stream.drainMark = server.limits.socketQueue / 2
        stream.receiver = self
        if tls == nil { begin(.sniff, scheme: "http") }
    }

    private func begin(_ negotiated: HTTPServerConnection.Negotiated, scheme: String) {
        phase = .open
        since = stream.reactor.now
        let http = HTTPServerConnection(protocol: negotiated, scheme: scheme, limits: server.limits.http)
        let name = String(UInt64.random(in: .min ... .max), radix: 16)
        http.name = String(repeating: "0", count: 16 - name.count) + name
        self.http = http
        stream.resumeReading()
        flushLater()
    }

    // MARK: Input

    func stream(_ stream: any ByteStream, didReceive bytes: RawSpan) {
        guard phase == .open, let http else { return }
        server.counters.bytesReceived += UInt64(bytes.byteCount)
        http.receive(bytes) { id, piece in
            drainEvents()
            if let exchange = exchanges[id] { take(piece, for: exchange) }
            http.consumed(id, piece.byteCount)
        }
        drainEvents()
        // Not only at the end of the turn: within one, the loop hands on all that the system has.
        if !http.wantsRead { stream.pauseReading() }
        flushLater()
    }

    func streamDidReachEnd(_ stream: any ByteStream) {
        peerHasEnded = true
        guard phase == .open else {
            // What is queued for a client that has only finished asking is still its answer.
            return phase == .lingering ? stream.closeWhenWritten() : close()
        }
        http?.peerClosed()
        drainEvents()
        flushLater()
    }

    func streamDidDrain(_ stream: any ByteStream) { flushLater() }

    func streamDidClose(_ stream: any ByteStream, _ reason: StreamEnd) {
        if phase == .handshaking { server.counters.handshakeFailures += 1 }
        phase = .closing
        if let http {
            http.peerClosed()
            drainEvents()
            server.counters.malformedRequests += http.counters.refusals
            if case .protocolError = http.failure { server.counters.protocolErrors += 1 }
        }
        for exchange in exchanges.values.sorted(by: { $0.id < $1.id }) { ended(exchange, .cancel) }
        server.remove(self)
    }

    /// - Returns: whether there were any.
    @discardableResult
    private func drainEvents() -> Bool {
        guard let http else { return false }
        if http.date != server.date { http.date = server.date }
        var any = false
        while let event = http.nextEvent() {
            any = true
            perform(event)
        }
        return any
    }

    private func perform(_ event: HTTPEvent) {
        switch event {
        case .request(let id, let head, let isWhole):
            begin(id, head, isWhole: isWhole)
        case .body(let id, let bytes):
            if let exchange = exchanges[id] { take(bytes.rawSpan, for: exchange) }
            http?.consumed(id, bytes.count)
        case .bodyEnd(let id, _):
            if let exchange = exchanges[id] { bodyEnded(exchange) }
        case .reset(let id, let code):
            exchanges[id]?.wasReset(code)
        case .drained(let id):
            exchanges[id]?.onDrained?()
        case .streamClosed(let id):
            if let exchange = exchanges[id] { ended(exchange, nil) }
        case .goingAway, .response:
            break
        }
    }

    private func begin(_ id: StreamID, _ head: HTTPHead, isWhole: Bool) {
        hasHadRequest = true
        headSince = nil
        server.counters.requests += 1
        server.counters.exchangesOpen += 1
        let exchange = Exchange(id: server.nextExchange(), stream: id, head: head, on: self)
        exchanges[id] = exchange
        if server.handler.streamsBody(for: head) {
            exchange.deliverHead()
            server.handler.handle(exchange)
            if isWhole { exchange.endBody() }
            return
        }
        if isWhole { return deliver(exchange) }
        let limit = server.handler.bodyLimit(for: head)
        if let announced = head.contentLength, announced > limit { refuseSize(exchange, limit) }
    }

    private func take(_ bytes: RawSpan, for exchange: Exchange) {
        if exchange.streamsBody { return exchange.pass(bytes) }
        guard !exchange.isBodyOver, !exchange.isEnded else { return }
        let limit = server.handler.bodyLimit(for: exchange.head)
        guard exchange.body.count + bytes.byteCount <= limit else { return refuseSize(exchange, limit) }
        guard server.reserveBody(bytes.byteCount) else {
            server.counters.bodiesWithoutRoom += 1
            return refuse(exchange, 503, "too many request bytes are waiting; try again")
        }
        exchange.lastProgress = stream.reactor.now
        exchange.appendBody(bytes)
    }

    private func refuseSize(_ exchange: Exchange, _ limit: Int) {
        server.counters.oversizedBodies += 1
        refuse(exchange, 413, "the request body exceeds \(limit) bytes")
    }

    private func refuse(_ exchange: Exchange, _ status: Int, _ reason: String) {
        exchange.refuseBody()
        _ = exchange.takeBody()
        server.handler.refuse(exchange, status: status, reason: reason)
    }

    private func bodyEnded(_ exchange: Exchange) {
        if exchange.streamsBody { exchange.endBody() } else { deliver(exchange) }
    }

    private func deliver(_ exchange: Exchange) {
        if exchange.deliver() { server.handler.handle(exchange) }
    }

    private func ended(_ exchange: Exchange, _ code: HTTP2ErrorCode?) {
        exchanges[exchange.stream] = nil
        if exchanges.isEmpty { since = stream.reactor.now }
        server.counters.exchangesOpen -= 1
        if let code { exchange.wasReset(code) }
        exchange.close()
    }

    // MARK: Output

    func flushLater() {
        guard !isInTurnEnd, phase == .open else { return }
        isInTurnEnd = true
        stream.reactor.atTurnEnd(self)
    }

    func turnEnds() {
        flush()
        isInTurnEnd = false
        follow()
    }

    /// Moves output to the socket while its queue has room, and performs what that sets free.
    private func flush() {
        guard phase == .open, let http else { return }
        var buffer = server.borrowBuffer()
        defer { server.giveBack(&buffer) }
        while phase == .open {
            let count = http.output(into: &buffer, maximum: server.limits.socketQueue - stream.queuedBytes)
            if count > 0 {
                server.counters.bytesSent += UInt64(count)
                buffer.drain(keeping: 2 * server.limits.socketQueue, small: { stream.write($0) }, large: { stream.write($0, $1) })
            }
            if !drainEvents(), count == 0 { return }
        }
    }

    /// Does what the protocol's state asks for.
    private func follow() {
        guard phase == .open, let http else { return }
        if http.isFinished { return linger() }
        if http.wantsRead { stream.resumeReading() } else { stream.pauseReading() }
        if !http.isReceivingHead {
            headSince = nil
        } else if headSince == nil {
            headSince = stream.reactor.now
        }
        if !http.awaitsPreface {
            prefaceSince = nil
        } else if prefaceSince == nil {
            prefaceSince = stream.reactor.now
        }
    }

    // MARK: End

    /// Says the last word and waits for the client to close; whatever it still sends is discarded, lest a reset overtake our
    /// answer.
    private func linger() {
        phase = .lingering
        since = stream.reactor.now
        if peerHasEnded { return stream.closeWhenWritten() }
        stream.finishWriting()
        stream.resumeReading()
    }

    /// Ends the connection now; what is queued is dropped.
    func close() {
        if phase == .handshaking { server.counters.handshakeFailures += 1 }
        phase = .closing
        stream.close()
    }

    func beginDrain() {
        switch phase {
        case .open:
            http?.beginDrain()
            drainEvents()
            flushLater()
        // Nothing was asked yet, and the listener is gone for the retry as well.
        case .handshaking: close()
        case .lingering, .closing: break
        }
    }

    /// Since when no request has been open; nil while one is.
    var idleSince: MonotonicInstant? { exchanges.isEmpty && phase != .closing ? since : nil }

    // MARK: Time

    func checkDeadlines(now: MonotonicInstant) {
        let limits = server.limits
        switch phase {
        case .handshaking:
            if now.since(since) >= limits.handshakeTimeout { close() }
        case .lingering:
            if isStuck(now) {
                close()
            } else if stream.queuedBytes > 0 {
                // The client has its time from the last byte on.
                since = now
            } else if now.since(since) >= limits.lingerTimeout {
                stream.closeWhenWritten()
            }
        case .open:
            checkOpen(now, limits)
        case .closing: break
        }
    }

    private func checkOpen(_ now: MonotonicInstant, _ limits: ServerLimits) {
        if isStuck(now) {
            for exchange in exchanges.values { exchange.breakOff(.enhanceYourCalm, .slowReader) }
            return close()
        }
        if let began = server.drainingSince, !hasFinishedDrain, now.since(began) >= limits.announceTimeout {
            hasFinishedDrain = true
            http?.finishDrain()
            flushLater()
        }
        if let prefaceSince, now.since(prefaceSince) >= limits.headTimeout {
            server.counters.slowSenders += 1
            return close()
        }
        if let headSince, now.since(headSince) >= limits.headTimeout { return expire(slow: true) }
        if exchanges.isEmpty {
            let limit = hasHadRequest ? limits.idleTimeout : min(limits.idleTimeout, limits.headTimeout)
            if headSince == nil, now.since(since) >= limit { expire(slow: false) }
            return
        }
        for exchange in exchanges.values { check(exchange, now, limits) }
    }

    private func check(_ exchange: Exchange, _ now: MonotonicInstant, _ limits: ServerLimits) {
        if http?.isDiscarding(exchange.stream) == true {
            guard now.since(exchange.lastProgress) >= limits.lingerTimeout else { return }
            http?.stopBody(exchange.stream)
            return flushLater()
        }
        // Who streams a body may be silent for as long as its handler lets it.
        guard !exchange.isBodyOver, !exchange.streamsBody else {
            if exchange.isStalled(now: now), now.since(exchange.lastProgress) >= limits.stallTimeout {
                exchange.breakOff(.enhanceYourCalm, .slowReader)
            }
            return
        }
        let isSilent = now.since(exchange.lastProgress) >= limits.bodyTimeout
        guard isSilent || now.since(exchange.receivedAt) >= limits.requestTimeout else { return }
        if http?.version == .http2 {
            server.counters.slowSenders += 1
            exchange.refuseBody()
            exchange.breakOff(.cancel, .aborted)
        } else {
            expire(slow: true)
        }
    }

    private func expire(slow: Bool) {
        if slow { server.counters.slowSenders += 1 } else { server.counters.idleCloses += 1 }
        headSince = nil
        since = stream.reactor.now
        http?.expire()
        drainEvents()
        flushLater()
    }

    /// Whether bytes wait for the socket and it has taken none for the stall timeout; to be asked at every tick.
    private func isStuck(_ now: MonotonicInstant) -> Bool {
        guard stream.queuedBytes > 0, stream.bytesSent == lastSent else {
            lastSent = stream.bytesSent
            lastSentAt = now
            return false
        }
        return now.since(lastSentAt) >= server.limits.stallTimeout
    }
}
