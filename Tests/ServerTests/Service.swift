import Dispatch
import HTTP
import Platform
import Reactor
import Server
import TestSupport
import Testing

/// What the handler under test reports.
enum HandlerEvent: Sendable, Equatable {
    case handled(String)
    case closed(String, ExchangeEnd)
}

/// Routes that show every way to answer.
final class TestHandler: RequestHandler {
    private let report: AsyncStream<HandlerEvent>.Continuation
    private var held: [Exchange] = []

    init(_ report: AsyncStream<HandlerEvent>.Continuation) { self.report = report }

    func bodyLimit(for head: HTTPHead) -> Int { head.path == "/small" ? 100 : 64 << 20 }

    func streamsBody(for head: HTTPHead) -> Bool { head.path.hasPrefix("/live") }

    func handle(_ exchange: Exchange) {
        let report = report
        let path = exchange.head.path
        report.yield(.handled(path))
        exchange.onClosed = { report.yield(.closed(path, $0)) }
        switch path {
        case "/hello": exchange.respond(status: 200, headers: ["content-type": "text/plain"], body: Array("hello\n".utf8))
        case "/echo": exchange.respond(status: 200, body: exchange.takeBody())
        case "/size", "/small": exchange.respond(status: 200, body: Array("\(exchange.body.count)".utf8))
        case "/peer":
            let peer = exchange.peer.map(\.description) ?? "-"
            exchange.respond(status: 200, body: Array("\(exchange.head.scheme) \(exchange.isEncrypted) \(peer)".utf8))
        case "/stream", "/trailers": stream(exchange, bytes: Int(exchange.head.query ?? "") ?? 0, trailers: path == "/trailers")
        case "/flood": flood(exchange)
        case "/abort":
            exchange.beginStream(status: 200)
            exchange.write(Array("part".utf8))
            exchange.abort()
            exchange.write(Array("nothing".utf8))
            exchange.finish()
        case "/live-echo":
            exchange.beginStream(status: 200)
            exchange.onBody = { [unowned exchange] in exchange.write($0) }
            exchange.onBodyEnd = { [unowned exchange] in exchange.finish(trailers: ["x-end": "1"]) }
        case "/live-count":
            var count = 0
            exchange.onBody = { count += $0.byteCount }
            exchange.onBodyEnd = { [unowned exchange] in exchange.respond(status: 200, body: Array("\(count)".utf8)) }
        case "/live-early":
            exchange.onBody = { _ in report.yield(.handled("/bytes after the end")) }
            exchange.respond(status: 200, body: Array("early".utf8))
        case "/live-stream": stream(exchange, bytes: 10_000_000, trailers: false)
        case "/hold": held.append(exchange)
        case "/release":
            for waiting in held { waiting.respond(status: 200, body: Array("released\n".utf8)) }
            held = []
            exchange.respond(status: 200)
        default: exchange.respond(status: 404, body: Array("no such thing\n".utf8))
        }
    }

    /// As fast as the client takes it and no faster.
    private func stream(_ exchange: Exchange, bytes: Int, trailers: Bool) {
        exchange.beginStream(status: 200)
        var left = bytes
        let pump = { [unowned exchange] in
            while left > 0, !exchange.isFull, !exchange.isEnded {
                let count = min(left, 16 << 10)
                left -= count
                exchange.write([UInt8](repeating: UInt8(ascii: "x"), count: count))
            }
            if left == 0 { exchange.finish(trailers: trailers ? ["x-count": "\(bytes)"] : [:]) }
        }
        exchange.onDrained = pump
        pump()
    }

    /// Without looking at what the client takes.
    private func flood(_ exchange: Exchange) {
        exchange.beginStream(status: 200)
        for _ in 0..<100 { exchange.write([UInt8](repeating: 0, count: 64 << 10)) }
        exchange.finish()
    }
}

/// A server with the test handler on a reactor of its own.
struct Service {
    let reactor: Reactor
    let server: HTTPServer
    let endpoint: Endpoint
    let events: AsyncStream<HandlerEvent>

    var port: UInt16 { if case .tcp(_, let port) = endpoint { port } else { 0 } }
    var url: String { "http://\(endpoint)" }

    init(limits: ServerLimits = .manual, tls: TLSContext? = nil, shapeable: Bool = false, on text: String = "127.0.0.1:0") async throws {
        let report: AsyncStream<HandlerEvent>.Continuation
        (events, report) = AsyncStream.makeStream()
        reactor = try Reactor(name: "server")
        server = HTTPServer(on: reactor, limits: limits, shapeable: shapeable, handler: TestHandler(report))
        endpoint = try await server.listen(on: Endpoint(text), tls: tls)
    }

    func client(receiveBuffer: Int32? = nil) async throws -> LoopbackClient {
        try await LoopbackClient(port: port, receiveBuffer: receiveBuffer)
    }

    /// Ends everything and returns the final counts, in which nothing may be left open.
    @discardableResult
    func end(within limit: Duration = .seconds(20)) async -> ServerCounters {
        await server.drain(within: limit)
        let counters = await server.counters
        await reactor.shutdown()
        #expect(counters.connectionsOpen == 0)
        #expect(counters.exchangesOpen == 0)
        #expect(counters.bufferedRequestBytes == 0)
        return counters
    }

    /// Keeps the reactor from doing anything while `body` runs.
    func withReactorBusy<Result>(_ body: () async throws -> Result) async rethrows -> Result {
        let goOn = DispatchSemaphore(value: 0)
        await withCheckedContinuation { isBusy in
            reactor.submit {
                isBusy.resume()
                goOn.wait()
            }
        }
        defer { goOn.signal() }
        return try await body()
    }

    func next() async -> HandlerEvent? { await events.first { _ in true } }

    func closed(_ path: String) async -> ExchangeEnd? {
        for await event in events {
            if case .closed(path, let end) = event { return end }
        }
        return nil
    }

    /// The counters at the end of the turn in which everything that was asked of the server before was done. Reading them at once might
    /// come before that end, because the compiler joins calls to one actor.
    func countersNow() async -> ServerCounters { await server.counters { _ in true } }

    /// Waits until the counters satisfy `condition`, and for the turn in which they came to.
    @discardableResult
    func counters(where condition: @escaping @Sendable (ServerCounters) -> Bool) async -> ServerCounters {
        await server.counters(where: condition)
    }

    /// Lets the server look at its deadlines, each time `step` later, until the counters satisfy `condition`. More than one look is
    /// needed where bytes still move into the system's own buffers, which counts as progress; those are finite.
    func passTime(step: Duration, until condition: (ServerCounters) -> Bool) async {
        var ahead = Duration.zero
        while !condition(await server.counters) {
            ahead += step
            await server.checkDeadlines(ahead: ahead)
        }
    }
}

extension ServerLimits {
    /// Deadlines are looked at only when a test says so.
    static var manual: ServerLimits {
        var limits = ServerLimits()
        limits.tick = .seconds(3600)
        limits.evictableAfter = .zero
        return limits
    }
}

/// A whole HTTP/1.1 response of known length.
extension LoopbackClient {
    func response() throws -> (head: String, body: [UInt8]) {
        let head = try receive(until: "\r\n\r\n")
        let length = head.split(separator: "\r\n").first { $0.hasPrefix("content-length: ") }
        return (head, try receive(exactly: length.flatMap { Int($0.dropFirst(16)) } ?? 0))
    }

    func get(_ path: String) throws -> String {
        try send("GET \(path) HTTP/1.1\r\nhost: test\r\n\r\n")
        return String(decoding: try response().body, as: UTF8.self)
    }
}
