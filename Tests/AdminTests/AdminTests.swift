import Admin
import Inference
import Platform
import Reactor
import Server
import Synchronization
import Telemetry
import TestSupport
import Testing
import Wire

private func hello() -> WorkerHello {
    WorkerHello(
        worker: "w0", modelName: "m", modelDigest: "d",
        shape: ModelShape(layers: 1, hidden: 8, intermediate: 8, heads: 1, keyValueHeads: 1, headDimension: 8, vocabulary: 10, context: 64),
        sequenceLimit: 64, pagesTotal: 4, instructionSet: "scalar", dtype: "bf16")
}

private final class FixedStatus: StatusSource {
    private let state = Mutex(ServiceStatus())
    var status: ServiceStatus { state.withLock { $0 } }
    func set(_ change: (inout ServiceStatus) -> Void) { state.withLock { change(&$0) } }
}

/// One worker called `w0`, and what was asked of it.
private final class FixedFleet: FleetOperations, RequestOperations {
    private let state = Mutex((workers: [WorkerStatus](), asked: [String]()))
    var workers: [WorkerStatus] { state.withLock { $0.workers } }
    var asked: [String] { state.withLock { $0.asked } }

    func join(_ worker: String, state word: String = "ready") {
        let registration = WorkerRegistration(
            name: worker, incarnation: 1, process: 77, capabilities: [.prefill, .decode], wanted: [.prefill, .decode], hello: hello(),
            keyValueFingerprint: 1, tokenizerDigest: "t", pageTokens: 64, pageBytes: 64, endpoint: "unix:/w0")
        let pulse = WorkerPulse(
            number: 1, steps: 0, sinceProgress: .zero, hasWork: false, load: WorkerLoad(), roles: .prefill, epoch: 1,
            links: [LinkFigures(peer: "w1", bytes: 5, bytesPerSecond: 7, state: .open)])
        let status = WorkerStatus(
            registration: registration, roles: [.prefill, .decode], state: word, epoch: 3, load: WorkerLoad(), pulse: pulse, silence: .zero,
            sequences: 0)
        state.withLock { $0.workers = [status] }
    }

    private func ask(_ text: String) { state.withLock { $0.asked.append(text) } }

    func setDraining(_ draining: Bool, worker: String) -> Bool {
        ask("drain \(worker) \(draining)")
        return worker == "w0"
    }
    func setRoles(_ roles: WorkerRole, worker: String) -> UInt64? {
        ask("roles \(worker) \(roles)")
        return worker == "w0" ? 4 : nil
    }
    func shape(_ setting: LinkShapeSetting?, worker: String?) -> Int {
        ask("shape \(worker ?? "all") \(setting?.bytesPerSecond.map(String.init) ?? "none") \(setting?.latency ?? .zero)")
        return worker == nil || worker == "w0" ? 1 : 0
    }
    var openRequests: [RequestStatus] {
        [
            RequestStatus(
                id: "r1", route: "/v1/completions", age: .seconds(1), timeLeft: .seconds(9), state: "streaming", promptTokens: 3, generatedTokens: 2,
                choices: 1, bufferedBytes: 0)
        ]
    }
    func cancelRequest(_ id: String) -> Bool {
        ask("cancel \(id)")
        return id == "r1"
    }
}

@Suite struct ReadinessTests {
    private func readiness(seconds: UInt64, _ change: (inout ServiceStatus) -> Void) -> Readiness {
        var status = ServiceStatus()
        status.worker = hello()
        change(&status)
        return Readiness(status, now: MonotonicInstant(nanoseconds: seconds * 1_000_000_000), progressLimit: .seconds(30))
    }

