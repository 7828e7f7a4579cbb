package import HTTP
package import Platform
package import Reactor
package import Server
package import Telemetry
package import Wire

/// The operator's API on a listener of its own: health, metrics, the fleet. Everything here only reads.
///
/// Lives on a reactor; status and metrics may be read on any thread.
package actor Admin: RequestActor {
    private nonisolated let reactor: Reactor
    private let configuration: AdminConfiguration
    private let source: any StatusSource
    private let metrics: MetricRegistry
    private let clock: any MonotonicClock

    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe reactor.asUnownedSerialExecutor() }

    package init(
        on reactor: Reactor, configuration: AdminConfiguration, source: any StatusSource, metrics: MetricRegistry,
        clock: any MonotonicClock = SystemClock()
    ) {
        let problems = configuration.problems()
        precondition(problems.isEmpty, "the operator's listener: \(problems)")
        self.reactor = reactor
        self.configuration = configuration
        self.source = source
        self.metrics = metrics
        self.clock = clock
    }

    /// No request here needs a body. Some clients send one all the same, `{}` as a rule; it is not looked at.
    package func bodyLimit(for head: HTTPHead) -> Int { 4 << 10 }

    package func handle(_ exchange: Exchange) {
        guard let page = Page(rawValue: exchange.head.path) else {
            return refuse(exchange, 404, "route_not_found", "there is nothing at \(exchange.head.path.prefix(128)); / lists what there is")
        }
        guard exchange.head.method == "GET" || exchange.head.method == "HEAD" else {
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
        case .fleet: answer(exchange, Self.json, Self.fleet(source.status, processID: configuration.processID))
        }
    }

    private func answerReady(_ exchange: Exchange) {
        let status = source.status
        let readiness = Readiness(status, now: clock.now, progressLimit: configuration.progressLimit)
        var json = JSONWriter()
        json.beginObject()
        json.field("status", readiness == .ready ? "ready" : "unavailable")
        if let code = readiness.code {
            json.field("reason", code)
            json.field("message", readiness.explanation)
        }
        json.field("requests", status.requests)
        json.field("sequences", status.sequences)
        json.field("running", status.load.running)
        json.field("waiting", status.load.waiting)
        json.endObject()
        answer(exchange, Self.json, json.bytes, status: readiness == .ready ? 200 : 503)
    }

    private static let json = "application/json"

    /// `{"workers":[{"id","pid","roles","state","epoch","address",…}]}`
    static func fleet(_ status: ServiceStatus, processID: Int32) -> [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        json.key("workers")
        json.beginArray()
        if let worker = status.worker {
            json.beginObject()
            json.field("id", worker.worker)
            json.field("pid", processID)
            json.key("roles")
            json.beginArray()
            json.string("prefill")
            json.string("decode")
            json.endArray()
            json.field("state", status.isDraining ? "draining" : "ready")
            json.field("epoch", 1)
            json.field("address", "in-process")
            json.field("model", worker.modelName)
            json.field("isa", worker.instructionSet)
            json.field("dtype", worker.dtype)
            json.field("running", status.load.running)
            json.field("waiting", status.load.waiting)
            json.field("pages_total", status.load.pagesTotal)
            json.field("pages_available", status.load.pagesAvailable)
            json.endObject()
        }
        json.endArray()
        json.endObject()
        return json.bytes
    }

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
