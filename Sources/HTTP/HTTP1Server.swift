/// The server's side of an HTTP/1.1 connection: one exchange at a time, pipelined requests wait their turn as bytes.
///
/// The next request is parsed when the response before it has left the buffer. A request's body is parsed only as far as
/// `HTTPLimits.streamWindow` ahead of its consumer.
struct HTTP1Server {
    /// One request and its response.
    private struct Exchange {
        let id: StreamID
        let isHead: Bool
        let version: HTTPVersion
        var keepAlive: Bool
        /// 100 Continue is owed; it is sent when output is asked for and no response has begun.
        var owesContinue: Bool
        var upgradeSettings: [UInt8]?
        var requestEnded = false
        var unconsumed = 0
        /// `nil` until the response begins.
        var framing: HTTP1ResponseFraming?
        var finished = false
        var aboveHighWater = false
    }

    private let limits: HTTPLimits
    private var decoder: HTTP1RequestDecoder
    private var exchange: Exchange?
    private var nextID: StreamID = 1
    private var out = ByteQueue()
    private var draining = false
    /// The connection is over when the output is gone. Never reset.
    private var isEnding = false
    private(set) var failure: HTTPError?
    private(set) var upgradeSettings: [UInt8]?
    var events = EventQueue()
    var counters = HTTPCounters()
    var date = ""
    var name = ""

    init(limits: HTTPLimits, scheme: String) {
        self.limits = limits
        self.decoder = HTTP1RequestDecoder(limits: limits, scheme: scheme)
    }

    private var backlogLimit: Int { max(limits.maximumBacklog, limits.maximumRequestLine + limits.maximumHeaderBytes + 4096) }

    var wantsRead: Bool { !isEnding && decoder.bufferedCount < backlogLimit }
    var hasOutput: Bool { !out.isEmpty || exchange?.owesContinue == true }
    var isFinished: Bool { isEnding && out.isEmpty }
    var currentStream: StreamID? { exchange?.id }
    var openStreams: Int { exchange == nil ? 0 : 1 }
    var isReceivingHead: Bool { !isEnding && exchange == nil && decoder.isMidHead }

    // MARK: Input

    mutating func receive(_ bytes: RawSpan) {
        guard !isEnding else { return }
        // A reader that stops when `wantsRead` falls goes past the mark by one read; this is far more than any.
        let limit = backlogLimit + 1 << 20
        guard decoder.bufferedCount + bytes.byteCount <= limit else {
            failure = .backlogExceeded(limit: limit)
            abandon(.enhanceYourCalm)
            return
        }
        decoder.append(bytes)
        advance()
    }

    mutating func consumed(_ stream: StreamID, _ count: Int) {
        guard let current = exchange, current.id == stream else { return }
        exchange?.unconsumed = max(0, current.unconsumed - count)
        advance()
    }

    mutating func peerClosed() {
        guard !isEnding else { return }
        if let exchange, !exchange.finished {
            // A client that only half-closed cannot be told from one that left; nearly all of them left.
            failure = .peerClosed(openStreams: 1)
            counters.resetsReceived += 1
            out.removeAll()
        }
        abandon(.cancel)
    }

    /// The client was too slow with its request.
    mutating func expire() {
        guard !isEnding else { return }
        failure = .timedOut
        let owesAnswer = exchange.map { !$0.requestEnded } ?? decoder.isMidHead
        if owesAnswer {
            refuse(HTTP1Refusal(408, "the request did not arrive in time"))
        } else if exchange == nil {
            isEnding = true
        }
    }

    /// Parses as far as the exchange in hand allows.
    private mutating func advance() {
        while !isEnding, upgradeSettings == nil {
            var room = limits.streamWindow
            if let exchange {
                room -= exchange.unconsumed
                guard !exchange.requestEnded, room > 0 else { return }
            } else if draining {
                isEnding = true
                return
            } else if !out.isEmpty {
                return
            }
            do {
                guard let element = try decoder.next(maximumBody: room) else { return }
                take(element)
            } catch {
                refuse(error)
            }
        }
    }

    private mutating func take(_ element: HTTP1Element) {
        switch element {
        case .head(let request):
            counters.requests += 1
            let id = nextID
            nextID += 1
            var exchange = Exchange(
                id: id, isHead: request.head.method == "HEAD", version: request.head.version, keepAlive: request.keepAlive,
                owesContinue: request.expectsContinue)
            // Only the first request keeps its number when it becomes stream 1; later ones are answered by HTTP/1.1.
            if id == 1, !draining { exchange.upgradeSettings = request.upgradeSettings }
            exchange.requestEnded = request.framing == .none
            self.exchange = exchange
            events.append(.request(id, request.head, endOfBody: exchange.requestEnded))
            if exchange.requestEnded { switchIfAsked() }
        case .body(let bytes):
            guard let id = exchange?.id else { preconditionFailure("a body without an exchange") }
            exchange?.owesContinue = false
            exchange?.unconsumed += bytes.count
            events.append(.body(id, bytes))
        case .end(let trailers):
            guard let id = exchange?.id else { preconditionFailure("the end of a body without an exchange") }
            exchange?.owesContinue = false
            exchange?.requestEnded = true
            events.append(.bodyEnd(id, trailers: trailers))
            switchIfAsked()
        }
    }

