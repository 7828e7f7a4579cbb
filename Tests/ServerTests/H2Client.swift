import HTTP
import TestSupport

/// An HTTP/2 client that reads, and lets the server send, only what a test asks for.
actor H2Client {
    private let socket: LoopbackClient
    private let http: HTTPClientConnection
    private var events: [HTTPEvent] = []

    init(_ service: Service, limits: HTTPLimits = HTTPLimits()) async throws {
        socket = try await service.client()
        http = HTTPClientConnection(limits: limits)
    }

    /// Opens a stream, whole when `body` is nil.
    func request(_ method: String = "GET", _ target: String, body: [UInt8]? = nil) async throws -> StreamID {
        let parts = target.split(separator: "?", maxSplits: 1)
        let head = HTTPHead(
            method: method, scheme: "http", authority: "test", path: String(parts[0]),
            query: parts.count > 1 ? String(parts[1]) : nil)
        guard let id = http.request(head, endStream: body == nil) else { throw LoopbackClient.Failure(call: "request", code: 0) }
        if let body { http.write(id, body) }
        try await flush()
        return id
    }

    func send(_ stream: StreamID, _ bytes: [UInt8]) async throws {
        http.write(stream, bytes)
        try await flush()
    }

    func finish(_ stream: StreamID) async throws {
        http.finish(stream)
        try await flush()
    }

    func reset(_ stream: StreamID, _ code: HTTP2ErrorCode = .cancel) async throws {
        http.reset(stream, code)
        try await flush()
    }

    /// Lets the server send as much again as has come on the stream.
    func consume(_ stream: StreamID, _ count: Int) async throws {
        http.consumed(stream, count)
        try await flush()
    }

    func close() async { await socket.close() }

    func flush() async throws {
        var bytes: [UInt8] = []
        http.output(into: &bytes, maximum: 1 << 20)
        if !bytes.isEmpty { try await socket.send(bytes) }
    }

    /// The next event about `stream`; others are kept.
    func next(_ stream: StreamID) async throws -> HTTPEvent? {
        while true {
            if let index = events.firstIndex(where: { $0.stream == stream }) { return events.remove(at: index) }
            let bytes = try await socket.receive()
            guard !bytes.isEmpty else { return nil }
            http.receive(bytes)
            while let event = http.nextEvent() { events.append(event) }
            try await flush()
        }
    }

    func status(_ stream: StreamID) async throws -> Int? {
        while let event = try await next(stream) {
            if case .response(_, let head, _) = event { return head.status }
            if case .reset = event { return nil }
        }
        return nil
    }

    /// Body bytes of the stream until at least `count` have come, or its end.
    func body(_ stream: StreamID, atLeast count: Int, consuming: Bool) async throws -> Int {
        var received = 0
        while received < count, let event = try await next(stream) {
            switch event {
            case .body(_, let bytes):
                received += bytes.count
                if consuming { try await consume(stream, bytes.count) }
            case .streamClosed: return received
            default: break
            }
        }
        return received
    }

    /// The code with which the server reset the stream.
    func resetCode(_ stream: StreamID) async throws -> HTTP2ErrorCode? {
        while let event = try await next(stream) {
            if case .reset(_, let code) = event { return code }
            if case .streamClosed = event { return nil }
        }
        return nil
    }
}

extension HTTPEvent {
    var stream: StreamID? {
        switch self {
        case .request(let id, _, _), .response(let id, _, _), .body(let id, _), .bodyEnd(let id, _), .reset(let id, _),
            .drained(let id), .streamClosed(let id):
            id
        case .goingAway: nil
        }
    }
}
