internal import Platform

/// The server's side of one connection, any version of HTTP, without sockets, threads or clocks.
///
/// The rhythm: feed what the socket gave (`receive`), drain `nextEvent()`, perform, then take `output` for the socket until the socket's
/// own queue is full, and drain the events again: sending lets streams end and waiting requests begin. Read from the socket while
/// `wantsRead`. When `isFinished`, shut down the sending side, read and discard for a moment, and close: the client may still be sending,
/// and closing at once would answer that with a reset, which could destroy the last answer.
///
/// Calls that name a stream that has ended do nothing: the peer may end any stream at any time.
/// Not Sendable; belongs to one thread. No call is re-entrant, and none calls out but `receive` with `bodies`.
package final class HTTPServerConnection {
    package enum Negotiated: Sendable {
        /// In clear: the first bytes decide between HTTP/1.1 (with `Upgrade: h2c`) and HTTP/2.
        case sniff
        case http1
        case http2
    }

    private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    private let limits: HTTPLimits
    private var sniffed: [UInt8]?
    private var http1: HTTP1Server?
    private var http2: HTTP2Session?
    /// HTTP/1.1 output that goes before the first HTTP/2 frame.
    private var prelude = ByteQueue()
    /// Bytes that may still go out after 101 before the client's own preface has come; `nil`: any number.
    private var upgradeAllowance: Int?
    private var isClosedEarly = false
    private var sent = 0
    private var received = 0

    /// `scheme`: what requests in origin form are taken to have used.
    package init(protocol negotiated: Negotiated, scheme: String = "http", limits: HTTPLimits = HTTPLimits()) {
        self.limits = limits
        switch negotiated {
        case .sniff:
            sniffed = []
            http1 = HTTP1Server(limits: limits, scheme: scheme)
        case .http1: http1 = HTTP1Server(limits: limits, scheme: scheme)
        case .http2: http2 = HTTP2Session(side: .server, limits: limits)
        }
    }

    /// The `date` of responses, as `HTTPDate` writes it; the owner renews it about once a second. Empty: no such field.
    package var date = "" {
        didSet {
            http1?.date = date
            http2?.date = date
        }
    }

    /// 16 characters that no other connection has: the beginning of the `x-request-id` of requests that the connection itself
    /// refuses. Empty: those answers have none.
    package var name = "" {
        didSet {
            http1?.name = name
            http2?.name = name
        }
    }

    // MARK: State

    /// `nil` while the first bytes have not decided.
    package var version: HTTPVersion? { http2 != nil ? .http2 : sniffed == nil ? .http11 : nil }

    /// Whether to read from the socket. False: it would only pile up.
    package var wantsRead: Bool { !isClosedEarly && (http2?.wantsRead ?? http1?.wantsRead ?? false) }

    package var hasOutput: Bool {
        if !prelude.isEmpty { return true }
        return upgradeAllowance ?? 1 > 0 && (http2?.hasOutput ?? http1?.hasOutput ?? false)
    }

    /// Nothing more will be sent or is awaited.
    package var isFinished: Bool { isClosedEarly || (prelude.isEmpty && (http2?.isFinished ?? http1?.isFinished ?? true)) }

    package var openStreams: Int { http2?.streams.count ?? http1?.openStreams ?? 0 }

    /// Part of a request's head has arrived (or, in clear, nothing yet that decides the protocol): a client may not stay so for long.
    package var isReceivingHead: Bool { http2 == nil && (sniffed?.isEmpty == false || http1?.isReceivingHead == true) }

    /// The connection was switched to HTTP/2 and its client has not sent the preface: next to nothing may be sent to it, no word of
    /// farewell either, so a client may not stay so for long.
    package var awaitsPreface: Bool { upgradeAllowance != nil }

    /// Why the connection ended, when it ended early.
    package var failure: HTTPError? { http2?.failure ?? http1?.failure }

    package var counters: HTTPCounters {
        var counters = http2?.counters ?? http1?.counters ?? HTTPCounters()
        counters.bytesReceived = received
        counters.bytesSent = sent
        return counters
    }

    /// Response bytes that wait on all streams.
    package var bufferedBytes: Int { http2?.bufferedBytes ?? http1?.bufferedBytes(currentHTTP1Stream) ?? 0 }

    private var currentHTTP1Stream: StreamID { http1?.currentStream ?? 0 }

    // MARK: Input

    /// - Parameter bodies: over HTTP/2, gets the pieces of bodies where they lie in `bytes`, instead of `body` events. Drain the events
    ///   first when it is called: they came before. Everything may be called inside but this method; `consumed` is still the owner's to say.
    package func receive(_ bytes: RawSpan, bodies: (StreamID, RawSpan) -> Void) {
        guard bytes.byteCount > 0, !isClosedEarly else { return }
        received += bytes.byteCount
        if sniffed != nil {
            sniff(bytes) { $0.receive($1, bodies: bodies) }
        } else if let http2 {
            upgradeAllowance = nil
            http2.receive(bytes, bodies: bodies)
        } else {
            http1?.receive(bytes)
            upgradeIfAsked()
        }
    }

    package func receive(_ bytes: RawSpan) {
        guard bytes.byteCount > 0, !isClosedEarly else { return }
        received += bytes.byteCount
        if sniffed != nil {
            sniff(bytes) { $0.receive($1) }
        } else if let http2 {
            upgradeAllowance = nil
            http2.receive(bytes)
        } else {
            http1?.receive(bytes)
            upgradeIfAsked()
        }
    }

    package func receive(_ bytes: [UInt8]) { unsafe receive(bytes.span.bytes) }

    /// Holds bytes back while they could be the start of the preface.
    private func sniff(_ bytes: RawSpan, receiving: (HTTP2Session, RawSpan) -> Void) {
        var first = sniffed ?? []
        unsafe bytes.withUnsafeBytes { unsafe first.append(contentsOf: $0) }
        let preface = HTTPServerConnection.preface
        let isPrefix = first.prefix(preface.count).elementsEqual(preface.prefix(first.count))
        guard !isPrefix || first.count >= preface.count else {
            sniffed = first
            return
        }
        sniffed = nil
        if isPrefix {
            let session = HTTP2Session(side: .server, limits: limits)
            session.date = date
            session.name = name
            http2 = session
            http1 = nil
            receiving(session, first.rawSpan)
        } else {
            unsafe http1?.receive(first.span.bytes)
            upgradeIfAsked()
        }
    }

    private func upgradeIfAsked() {
        guard let settings = http1?.upgradeSettings, let counters = http1?.counters, let events = http1?.events,
            let (isHead, prelude, remainder) = http1?.takeOver()
        else { return }
        let session = HTTP2Session(side: .server, limits: limits, events: events, counters: counters)
        session.date = date
        session.name = name
        self.prelude = prelude
        http1 = nil
        http2 = session
        guard session.upgrade(settings: settings, isHead: isHead) else {
            preconditionFailure("settings that were found valid were refused: \(settings)")
        }
        // curl 7.88 gives up when more than 32 KiB arrive behind a 101 at once: 8 KiB and one frame stay below.
        upgradeAllowance = remainder.isEmpty ? 8 << 10 : nil
        if !remainder.isEmpty { unsafe session.receive(remainder.span.bytes) }
    }

    package func nextEvent() -> HTTPEvent? {
        if let http2 { return http2.events.next() }
        return http1?.events.next()
    }

    /// The owner is done with `count` bytes of a `body`; the client may send as many more.
    package func consumed(_ stream: StreamID, _ count: Int) {
        if let http2 {
            http2.consumed(stream, count)
        } else {
            http1?.consumed(stream, count)
            upgradeIfAsked()
        }
    }

    /// The socket reached its end or failed. Open streams are reset with CANCEL.
    package func peerClosed() {
        if sniffed != nil {
            isClosedEarly = true
        } else if let http2 {
            http2.peerClosed()
            prelude.removeAll()
        } else {
            http1?.peerClosed()
        }
    }

    /// The owner's patience with an incomplete request, or with an idle connection, is over: 408 or a plain close; GOAWAY over HTTP/2.
    package func expire() {
        if sniffed != nil {
            isClosedEarly = true
        } else if let http2 {
            http2.expire()
        } else {
            http1?.expire()
        }
    }

    // MARK: Output

    /// Begins the response. With `endStream` it is complete; otherwise `write` and `finish` follow.
    package func respond(_ stream: StreamID, _ head: ResponseHead, endStream: Bool) {
        if let http2 {
            http2.respond(stream, head, endStream: endStream)
        } else {
            http1?.respond(stream, head, endStream: endStream)
        }
    }

    /// Appends to the response's body and returns how many bytes of the stream now wait. Above `HTTPLimits.highWater` the producer
    /// should stop until `drained`; a write that finds more than `maximumBufferedOutput` waiting resets the stream.
    @discardableResult
    package func write(_ stream: StreamID, _ bytes: RawSpan) -> Int {
        if let http2 { return http2.write(stream, bytes) }
        return http1?.write(stream, bytes) ?? 0
    }

    @discardableResult
    package func write(_ stream: StreamID, _ bytes: consuming [UInt8]) -> Int {
        if let http2 { return http2.write(stream, bytes) }
        return http1?.write(stream, bytes.rawSpan) ?? 0
    }

    /// Completes the response. Trailers are sent over HTTP/2 and in chunked bodies, and dropped elsewhere.
    package func finish(_ stream: StreamID, trailers: HTTPHeaders = [:]) {
        if let http2 { http2.finish(stream, trailers: trailers) } else { http1?.finish(stream, trailers: trailers) }
    }

    /// Breaks the stream off. HTTP/1.1 can only do so by closing the connection.
    package func reset(_ stream: StreamID, _ code: HTTP2ErrorCode) {
        if let http2 { http2.reset(stream, code) } else { http1?.reset(stream) }
    }

    /// HTTP/2: the response is complete, the request is not, and what still comes of it is thrown away: up to a stream's window by
    /// itself, and until the owner calls `stopBody`.
    package func isDiscarding(_ stream: StreamID) -> Bool { http2?.isDiscarding(stream) ?? false }

    package func stopBody(_ stream: StreamID) { http2?.stopBody(stream) }

    package func bufferedBytes(_ stream: StreamID) -> Int { http2?.bufferedBytes(stream) ?? http1?.bufferedBytes(stream) ?? 0 }

    /// Appends bytes for the socket to `buffer`, about `maximum` of them (HTTP/2 frames stay whole: up to `HTTPLimits.maximumFrame` and 9 more).
    /// Returns how many; 0 when there is nothing to send now.
    @discardableResult
    package func output(into buffer: inout [UInt8], maximum: Int) -> Int {
        var pieces = HTTPOutput()
        let count = output(into: &pieces, maximum: maximum)
        buffer.append(contentsOf: &pieces)
        return count
    }

    /// The same without copying what was written in large arrays.
    @discardableResult
    package func output(into buffer: inout HTTPOutput, maximum: Int) -> Int {
        guard maximum > 0, !isClosedEarly else { return 0 }
        let start = buffer.count
        if !prelude.isEmpty { prelude.move(prelude.count, to: &buffer) }
        let room = min(maximum - (buffer.count - start), upgradeAllowance ?? .max)
        if room > 0 {
            if let http2 {
                let before = buffer.count
                http2.output(into: &buffer, maximum: room)
                if let allowance = upgradeAllowance { upgradeAllowance = allowance - (buffer.count - before) }
            } else {
                buffer.append { http1?.output(into: &$0, maximum: room) }
                upgradeIfAsked()
            }
        }
        sent += buffer.count - start
        return buffer.count - start
    }

    // MARK: End

    /// No new requests: open ones are served to their end, then `isFinished`. HTTP/2: a GOAWAY that still accepts what is on its way,
    /// then, when the client has seen it, the final one. HTTP/1.1: `connection: close` on the response in hand.
    package func beginDrain() {
        if sniffed != nil {
            isClosedEarly = true
        } else if let http2 {
            http2.beginDrain()
        } else {
            http1?.beginDrain()
        }
    }

    /// HTTP/2: sends the final GOAWAY without waiting for the client. Requests that arrive later are ignored.
    package func finishDrain() { http2?.finishDrain() }
}
