internal import HTTP
internal import Platform
internal import Reactor

/// An HTTP/2 connection with up to a chosen number of streams.
final class HTTP2Carrier: Carrier {
    let number: Int
    private let stream: any ByteStream
    private let transport: TCPStream
    private let target: Target
    private let clock: any MonotonicClock
    private weak let owner: (any CarrierOwner)?
    private let http: HTTPClientConnection
    private let streamLimit: Int
    private var sinks: [Ticket: any AnswerSink] = [:]
    /// The server took no more at this many open streams; nil once one has closed.
    private var isFull = false
    private var knowsLimits = false
    private var isOver = false
    /// A client on it has reset it.
    private var hasVanished = false
    private var isInTurnEnd = false
    private var output = HTTPOutput()
    /// When the bytes now being received were read.
    private var time: MonotonicInstant

    /// What a socket's queue is filled up to.
    private static let socketQueue = 256 << 10

    init(
        over stream: any ByteStream, _ transport: TCPStream, target: Target, streams: Int, window: Int, number: Int,
        clock: any MonotonicClock, owner: any CarrierOwner
    ) {
        self.stream = stream
        self.transport = transport
        self.target = target
        self.number = number
        self.clock = clock
        self.owner = owner
        streamLimit = streams
        time = clock.now
        var limits = HTTPLimits()
        limits.maximumConcurrentStreams = streams
        limits.streamWindow = window
        // Streams that are read slowly hold their own windows only.
        limits.connectionWindow = min(Int(Int32.max), max(64 << 10, window) * (streams + 1))
        // A server may reset as many as it likes: that is a figure.
        limits.resetBurst = 1 << 30
        limits.maximumStreamErrors = 1 << 30
        http = HTTPClientConnection(limits: limits)
        stream.drainMark = Self.socketQueue / 2
        stream.receiver = self
        stream.resumeReading()
        flushLater()
    }

    var room: Int { isOver || isFull || http.peerIsLeaving ? 0 : max(0, streamLimit - sinks.count) }

    func send(_ request: OutgoingRequest, for sink: any AnswerSink) -> Ticket? {
        guard room > 0 else { return nil }
        let head = HTTPHead(
            method: request.method, scheme: target.scheme, authority: target.authority, path: request.target, headers: request.headers)
        guard let ticket = http.request(head, endStream: request.body.isEmpty) else {
            isFull = true
            return nil
        }
        sinks[ticket] = sink
        if !request.body.isEmpty {
            http.write(ticket, request.body)
            http.finish(ticket)
        }
        flushLater()
        return ticket
    }

    func cancel(_ ticket: Ticket, byReset: Bool) {
        guard sinks.removeValue(forKey: ticket) != nil, !isOver else { return }
        if byReset {
            isOver = true
            hasVanished = true
            return stream.reset(transport)
        }
        http.reset(ticket, .cancel)
        flushLater()
    }

    func setReading(_ ticket: Ticket, _ reads: Bool) {}

    func giveBack(_ ticket: Ticket, _ count: Int) {
        guard count > 0, !isOver else { return }
        http.consumed(ticket, count)
        flushLater()
    }

    func close() {
        guard !isOver else { return }
        isOver = true
        stream.close()
    }

    // MARK: Events

    private func drainEvents() {
        while let event = http.nextEvent() { perform(event) }
    }

    private func perform(_ event: HTTPEvent) {
        switch event {
        case .response(let id, let head, let isWhole):
            sinks[id]?.began(status: head.status, head.headers, at: time)
            if isWhole { sinks.removeValue(forKey: id)?.ended(at: time) }
        case .body(let id, let bytes):
            take(id, bytes.rawSpan)
        case .bodyEnd(let id, _): sinks.removeValue(forKey: id)?.ended(at: time)
        case .reset(let id, let code):
            sinks.removeValue(forKey: id)?.failed("the server reset the stream: \(code)", at: time)
        case .streamClosed(let id):
            sinks.removeValue(forKey: id)?.failed("the stream ended without an answer", at: time)
            isFull = false
            if room > 0 { owner?.carrierHasRoom(self) }
        case .goingAway, .drained, .request: break
        }
    }

    private func take(_ id: Ticket, _ bytes: RawSpan) {
        guard let sink = sinks[id] else { return http.consumed(id, bytes.byteCount) }
        sink.received(bytes, at: time)
        if !sink.withholds { http.consumed(id, bytes.byteCount) }
    }

    // MARK: Output

    private func flushLater() {
        guard !isInTurnEnd, !isOver else { return }
        isInTurnEnd = true
        stream.reactor.atTurnEnd(self)
    }

    private func flush() {
        while !isOver {
            let count = http.output(into: &output, maximum: Self.socketQueue - stream.queuedBytes)
            if count > 0 { output.drain(small: { stream.write($0) }, large: { stream.write($0, $1) }) }
            drainEvents()
            if count == 0 { break }
        }
        if !isOver, http.isFinished { close() }
    }

    private func end(_ reason: String) {
        isOver = true
        let left = sinks.sorted { $0.key < $1.key }
        sinks = [:]
        for (_, sink) in left { if hasVanished { sink.takenAlong(at: time) } else { sink.failed(reason, at: time) } }
    }
}

extension HTTP2Carrier: TurnEndParticipant {
    func turnEnds() {
        flush()
        isInTurnEnd = false
    }
}

extension HTTP2Carrier: ByteStreamReceiver {
    func stream(_ stream: any ByteStream, didReceive bytes: RawSpan) {
        guard !isOver else { return }
        time = clock.now
        http.receive(bytes) { id, piece in
            drainEvents()
            take(id, piece)
        }
        drainEvents()
        if !knowsLimits, http.hasPeerSettings {
            // Before, the protocol's own guess of 100 streams held.
            knowsLimits = true
            isFull = false
            if room > 0 { owner?.carrierHasRoom(self) }
        }
        flushLater()
    }

    func streamDidReachEnd(_ stream: any ByteStream) {
        time = clock.now
        end("the server closed the connection")
        stream.close()
    }

    func streamDidDrain(_ stream: any ByteStream) { flushLater() }

    func streamDidClose(_ stream: any ByteStream, _ reason: StreamEnd) {
        time = clock.now
        var text = reason.description
        if reason == .closed { text = http.failure.map { "\($0)" } ?? "the connection was closed" }
        end(text)
        owner?.carrierClosed(self)
    }
}