    @Test("ready means a worker, no drain, and progress while there is work")
    func states() {
        #expect(readiness(seconds: 1000) { _ in } == .ready)
        #expect(readiness(seconds: 1000) { $0.worker = nil } == .noWorker)
        let loading = LoadProgress(share: 0.5, stage: "decoding", doneBytes: 5, totalBytes: 10)
        #expect(readiness(seconds: 1000) { $0.worker = nil; $0.loading = loading } == .loading(loading))
        #expect(readiness(seconds: 1000) { $0.isDraining = true } == .draining)
        #expect(readiness(seconds: 31) { $0.sequences = 1 } == .stalled(.seconds(31)))
        #expect(readiness(seconds: 30) { $0.sequences = 1 } == .ready)
        #expect(readiness(seconds: 41) { $0.preparingSince = MonotonicInstant(nanoseconds: 10_000_000_000) } == .stalled(.seconds(31)))
        #expect(readiness(seconds: 31) { $0.sequences = 1; $0.lastProgress = MonotonicInstant(nanoseconds: 5_000_000_000) } == .ready)
    }
}

@Suite(.timeLimit(.minutes(1))) struct AdminTests {
    private struct Stage {
        let reactor: Reactor
        let server: HTTPServer
        let client: LoopbackClient
        let status = FixedStatus()
        let fleet = FixedFleet()
        let clock = SetClock()
        let registry = MetricRegistry(commonLabels: [MetricLabel("model_name", "m")])

        init() async throws {
            reactor = try Reactor(name: "admin")
            var configuration = AdminConfiguration()
            configuration.version = "1.2.3"
            configuration.processID = 77
            let admin = Admin(on: reactor, configuration: configuration, source: status, fleet: fleet, requests: fleet, metrics: registry, clock: clock)
            server = HTTPServer(on: reactor, actor: admin)
            guard case .tcp(_, let port) = try await server.listen(on: Endpoint("127.0.0.1:0")) else { preconditionFailure() }
            client = try await LoopbackClient(port: port)
        }

        func get(
            _ path: String, method: String = "GET", body: String = ""
        ) async throws -> (status: Int, head: String, body: String) {
            try await client.send("\(method) \(path) HTTP/1.1\r\nhost: test\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)")
            let head = try await client.receive(until: "\r\n\r\n")
            let length = head.split(separator: "\r\n").first { $0.hasPrefix("content-length: ") }.flatMap { Int($0.dropFirst(16)) } ?? 0
            let body = method == "HEAD" ? [] : try await client.receive(exactly: length)
            return (Int(head.split(separator: " ")[1]) ?? 0, head, String(decoding: body, as: UTF8.self))
        }

        func end() async {
            await client.close()
            await server.drain(within: .seconds(5))
            await reactor.shutdown()
        }
    }

    @Test("the listener tells live from ready, with the reason")
    func health() async throws {
        let stage = try await Stage()
        #expect(try await stage.get("/health/live").status == 200)
        #expect(try await stage.get("/health/live", body: "{}").status == 200)
        var ready = try await stage.get("/health/ready")
        #expect(ready.status == 503)
        #expect(try JSON(parsing: ready.body)["reason"] == "no_worker")
        stage.status.set { $0.loading = LoadProgress(share: 0.42, stage: "decoding", doneBytes: 42, totalBytes: 100) }
        ready = try await stage.get("/health/ready")
        #expect(ready.status == 503)
        let loading = try JSON(parsing: ready.body)
        #expect(loading["status"] == "unavailable" && loading["reason"] == "loading" && loading["progress"] == 0.42)
        #expect(loading["message"] == "decoding weights, 42 percent" && loading["done_bytes"] == 42 && loading["total_bytes"] == 100)
        stage.status.set { $0.loading = nil }
        stage.status.set { $0.worker = hello() }
        #expect(try JSON(parsing: try await stage.get("/health/ready").body)["reason"] == "no_worker")
        stage.fleet.join("w0", state: "suspect")
        #expect(try JSON(parsing: try await stage.get("/health/ready").body)["reason"] == "no_worker")
        stage.fleet.join("w0")
        #expect(try await stage.get("/health/ready").status == 200)
        #expect(try await stage.get("/health/ready", method: "HEAD").status == 200)
        stage.status.set { $0.sequences = 2 }
        stage.clock.set(seconds: 100)
        ready = try await stage.get("/health/ready")
        #expect(ready.status == 503)
        #expect(try JSON(parsing: ready.body)["reason"] == "stalled")
        await stage.end()
    }

    @Test("metrics come as Prometheus text under both names")
    func metrics() async throws {
        let stage = try await Stage()
        stage.registry.gauge(.requestsRunning).set(3)
        let answer = try await stage.get("/metrics")
        #expect(answer.head.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"))
        #expect(answer.body.contains("ferry_sequences_running{model_name=\"m\"} 3\n"))
        #expect(answer.body.contains("vllm:num_requests_running{model_name=\"m\"} 3\n"))
        await stage.end()
    }

    @Test("the fleet, the version and the index are there; anything else is refused")
    func pages() async throws {
        let stage = try await Stage()
        #expect(try await stage.get("/fleet").body == #"{"workers":[]}"#)
        stage.fleet.join("w0")
        let worker = try JSON(parsing: try await stage.get("/fleet").body)["workers"]?.array?.first
        #expect(worker?["id"] == "w0")
        #expect(worker?["pid"] == 77)
        #expect(worker?["roles"] == ["prefill", "decode"])
        #expect(worker?["state"] == "ready")
        #expect(worker?["epoch"] == 3)
        #expect(worker?["address"] == "unix:/w0")
        #expect(worker?["links"]?.array?.first?["state"] == "open")
        stage.fleet.join("w0", state: "draining")
        #expect(try JSON(parsing: try await stage.get("/fleet").body)["workers"]?.array?.first?["state"] == "drained")
        #expect(try JSON(parsing: try await stage.get("/requests").body)["requests"]?.array?.first?["id"] == "r1")
        #expect(try await stage.get("/version").body == #"{"version":"1.2.3"}"#)
        #expect(try await stage.get("/").body.contains("href=\"/metrics\""))
        let missing = try await stage.get("/nothing")
        #expect(missing.status == 404)
        #expect(try JSON(parsing: missing.body)["error"]?["code"] == "route_not_found")
        let refused = try await stage.get("/fleet", method: "DELETE")
        #expect(refused.status == 405)
        #expect(refused.head.contains("allow: GET, HEAD\r\n"))
        await stage.end()
    }

    @Test("operators change the fleet by POST, and only by what is understood")
    func operations() async throws {
        let stage = try await Stage()
        for (path, body, asked) in [
            ("/fleet/w0/drain", "", "drain w0 true"), ("/fleet/w0/undrain", "", "drain w0 false"),
            ("/fleet/w0/roles", #"{"roles":"decode"}"#, "roles w0 decode"),
            ("/fleet/w0/links", #"{"rate":125000,"latency_ms":20}"#, "shape w0 125000 0.02 seconds"), ("/links", "{}", "shape all none 0.0 seconds"),
            ("/requests/r1/cancel", "", "cancel r1"),
        ] {
            let answer = try await stage.get(path, method: "POST", body: body)
            #expect(answer.status == 200, "\(path): \(answer.body)")
            #expect(stage.fleet.asked.last == asked)
            let refused = try await stage.get(path)
            #expect(refused.status == 405 && refused.head.contains("allow: POST\r\n"), "\(path)")
        }
        let count = stage.fleet.asked.count
        for (path, body, status, code) in [
            ("/fleet/w0/roles", "", 400, "invalid_json"), ("/fleet/w0/roles", "{}", 400, "missing_parameter"),
            ("/fleet/w0/roles", #"{"roles":"cook"}"#, 400, "invalid_value"), ("/links", #"{"rate":-1}"#, 400, "invalid_value"),
            ("/links", #"{"speed":1}"#, 400, "unsupported_parameter"), ("/fleet/w0/dance", "", 404, "route_not_found"),
        ] {
            let answer = try await stage.get(path, method: "POST", body: body)
            #expect(answer.status == status, "\(path) \(body)")
            #expect(try JSON(parsing: answer.body)["error"]?["code"] == .string(code), "\(path) \(body)")
        }
        #expect(stage.fleet.asked.count == count)
        for path in ["/fleet/w9/drain", "/requests/r9/cancel"] { #expect(try await stage.get(path, method: "POST").status == 404) }
        await stage.end()
    }
}
