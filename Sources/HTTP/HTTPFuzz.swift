/// Entry points for hostile input: they return whatever the bytes are, and trap only where this module breaks its own promises.
package enum HTTPFuzz {
    /// What a connection made of its input.
    package struct Transcript: Equatable, Sendable {
        /// Pieces of one body are joined, so that the result does not depend on how the input was cut.
        package var events: [HTTPEvent] = []
        package var output: [UInt8] = []
        package var failure: HTTPError?
    }

    /// A server in clear is fed `bytes` in pieces of `piece`, answers every complete request with its body, and sees the peer leave.
    package static func connection(_ bytes: [UInt8], piece: Int = .max, limits: HTTPLimits = HTTPLimits()) -> Transcript {
        let connection = HTTPServerConnection(protocol: .sniff, limits: limits)
        var bodies: [StreamID: [UInt8]] = [:]

        func answer(_ id: StreamID) {
            connection.respond(id, ResponseHead(status: 200), endStream: false)
            connection.write(id, bodies[id] ?? [])
            connection.finish(id, trailers: ["x-end": "1"])
        }
        let transcript = run(connection, bytes, piece) { event in
            switch event {
            case .request(let id, _, endOfBody: true): answer(id)
            case .request(let id, _, endOfBody: false): bodies[id] = []
            case .body(let id, let part):
                precondition(!part.isEmpty, "an empty body event")
                bodies[id, default: []].append(contentsOf: part)
                connection.consumed(id, part.count)
            case .bodyEnd(let id, _): answer(id)
            case .streamClosed(let id): bodies[id] = nil
            default: break
            }
        }
        precondition(connection.openStreams == 0 && !connection.wantsRead, "a closed connection goes on")
        return transcript
    }

    /// An HTTP/2 client that has sent one request is fed `bytes` as the server's.
    package static func client(_ bytes: [UInt8], piece: Int = .max) -> Transcript {
        let connection = HTTPClientConnection()
        let head = HTTPHead(method: "GET", scheme: "http", authority: "a", path: "/")
        guard let id = connection.request(head, endStream: true) else { preconditionFailure("a fresh client cannot ask") }
        return run(connection, bytes, piece, open: [id]) { event in
            if case .body(let id, let part) = event { connection.consumed(id, part.count) }
        }
    }

    /// Feeds `bytes` for as long as the connection reads, then closes it from the other side.
    private static func run(
        _ connection: some FuzzedConnection, _ bytes: [UInt8], _ piece: Int, open: Set<StreamID> = [], perform: (HTTPEvent) -> Void
    ) -> Transcript {
        var transcript = Transcript(), ledger = StreamLedger(open: open)
        func drain() {
            while let event = connection.nextEvent() {
                ledger.check(event)
                perform(event)
                transcript.add(event)
            }
        }
        func flush() {
            drain()
            while connection.output(into: &transcript.output, maximum: 4096) > 0 { drain() }
            drain()
        }
        flush()
        var start = 0
        while start < bytes.count, connection.wantsRead {
            let end = piece < bytes.count - start ? start + piece : bytes.count
            connection.receive(Array(bytes[start..<end]))
            flush()
            start = end
        }
        transcript.failure = connection.failure
        connection.peerClosed()
        flush()
        precondition(ledger.open.isEmpty, "streams \(ledger.open) never closed")
        return transcript
    }
}

/// What both ends of a connection have.
private protocol FuzzedConnection: AnyObject {
    var wantsRead: Bool { get }
    var failure: HTTPError? { get }
    func receive(_ bytes: [UInt8])
    func nextEvent() -> HTTPEvent?
    func output(into buffer: inout [UInt8], maximum: Int) -> Int
    func peerClosed()
}

extension HTTPServerConnection: FuzzedConnection {}
extension HTTPClientConnection: FuzzedConnection {}

extension HTTPFuzz.Transcript {
    fileprivate mutating func add(_ event: HTTPEvent) {
        guard case .body(let id, let part) = event else {
            events.append(event)
            return
        }
        // Another stream's events may stand between two pieces.
        let index = events.lastIndex { if case .body(id, _) = $0 { true } else { false } }
        if let index, case .body(_, let before) = events[index] {
            events[index] = .body(id, before + part)
        } else {
            events.append(event)
        }
    }
}

/// Checks that streams live as `HTTPEvent` promises.
private struct StreamLedger {
    private(set) var open: Set<StreamID>
    private var ended: Set<StreamID> = []

    init(open: Set<StreamID>) { self.open = open }

    mutating func check(_ event: HTTPEvent) {
        switch event {
        case .request(let id, _, let endOfBody):
            precondition(open.insert(id).inserted, "stream \(id) opened twice")
            if endOfBody { ended.insert(id) }
        case .response(let id, _, let endOfBody):
            precondition(open.contains(id), "a response on stream \(id), which is not open")
            if endOfBody { ended.insert(id) }
        case .body(let id, _): precondition(open.contains(id) && !ended.contains(id), "a body on stream \(id) out of order")
        case .bodyEnd(let id, _): precondition(open.contains(id) && ended.insert(id).inserted, "stream \(id) ended out of order")
        case .reset(let id, _): precondition(open.contains(id), "a reset of stream \(id), which is not open")
        case .drained(let id): precondition(open.contains(id), "stream \(id) drained, which is not open")
        case .streamClosed(let id): precondition(open.remove(id) != nil, "stream \(id) closed twice")
        case .goingAway: break
        }
    }
}
