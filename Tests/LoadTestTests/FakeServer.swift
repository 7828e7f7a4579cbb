import Dispatch
import HTTP
import Platform
import Reactor
import Server
import Synchronization
import Testing

@testable import LoadTest

/// How the fake server treats a request.
enum Behaviour: Sendable {
    /// So many tokens, each this long after the one before (zero: all at once).
    case answer(tokens: Int, every: Duration = .zero)
    case refuse(status: Int, code: String)
    /// An error event after so many tokens.
    case breakOff(tokens: Int, code: String)
    /// RST_STREAM, or the end of the connection, after so many tokens.
    case abort(tokens: Int)
    /// The head and so many tokens, and then nothing.
    case hang(tokens: Int)
    /// Nothing at all.
    case hold
    /// Nothing until so many requests are held; then all of them are answered with one token.
    case holdUntil(Int)
    /// A body of so many bytes that is no event.
    case flood(bytes: Int)
}

/// What the fake server saw and did of one request, on the machine's monotonic clock.
struct ServerLog: Sendable {
    var arrived: MonotonicInstant
    var path: String
    var body: JSON
    var connection: String
    /// Just before each token was written.
    var tokens: [MonotonicInstant] = []
    var end: ExchangeEnd?
}

/// Real sockets, scripted answers. A request says what its number is by its prompt, a number as text.
actor FakeServer: RequestActor {
    private nonisolated let reactor: Reactor
    private let script: @Sendable (Int) -> Behaviour
    private let whenArrived: (@Sendable (Int) -> Void)?
    private(set) var logs: [Int: ServerLog] = [:]
    private(set) var posts: [String] = []
    private var held: [Exchange] = []
    private var timers: [Int: ReactorTimer] = [:]

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe reactor.asUnownedSerialExecutor() }

    init(on reactor: Reactor, whenArrived: (@Sendable (Int) -> Void)? = nil, script: @escaping @Sendable (Int) -> Behaviour) {
        self.reactor = reactor
        self.script = script
        self.whenArrived = whenArrived
    }

    func bodyLimit(for head: HTTPHead) -> Int { 1 << 20 }

    func handle(_ exchange: Exchange) {
        switch exchange.head.path {
        case "/metrics": return exchange.respond(status: 200, body: Array("# HELP a b\na_total{x=\"1\"} 2\na_total{x=\"}\"} 3.5\n".utf8))
        case "/links":
            posts.append(String(decoding: exchange.takeBody(), as: UTF8.self))
            return exchange.respond(status: 200)
        default: break
        }
        let now = SystemClock().now
        let body = (try? JSON(parsing: exchange.takeBody())) ?? .null
        let prompt = body["messages"]?.array?.last?["content"]?.string ?? body["prompt"]?.string ?? ""
        let number = Int(prompt) ?? -1
        logs[number] = ServerLog(arrived: now, path: exchange.head.path, body: body, connection: exchange.peer.map { "\($0)" } ?? "")
        exchange.onClosed = { self.closed(number, $0) }
        whenArrived?(number)
        perform(script(number), number, exchange, streams: body["stream"]?.bool ?? false)
    }

    private func closed(_ number: Int, _ end: ExchangeEnd) {
        logs[number]?.end = end
        timers.removeValue(forKey: number)?.close()
    }

    private func perform(_ behaviour: Behaviour, _ number: Int, _ exchange: Exchange, streams: Bool) {
        switch behaviour {
        case .refuse(let status, let code):
            exchange.respond(status: status, headers: ["content-type": "application/json"], body: Array("{\"error\":{\"message\":\"m\",\"code\":\"\(code)\"}}".utf8))
        case .answer(let tokens, _) where !streams:
            logs[number]?.tokens = [SystemClock().now]
            let text = String(repeating: "t", count: tokens)
            let body = "{\"choices\":[{\"message\":{\"content\":\"\(text)\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":\(tokens)}}"
            exchange.respond(status: 200, headers: ["content-type": "application/json"], body: Array(body.utf8))
        case .answer(let tokens, let interval):
            exchange.beginStream(status: 200, headers: ServerSentEvents.headers)
            guard interval > .zero else {
                for _ in 0..<tokens { token(number, exchange) }
                return finish(exchange, tokens)
            }
            var left = tokens
            timers[number] = ReactorTimer(on: reactor, after: interval, repeating: interval) {
                self.token(number, exchange)
                left -= 1
                if left == 0 {
                    self.timers.removeValue(forKey: number)?.close()
                    self.finish(exchange, tokens)
                }
            }
        case .breakOff(let tokens, let code):
            exchange.beginStream(status: 200, headers: ServerSentEvents.headers)
            for _ in 0..<tokens { token(number, exchange) }
            exchange.write(Array("data: {\"error\":{\"message\":\"m\",\"code\":\"\(code)\"}}\n\n".utf8))
            exchange.finish()
        case .abort(let tokens):
            exchange.beginStream(status: 200, headers: ServerSentEvents.headers)
            for _ in 0..<tokens { token(number, exchange) }
            exchange.abort()
        case .hang(let tokens):
            exchange.beginStream(status: 200, headers: ServerSentEvents.headers)
            for _ in 0..<tokens { token(number, exchange) }
            held.append(exchange)
        case .hold: held.append(exchange)
        case .holdUntil(let count):
            held.append(exchange)
            guard held.count == count else { return }
            for waiting in held {
                waiting.beginStream(status: 200, headers: ServerSentEvents.headers)
                waiting.write(Array("data: {\"choices\":[{\"delta\":{\"content\":\"t\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n".utf8))
                waiting.finish()
            }
            held = []
        case .flood(let bytes):
            exchange.beginStream(status: 200, headers: ServerSentEvents.headers)
            exchange.write([UInt8](repeating: UInt8(ascii: "x"), count: bytes))
            exchange.finish()
        }
    }

    private func token(_ number: Int, _ exchange: Exchange) {
        guard !exchange.isEnded else { return }
        logs[number]?.tokens.append(SystemClock().now)
        exchange.write(Array("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"t\(number) \"},\"finish_reason\":null}],\"usage\":null}\n\n".utf8))
    }

    private func finish(_ exchange: Exchange, _ tokens: Int) {
        let usage = "{\"prompt_tokens\":3,\"completion_tokens\":\(tokens)}"
        exchange.write(Array("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[],\"usage\":\(usage)}\n\ndata: [DONE]\n\n".utf8))
        exchange.finish()
    }
}

