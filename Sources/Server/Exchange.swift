package import HTTP
package import Platform
package import Reactor

/// How an exchange ended.
package enum ExchangeEnd: Sendable, Equatable {
    /// The response has left, to the last byte that the socket's queue took.
    case completed
    /// We broke it off.
    case aborted
    /// The client took too little for too long, or let too much pile up.
    case slowReader
    /// The client cancelled, left, or its connection failed.
    case clientGone(HTTP2ErrorCode)
}

/// One request and its response, on the server's reactor.
///
/// Either `respond` with everything, or `beginStream`, `write`…, `finish`. What is written leaves at the end of the turn, under
/// the client's flow control. After the exchange has ended, by either side, every call does nothing. No call here calls back.
package final class Exchange {
    /// waiting → streaming → finished; any → ended.
    private enum State { case waiting, streaming, finished, ended }

    /// Unique within the server's life, in the order of arrival.
    package let id: UInt64
    package let head: HTTPHead
    package let peer: Endpoint?
    package let isEncrypted: Bool
    /// SHA-256 of the client's certificate under mutual TLS.
    package let peerFingerprint: [UInt8]?
    package let receivedAt: MonotonicInstant
    package let reactor: Reactor

    /// The client has taken enough of what was buffered, after `isFull` had been true; time to write more.
    package var onDrained: (() -> Void)?
    /// Where the body streams (`RequestHandler.streamsBody`): its pieces as they come, valid for the call, and its end. Set them in `handle`.
    /// The client may send as much again once `onBody` has returned. Neither is called after the response was finished or the exchange has
    /// ended; what still comes is thrown away.
    package var onBody: ((RawSpan) -> Void)?
    package var onBodyEnd: (() -> Void)?
    /// Called exactly once, also when all went well, unless the request was refused before the handler saw it. Let go of the
    /// closures' captures here: they are dropped after the call.
    package var onClosed: ((ExchangeEnd) -> Void)?

    let stream: StreamID
    private var connection: Connection?
    private var state = State.waiting
    /// How it ends, once that is known; the first one counts.
    private var end: ExchangeEnd?
    private var received: [UInt8] = []

    init(id: UInt64, stream: StreamID, head: HTTPHead, on connection: Connection) {
        self.id = id
        self.stream = stream
        self.head = head
        self.connection = connection
        self.reactor = connection.stream.reactor
        self.peer = connection.stream.peer
        self.isEncrypted = connection.stream.isEncrypted
        self.peerFingerprint = (connection.stream as? TLSStream)?.peerFingerprint
        self.receivedAt = reactor.now
        self.lastProgress = receivedAt
    }

    // MARK: Request

    /// The whole body, until taken.
    package var body: [UInt8] { received }

    /// Moves the body out, after which it no longer counts against the server's bound.
    package func takeBody() -> [UInt8] {
        let taken = received
        received = []
        connection?.server.releaseBody(taken.count)
        return taken
    }

    // MARK: Response

    package var isEnded: Bool { state == .ended || end != nil }
    /// Whether the head of the response has been given.
    package var hasBegun: Bool { state != .waiting }

    /// Answers with a whole response; `content-length` is added.
    package func respond(status: Int, headers: HTTPHeaders = [:], body: consuming [UInt8] = []) {
        guard let connection, !isEnded else { return }
        precondition(state == .waiting, "exchange \(id) was answered twice")
        var headers = headers
        // RFC 9110, 8.6: none where there can be no body.
        if status >= 200, status != 204, status != 304 { headers.set("content-length", String(body.count)) }
        state = .finished
        connection.http?.respond(stream, ResponseHead(status: status, headers: headers), endStream: body.isEmpty)
        if !body.isEmpty {
            lastProgress = reactor.now
            written += UInt64(body.count)
            connection.http?.write(stream, body)
            connection.http?.finish(stream)
        }
        connection.flushLater()
    }

    package func beginStream(status: Int, headers: HTTPHeaders = [:]) {
        guard let connection, !isEnded else { return }
        precondition(state == .waiting, "exchange \(id) was answered twice")
        state = .streaming
        connection.http?.respond(stream, ResponseHead(status: status, headers: headers), endStream: false)
        connection.flushLater()
    }

    /// Appends to the response. When more than `ServerLimits.maximumBufferedResponse` bytes wait already, the exchange is aborted.
    ///
    /// - Returns: bytes that now wait for the client; 0 once the exchange has ended.
    @discardableResult
    package func write(_ bytes: RawSpan) -> Int { write(bytes.byteCount) { $0.write(stream, bytes) } }

    /// A large array is held, not copied, until it has left.
    @discardableResult
    package func write(_ bytes: consuming [UInt8]) -> Int {
        let bytes = bytes
        return write(bytes.count) { $0.write(stream, bytes) }
    }

    private func write(_ count: Int, _ body: (HTTPServerConnection) -> Int) -> Int {
        guard let connection, !isEnded else { return 0 }
        precondition(state == .streaming, "exchange \(id) is written to while \(state)")
        guard bufferedBytes <= connection.server.limits.maximumBufferedResponse else {
            breakOff(.enhanceYourCalm, .slowReader)
            return 0
        }
        // Waiting begins now, however long the answer took.
        if bufferedBytes == 0 { lastProgress = reactor.now }
        written += UInt64(count)
        let waiting = connection.http.map(body) ?? 0
        connection.flushLater()
        return waiting
    }

    /// Completes a streamed response.
    package func finish(trailers: HTTPHeaders = [:]) {
        guard let connection, !isEnded, state != .finished else { return }
        precondition(state == .streaming, "exchange \(id) finished before it began")
        state = .finished
        connection.http?.finish(stream, trailers: trailers)
        connection.flushLater()
    }

    /// Breaks the exchange off: RST_STREAM with `code`, over HTTP/1.1 the end of the connection, so that nobody takes what was
    /// sent for all.
    package func abort(_ code: HTTP2ErrorCode = .internalError) {
        breakOff(code, .aborted)
    }

    /// Bytes of the response that the client's flow control or socket has not let go yet.
    package var bufferedBytes: Int { connection?.http?.bufferedBytes(stream) ?? 0 }

    /// So much waits for the client that a producer should stop until `onDrained`.
    package var isFull: Bool { bufferedBytes > (connection?.server.limits.http.highWater ?? 0) }

    // MARK: For the connection

    private(set) var isDelivered = false
    /// The handler has the head and gets the body piece by piece.
    private(set) var streamsBody = false
    /// The body is complete, or is not wanted any more.
    private(set) var isBodyOver = false
    /// When the last byte of the body came, or the last byte of the response was taken.
    var lastProgress: MonotonicInstant
    /// Response bytes handed to the protocol layer.
    private var written: UInt64 = 0
    private var takenBefore: UInt64 = 0

    func appendBody(_ bytes: RawSpan) { unsafe bytes.withUnsafeBytes { unsafe received.append(contentsOf: $0) } }

    func deliver() -> Bool {
        guard !isBodyOver else { return false }
        isBodyOver = true
        isDelivered = true
        return true
    }

    func deliverHead() {
        streamsBody = true
        isDelivered = true
    }

    /// Hands a piece of a streamed body on.
    func pass(_ bytes: RawSpan) {
        guard wantsBody else { return }
        onBody?(bytes)
    }

    func endBody() {
        guard wantsBody else { return }
        isBodyOver = true
        let tell = onBodyEnd
        onBody = nil
        onBodyEnd = nil
        tell?()
    }

    private var wantsBody: Bool { !isBodyOver && !isEnded && state != .finished }

    /// The rest of the body is not wanted.
    func refuseBody() { isBodyOver = true }

    func breakOff(_ code: HTTP2ErrorCode, _ end: ExchangeEnd) {
        guard let connection, !isEnded else { return }
        self.end = end
        connection.http?.reset(stream, code)
        connection.flushLater()
    }

    func wasReset(_ code: HTTP2ErrorCode) {
        if end == nil { end = .clientGone(code) }
    }

    /// Whether response bytes wait and none has been taken since `lastProgress`; notes progress.
    func isStalled(now: MonotonicInstant) -> Bool {
        let waiting = bufferedBytes
        let taken = written - min(written, UInt64(waiting))
        if waiting == 0 || taken != takenBefore { lastProgress = now }
        takenBefore = taken
        return waiting > 0
    }

    /// The connection is done with the stream. Called once.
    func close() {
        guard state != .ended else { return }
        let reason = end ?? (state == .finished ? .completed : .clientGone(.cancel))
        switch reason {
        case .clientGone: connection?.server.counters.clientResets += 1
        case .slowReader: connection?.server.counters.slowReaders += 1
        case .completed, .aborted: break
        }
        if !received.isEmpty { _ = takeBody() }
        state = .ended
        connection = nil
        let tell = isDelivered ? onClosed : nil
        onClosed = nil
        onDrained = nil
        onBody = nil
        onBodyEnd = nil
        tell?(reason)
    }
}
