package import HTTP
internal import Inference
package import Logging
package import Platform
package import Reactor
package import Server
package import Telemetry
package import Wire

/// The operator's API on a listener of its own: health, metrics, the fleet and the requests in work. GET reads, POST changes.
///
/// Lives on a reactor; status and metrics may be read on any thread.
package actor Admin: RequestActor {
    private nonisolated let reactor: Reactor
    private let configuration: AdminConfiguration
    private let source: any StatusSource
    private let fleet: (any FleetOperations)?
    private let requests: (any RequestOperations)?
    private let logger: Logger
    private let metrics: MetricRegistry
    private let clock: any MonotonicClock

    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe reactor.asUnownedSerialExecutor() }

    package init(
        on reactor: Reactor, configuration: AdminConfiguration, source: any StatusSource, fleet: (any FleetOperations)? = nil,
        requests: (any RequestOperations)? = nil, metrics: MetricRegistry, logger: Logger = Logger(label: "ferry.admin"),
        clock: any MonotonicClock = SystemClock()
    ) {
        let problems = configuration.problems()
        precondition(problems.isEmpty, "the operator's listener: \(problems)")
        self.reactor = reactor
        self.configuration = configuration
        self.source = source
        self.fleet = fleet
        self.requests = requests
        self.logger = logger
        self.metrics = metrics
        self.clock = clock
    }

    /// Changes come with a small object; some clients send one with everything, which is not looked at.
    package func bodyLimit(for head: HTTPHead) -> Int { 4 << 10 }

    package func handle(_ exchange: Exchange) {
        let head = exchange.head
        if let operation = Operation(path: head.path) {
            guard head.method == "POST" else { return refuse(exchange, 405, "method_not_allowed", "POST was expected", allow: "POST") }
            return perform(operation, exchange)
        }
        guard let page = Page(rawValue: head.path) else {
            return refuse(exchange, 404, "route_not_found", "there is nothing at \(head.path.prefix(128)); / lists what there is")
        }
        guard head.method == "GET" || head.method == "HEAD" else {
            return refuse(exchange, 405, "method_not_allowed", "GET was expected", allow: "GET, HEAD")
        }
        switch page {
        case .index: answer(exchange, "text/html; charset=utf-8", Array(Page.index(configuration.version).utf8))
        case .live: answer(exchange, Self.json, Array(#"{"status":"live"}"#.utf8))
        case .ready: answerReady(exchange)
        case .metrics:
            answer(
                exchange, PrometheusText.contentType,
                PrometheusText.render(metrics, compatibleNames: configuration.compatibleMetricNames))
        case .version: answer(exchange, Self.json, JSON.object(JSONObject([("version", .string(configuration.version))])).bytes)
        case .fleet: answer(exchange, Self.json, FleetPage.workers(fleet?.workers ?? []))
        case .requests: answer(exchange, Self.json, FleetPage.requests(requests?.openRequests ?? []))
        }
    }

    private func answerReady(_ exchange: Exchange) {
        let status = source.status
        let readiness = Readiness(status, workers: fleet?.workers, now: clock.now, progressLimit: configuration.progressLimit)
        var json = JSONWriter()
        json.beginObject()
        json.field("status", readiness == .ready ? "ready" : "unavailable")
        if let code = readiness.code {
            json.field("reason", code)
            json.field("message", readiness.explanation)
        }
        if case .loading(let progress) = readiness {
            json.key("progress")
            json.number(progress.share)
            json.field("done_bytes", progress.doneBytes)
            json.field("total_bytes", progress.totalBytes)
        }
        json.field("requests", status.requests)
        json.field("sequences", status.sequences)
        json.field("running", status.load.running)
        json.field("waiting", status.load.waiting)
        json.endObject()
        answer(exchange, Self.json, json.bytes, status: readiness == .ready ? 200 : 503)
    }

    private static let json = "application/json"

    // MARK: Changes

    private func perform(_ operation: Operation, _ exchange: Exchange) {
        let body = exchange.takeBody()
        do throws(OperationRefusal) {
            let done = try perform(operation, body)
            logger.notice(
                "operator", metadata: ["did": "\(exchange.head.path)", "from": "\(exchange.peer.map(\.description) ?? "local")"])
            answer(exchange, Self.json, done)
        } catch {
            refuse(exchange, error.status, error.code, error.message)
        }
    }

    private func perform(_ operation: Operation, _ body: [UInt8]) throws(OperationRefusal) -> [UInt8] {
        func unknown(_ worker: String) -> OperationRefusal {
            OperationRefusal(status: 404, code: "worker_not_found", message: "there is no worker \(worker.prefix(64)); GET /fleet lists them")
        }
        switch operation {
        case .drain(let worker, let draining):
            guard fleet?.setDraining(draining, worker: worker) == true else { throw unknown(worker) }
            return Self.done([("draining", .bool(draining))])
        case .roles(let worker):
            guard let text = try Self.read(body)["roles"]?.string else {
                throw OperationRefusal(status: 400, code: "missing_parameter", message: "roles: \"prefill\", \"decode\" or \"prefill,decode\" was expected")
            }
            let roles: WorkerRole
            do throws(WorkerRoleError) { roles = try WorkerRole(text) } catch {
                throw OperationRefusal(status: 400, code: "invalid_value", message: error.description)
            }
            guard let epoch = fleet?.setRoles(roles, worker: worker) else { throw unknown(worker) }
            return Self.done([("roles", .string(roles.description)), ("epoch", .integer(Int64(clamping: epoch)))])
        case .links(let worker):
            let told = fleet?.shape(try LinkShapeSetting.read(try Self.read(body)), worker: worker) ?? 0
            if let worker, told == 0 { throw unknown(worker) }
            return Self.done([("workers", .integer(Int64(told)))])
        case .cancel(let id):
            guard requests?.cancelRequest(id) == true else {
                throw OperationRefusal(status: 404, code: "request_not_found", message: "there is no request \(id.prefix(128)) in work")
            }
            return Self.done([])
        }
    }

    private static func read(_ body: [UInt8]) throws(OperationRefusal) -> JSON {
        do {
            return try JSON(parsing: body.span)
        } catch {
            throw OperationRefusal(status: 400, code: "invalid_json", message: "a JSON object was expected: \(error)")
        }
    }

    private static func done(_ members: [(key: String, value: JSON)]) -> [UInt8] { JSON.object(JSONObject([("status", .string("done"))] + members)).bytes }

    private func answer(_ exchange: Exchange, _ type: String, _ body: [UInt8], status: Int = 200) {
        exchange.respond(status: status, headers: ["content-type": type, "cache-control": "no-store"], body: body)
    }

    private func refuse(_ exchange: Exchange, _ status: Int, _ code: String, _ message: String, allow: String? = nil) {
        var json = JSONWriter()
        json.beginObject()
        json.key("error")
        json.beginObject()
        json.field("message", message)
        json.field("type", "invalid_request_error")
        json.key("param")
        json.null()
        json.field("code", code)
        json.endObject()
        json.endObject()
        var headers: HTTPHeaders = ["content-type": Self.json]
        if let allow { headers.append("allow", allow) }
        exchange.respond(status: status, headers: headers, body: json.bytes)
    }
}

extension JSON {
    fileprivate var bytes: [UInt8] { Array(text.utf8) }
}