/// The fake server, and the driver's reactor beside it.
struct FakeService {
    let serverReactor: Reactor
    let reactor: Reactor
    let fake: FakeServer
    let server: HTTPServer
    let endpoint: Endpoint
    let clock = FirstReading()

    init(
        on text: String = "127.0.0.1:0", tls: TLSContext? = nil, whenArrived: (@Sendable (Int) -> Void)? = nil,
        script: @escaping @Sendable (Int) -> Behaviour
    ) async throws {
        serverReactor = try Reactor(name: "fake")
        reactor = try Reactor(name: "driver")
        fake = FakeServer(on: serverReactor, whenArrived: whenArrived, script: script)
        server = HTTPServer(on: serverReactor, actor: fake)
        endpoint = try await server.listen(on: Endpoint(text), tls: tls)
    }

    var url: String { if case .unix(let path) = endpoint { "unix:\(path)" } else { "http://\(endpoint)" } }

    func run(_ source: some RequestSource, _ version: WireVersion = .http1, url: String? = nil, _ change: (inout DriveSettings) -> Void = { _ in }) async throws -> RunRecord {
        var settings = DriveSettings(target: try Target(url ?? self.url))
        settings.version = version
        settings.model = "fake"
        change(&settings)
        return try await Driver.run(settings, source, on: reactor, clock: clock).record
    }

    /// The instant of a time of the record.
    func instant(_ time: Duration) -> MonotonicInstant { clock.first.advanced(by: time) }

    /// Returns when the server has no connection left.
    func noConnections() async { _ = await server.counters { $0.connectionsOpen == 0 } }

    func end() async {
        await reactor.shutdown()
        await server.drain(within: .zero)
        await serverReactor.shutdown()
    }
}

/// The system's clock, which remembers its first reading: the run's start.
final class FirstReading: MonotonicClock {
    private let firstNanoseconds = Atomic<UInt64>(0)

    var first: MonotonicInstant { MonotonicInstant(nanoseconds: firstNanoseconds.load(ordering: .relaxed)) }

    var now: MonotonicInstant {
        let now = SystemClock().now
        _ = firstNanoseconds.compareExchange(expected: 0, desired: now.nanoseconds, ordering: .relaxed)
        return now
    }
}

extension RequestSource where Self == ListedRequests {
    /// Requests whose prompts are their numbers.
    static func numbered(_ count: Int, due: Duration? = nil, every interval: Duration = .zero, _ change: (inout PlannedRequest) -> Void = { _ in }) -> ListedRequests {
        ListedRequests(
            (0..<count).map { number in
                var request = PlannedRequest(number: number, due: due.map { $0 + interval * number }, prompt: .text("\(number)"), maximumOutputTokens: 8)
                change(&request)
                return request
            })
    }
}