    /// The whole request was read and nothing of its response is written: the moment for 101.
    private mutating func switchIfAsked() {
        guard let exchange, exchange.framing == nil, let settings = exchange.upgradeSettings else { return }
        out.append("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n")
        upgradeSettings = settings
        counters.upgrades += 1
    }

    /// What HTTP/2 needs to go on with: the request in hand, the answer 101 and the bytes behind the request.
    mutating func takeOver() -> (isHead: Bool, prelude: ByteQueue, remainder: [UInt8]) {
        guard let exchange else { preconditionFailure("an upgrade without a request") }
        return (exchange.isHead, out, decoder.takeRemainder())
    }

    // MARK: Output

    mutating func respond(_ stream: StreamID, _ response: ResponseHead, endStream: Bool) {
        guard let current = exchange, current.id == stream, !isEnding else { return }
        precondition(current.framing == nil, "stream \(stream) was answered twice")
        precondition(response.status >= 200, "status \(response.status) is not a final response")
        let framing = HTTP1ResponseWriter.framing(
            response, isHead: current.isHead, endStream: endStream, version: current.version)
        // A request that is answered before its end has been refused: the rest of it is not read (RFC 9112, 9.6).
        if framing == .untilClose || draining || !current.requestEnded { exchange?.keepAlive = false }
        exchange?.owesContinue = false
        exchange?.framing = framing
        HTTP1ResponseWriter.writeHead(
            response, framing: framing, keepAlive: exchange?.keepAlive ?? false, version: current.version, date: date, to: &out)
        if endStream { finish(stream, trailers: [:]) }
    }

    mutating func write(_ stream: StreamID, _ bytes: RawSpan) -> Int {
        guard let current = exchange, current.id == stream, !isEnding, !current.finished, bytes.byteCount > 0 else {
            return out.count
        }
        guard out.count <= limits.maximumBufferedOutput else {
            out.removeAll()
            abandon(.enhanceYourCalm)
            return 0
        }
        switch current.framing {
        case nil: preconditionFailure("a body before the head on stream \(stream)")
        case .some(.none): break
        case .length(let remaining):
            precondition(
                bytes.byteCount <= remaining,
                "stream \(stream): \(bytes.byteCount) bytes where content-length leaves \(remaining)")
            exchange?.framing = .length(remaining: remaining - bytes.byteCount)
            out.append(bytes)
        case .chunked: HTTP1ResponseWriter.writeChunk(bytes, to: &out)
        case .untilClose: out.append(bytes)
        }
        if out.count > limits.highWater { exchange?.aboveHighWater = true }
        return out.count
    }

    mutating func finish(_ stream: StreamID, trailers: HTTPHeaders) {
        guard let current = exchange, current.id == stream, !isEnding, !current.finished else { return }
        switch current.framing {
        case nil: preconditionFailure("stream \(stream) ends before its head")
        case .chunked: HTTP1ResponseWriter.writeLastChunk(trailers: trailers, to: &out)
        case .length(let remaining) where remaining > 0:
            // The client was promised more: only a broken connection tells it that this is not all.
            reset(stream)
            return
        default: break
        }
        exchange?.finished = true
        settle()
    }

    /// HTTP/1.1 has no other way to break off a response than to break off the connection.
    mutating func reset(_ stream: StreamID) {
        guard exchange?.id == stream, !isEnding else { return }
        out.removeAll()
        abandon(nil)
    }

    func bufferedBytes(_ stream: StreamID) -> Int { exchange?.id == stream ? out.count : 0 }

    /// Appends up to `maximum` bytes to `buffer`.
    mutating func output(into buffer: inout [UInt8], maximum: Int) {
        if exchange?.owesContinue == true {
            exchange?.owesContinue = false
            out.append("HTTP/1.1 100 Continue\r\n\r\n")
        }
        let count = min(maximum, out.count)
        if count > 0 { out.move(count, to: &buffer) }
        if let current = exchange, current.aboveHighWater, out.count < limits.lowWater {
            exchange?.aboveHighWater = false
            if !current.finished { events.append(.drained(current.id)) }
        }
        settle()
    }

    /// Ends the exchange when its last byte has left, and goes on with what waits.
    private mutating func settle() {
        guard let current = exchange, current.finished, out.isEmpty, !isEnding else { return }
        exchange = nil
        events.append(.streamClosed(current.id))
        if !current.requestEnded || !current.keepAlive || draining {
            isEnding = true
        } else {
            advance()
        }
    }

    mutating func beginDrain() {
        guard !isEnding, !draining else { return }
        draining = true
        if exchange == nil, out.isEmpty { isEnding = true }
    }

    // MARK: Early ends

    private mutating func refuse(_ refusal: HTTP1Refusal) {
        counters.refusals += 1
        if failure == nil { failure = .refused(status: refusal.status, reason: refusal.reason) }
        // Once a response has begun, an error message would be read as part of it.
        let answers = exchange?.framing == nil
        abandon(.protocolError)
        guard answers else { return }
        RefusalAnswer(refusal, requestID: refusalID(connection: name, number: counters.refusals)).write(to: &out, date: date)
    }

    /// Ends the exchange, if any, and the connection after what is in the buffer. `code`: what the owner is told; `nil` when it asked.
    private mutating func abandon(_ code: HTTP2ErrorCode?) {
        if let current = exchange {
            exchange = nil
            if let code, !current.finished || !current.requestEnded { events.append(.reset(current.id, code)) }
            events.append(.streamClosed(current.id))
        }
        decoder.discard()
        isEnding = true
    }
}
