@testable import HTTP

/// A client and a server connection joined in memory.
final class Loopback {
    let client: HTTPClientConnection
    let server: HTTPServerConnection
    private(set) var clientEvents: [HTTPEvent] = []
    private(set) var serverEvents: [HTTPEvent] = []
    /// Bytes that crossed, in each direction.
    private(set) var toServer = 0
    private(set) var toClient = 0

    init(client: HTTPLimits = HTTPLimits(), server: HTTPLimits = HTTPLimits()) {
        self.client = HTTPClientConnection(limits: client)
        self.server = HTTPServerConnection(protocol: .sniff, limits: server)
    }

    /// Moves bytes until neither side has any, and consumes every body at once when `consuming`.
    func pump(consuming: Bool = true) {
        var moved = true
        while moved {
            moved = false
            var bytes: [UInt8] = []
            if client.output(into: &bytes, maximum: 16 << 10) > 0 {
                toServer += bytes.count
                server.receive(bytes)
                moved = true
            }
            bytes = []
            drain(consuming)
            if server.output(into: &bytes, maximum: 16 << 10) > 0 {
                toClient += bytes.count
                client.receive(bytes)
                moved = true
            }
            drain(consuming)
        }
    }

    private func drain(_ consuming: Bool) {
        while let event = server.nextEvent() {
            serverEvents.append(event)
            if consuming, case .body(let id, let bytes) = event { server.consumed(id, bytes.count) }
        }
        while let event = client.nextEvent() {
            clientEvents.append(event)
            if consuming, case .body(let id, let bytes) = event { client.consumed(id, bytes.count) }
        }
    }

    func takeServerEvents() -> [HTTPEvent] {
        defer { serverEvents = [] }
        return serverEvents
    }

    func takeClientEvents() -> [HTTPEvent] {
        defer { clientEvents = [] }
        return clientEvents
    }

    /// A GET that has reached the server.
    func get(_ path: String = "/") -> StreamID {
        guard let id = client.request(.get(path), endStream: true) else { fatalError("the client accepts no request") }
        pump()
        return id
    }
}

extension HTTPHead {
    static func get(_ path: String = "/", headers: HTTPHeaders = [:]) -> HTTPHead {
        HTTPHead(method: "GET", scheme: "http", authority: "ferry", path: path, headers: headers)
    }

    static func post(_ path: String = "/", headers: HTTPHeaders = [:]) -> HTTPHead {
        HTTPHead(method: "POST", scheme: "http", authority: "ferry", path: path, headers: headers)
    }
}

extension HTTPServerConnection {
    /// What this connection makes of `text`: events, then the output that is there.
    func feed(_ text: String) -> [HTTPEvent] {
        receive(Array(text.utf8))
        return events()
    }

    func events() -> [HTTPEvent] {
        var events: [HTTPEvent] = []
        while let event = nextEvent() { events.append(event) }
        return events
    }

    /// Everything that is to be sent now.
    func sent() -> String {
        var bytes: [UInt8] = []
        while output(into: &bytes, maximum: 16 << 10) > 0 {}
        return String(decoding: bytes, as: UTF8.self)
    }
}

func body(_ events: [HTTPEvent], of stream: StreamID) -> [UInt8] {
    var all: [UInt8] = []
    for case .body(stream, let bytes) in events { all += bytes }
    return all
}

func text(_ events: [HTTPEvent], of stream: StreamID) -> String { String(decoding: body(events, of: stream), as: UTF8.self) }
