import Gateway
import Inference
import Logging
import Platform
import Reactor
import Server
import Telemetry
import TestSupport
import Testing
import Wire

/// A gateway behind a real socket, with a scripted worker.
struct GatewayStage {
    let reactor: Reactor
    let server: HTTPServer
    let gateway: Gateway
    let worker: ScriptedWorker
    let registry = MetricRegistry()
    let log = LogLines()
    let port: UInt16
    private let running: Task<Void, Never>

    init(
        sequenceLimit: Int = 200, attaches: Bool = true, limits: ServerLimits = ServerLimits(),
        clock: any MonotonicClock = SystemClock(),
        configure: (inout GatewayConfiguration) throws -> Void = { _ in }
    ) async throws {
        var configuration = GatewayConfiguration()
        try configure(&configuration)
        reactor = try Reactor(name: "gateway")
        worker = ScriptedWorker(sequenceLimit: sequenceLimit)
        let log = log
        let logger = Logger(label: "gateway") { label in
            LineLogHandler(
                label: label, configuration: LogConfiguration(), level: LogLevel(.info), output: LogOutput(write: { log.add($0) }, now: { 0 }))
        }
        let gateway = Gateway(
            on: reactor, model: try TinyModel.served(), configuration: configuration, metrics: registry, logger: logger, clock: clock)
        self.gateway = gateway
        if attaches { await gateway.attach(worker) }
        running = Task { await gateway.run() }
        server = HTTPServer(on: reactor, limits: limits, actor: gateway)
        guard case .tcp(_, let port) = try await server.listen(on: Endpoint("127.0.0.1:0")) else { preconditionFailure("not TCP") }
        self.port = port
    }

    func client(receiveBuffer: Int32? = nil) async throws -> LoopbackClient {
        try await LoopbackClient(port: port, receiveBuffer: receiveBuffer)
    }

    /// Ends everything. Nothing may be left: no request, sequence, permit, nor token in the queue.
    func end() async {
        await gateway.idle()
        await server.drain(within: .seconds(10))
        let status = gateway.status
        #expect(status.requests == 0)
        #expect(status.sequences == 0)
        #expect(status.permits == 0)
        #expect(registry.gauge(.queuedPromptTokens).value == 0)
        gateway.stop()
        await running.value
        await reactor.shutdown()
    }
}

extension Gateway {
    /// Returns when everything that was on its way to the reactor has been done.
    func settle() {
        // An empty body would let the optimiser leave out the hop.
        preconditionIsolated()
    }
}

/// What was logged.
final class LogLines: Sendable {
    private let lines = AsyncStream<String>.makeStream()
    func add(_ bytes: [UInt8]) { lines.continuation.yield(String(decoding: bytes, as: UTF8.self)) }

    func next(containing text: String) async -> String? {
        for await line in lines.stream where line.contains(text) { return line }
        return nil
    }
}

struct Answer: Sendable {
    let status: Int
    let head: String
    let body: String
    var json: JSON { (try? JSON(parsing: body)) ?? .null }

    func header(_ name: String) -> String? {
        head.split(separator: "\r\n").first { $0.hasPrefix(name + ": ") }.map { String($0.dropFirst(name.count + 2)) }
    }
}

extension LoopbackClient {
    func post(_ path: String, _ body: String, headers: [String] = ["content-type: application/json"]) throws {
        let extra = headers.map { $0 + "\r\n" }.joined()
        try send("POST \(path) HTTP/1.1\r\nhost: test\r\ncontent-length: \(body.utf8.count)\r\n\(extra)\r\n\(body)")
    }

    func request(_ method: String, _ path: String, headers: [String] = []) throws {
        try send("\(method) \(path) HTTP/1.1\r\nhost: test\r\n" + headers.map { $0 + "\r\n" }.joined() + "\r\n")
    }

    /// A response of known length.
    func answer(hasBody: Bool = true) throws -> Answer {
        let head = try receive(until: "\r\n\r\n")
        let length = head.split(separator: "\r\n").first { $0.hasPrefix("content-length: ") }.flatMap { Int($0.dropFirst(16)) } ?? 0
        let body = hasBody ? try receive(exactly: length) : []
        let words = head.split(separator: " ")
        return Answer(status: words.count > 1 ? Int(words[1]) ?? 0 : 0, head: head, body: String(decoding: body, as: UTF8.self))
    }

    func post(_ path: String, answered body: String, headers: [String] = ["content-type: application/json"]) throws -> Answer {
        try post(path, body, headers: headers)
        return try answer()
    }

    /// One chunk of a chunked body: what the server wrote at once. Empty at the end.
    func chunk() throws -> String {
        let size = try receive(until: "\r\n").trimming("\r\n")
        guard let count = Int(size, radix: 16) else { return "bad chunk size \(size)" }
        let bytes = try receive(exactly: count + 2)
        return String(decoding: bytes.dropLast(2), as: UTF8.self)
    }

    /// Everything up to the end of a chunked body.
    func chunks() throws -> String {
        var all = ""
        while true {
            let next = try chunk()
            if next.isEmpty { return all }
            all += next
        }
    }
}

extension String {
    func trimming(_ end: String) -> String { hasSuffix(end) ? String(dropLast(end.count)) : self }

    /// The JSON of each `data:` frame; `[DONE]` as a string.
    var events: [JSON] {
        split(separator: "\n\n").compactMap { frame in
            guard frame.hasPrefix("data: ") else { return nil }
            let text = String(frame.dropFirst(6))
            return text == "[DONE]" ? .string(text) : try? JSON(parsing: text)
        }
    }
}
