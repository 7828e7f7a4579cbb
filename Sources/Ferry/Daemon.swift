internal import Admin
internal import Engine
internal import Foundation
internal import Gateway
internal import HTTP
internal import Inference
internal import Logging
internal import Model
internal import Platform
internal import Reactor
internal import Server
internal import ServiceLifecycle
internal import Telemetry
internal import Tokenization
internal import Transfer
internal import UnixSignals
internal import Wire

/// The server process: loads the model, joins worker, gateway and listeners, runs them until a signal, drains.
struct Daemon {
    let settings: Settings

    func run() async throws {
        let configuration = try GatewayConfiguration(settings)
        let endpoints = try settings.endpoints("gateway.listen")
        let adminEndpoints = try settings.endpoints("admin.listen")
        let tls = try settings.tls()
        startLogging()
        let logger = Logger(label: "ferry")

        FileDescriptors.raiseLimit()
        let directory = try LocalWorker.modelDirectory(settings)
        let tokenizer = try Tokenizer(directory: directory)
        let template = try ChatTemplate.load(directory: directory)
        // Tables of character classes are built by the first use; better now than in somebody's first request.
        _ = try tokenizer.encode(" ", addSpecialTokens: false)
        let bar = ProgressBar("repacking weights")
        let local = try LocalWorker.load(settings, progress: bar.show)
        bar.finish()
        for warning in local.warnings { logger.warning("\(warning)") }
        for note in local.notes { logger.info("\(note)") }
        let model = ServedModel(local, tokenizer: tokenizer, template: template)

        let reactor = try Reactor(name: "reactor")
        let metrics = MetricRegistry(commonLabels: [MetricLabel("model_name", local.hello.modelName)])
        metrics.gauge(
            .buildInfo, MetricLabel("version", Version.number), MetricLabel("instruction_set", local.hello.instructionSet),
            MetricLabel("dtype", local.hello.dtype)
        ).set(1)
        let gateway = Gateway(on: reactor, model: model, configuration: configuration, metrics: metrics, logger: Logger(label: "ferry.gateway"))
        local.channel.open(hello: local.hello, sink: gateway)
        await gateway.attach(local.channel)
        let server = HTTPServer(on: reactor, limits: settings.serverLimits, actor: gateway)
        let admin = Admin(
            on: reactor, configuration: AdminConfiguration(settings), source: gateway, metrics: metrics)
        let adminServer = HTTPServer(on: reactor, actor: admin)
        var bound: [Endpoint] = []
        for endpoint in endpoints { bound.append(try await server.listen(on: endpoint, tls: tls)) }
        for endpoint in bound { announce("listening", endpoint, encrypted: tls != nil) }
        for endpoint in adminEndpoints { announce("admin", try await adminServer.listen(on: endpoint), encrypted: false) }
        if tls == nil, configuration.keys.isEmpty, let first = bound.first { suggest(first, model: local.hello.modelName) }

        let drain = settings.seconds("shutdown.drain")
        // The group's own limits do not help: they cancel tasks, and a task that waits for a thread heeds no cancellation.
        let group = ServiceGroupConfiguration(
            services: [
                .init(service: WorkerService(local: local)),
                .init(service: GatewayService(gateway: gateway, server: server, adminServer: adminServer, drain: drain, logger: logger)),
            ],
            gracefulShutdownSignals: [.sigterm, .sigint], logger: Logger(label: "ferry.services") { _ in SwiftLogNoOpLogHandler() })
        try await ServiceGroup(configuration: group).run()
        await reactor.shutdown()
        logger.notice("stopped")
    }

    /// One line on standard output that scripts wait for.
    private func announce(_ what: String, _ endpoint: Endpoint, encrypted: Bool) {
        let text = "\(endpoint)"
        let line = "\(what) on " + (text.hasPrefix("unix:") ? text : "\(encrypted ? "https" : "http")://\(text)") + "\n"
        // Nobody reads it: no reason not to serve.
        try? StandardOutput.write(line)
    }

    /// A line to paste into another terminal.
    private func suggest(_ endpoint: Endpoint, model: String) {
        guard case .tcp = endpoint, StandardOutput.isTerminal else { return }
        try? StandardOutput.write("""
            try: curl http://\(endpoint)/v1/chat/completions -H 'content-type: application/json' \
            -d '{"model": "\(model)", "messages": [{"role": "user", "content": "What is 347 + 285?"}]}'

            """)
    }

    private func startLogging() {
        var configuration = LogConfiguration()
        configuration.level = Logger.Level(rawValue: settings.text("log.level")) ?? .info
        configuration.format = LogFormat(rawValue: settings.text("log.format")) ?? .text
        configuration.colour = StandardError.isTerminal
        _ = LogSetup.bootstrap(
            configuration,
            output: LogOutput(
                write: { StandardError.write($0) },
                now: { Int64(Date().timeIntervalSince1970 * 1e9) }))
    }
}

/// Runs the worker; when everything else has stopped, closes its channel.
private struct WorkerService: Service {
    let local: LocalWorker

    func run() async throws {
        await withGracefulShutdownHandler {
            await local.worker.run()
        } onGracefulShutdown: {
            local.channel.close()
        }
    }
}

/// Runs the gateway; on shutdown refuses new work, lets streams end within the limit, then closes the listeners.
private struct GatewayService: Service {
    let gateway: Gateway
    let server: HTTPServer
    let adminServer: HTTPServer
    let drain: Duration
    let logger: Logger

    private func limitShutdown() {
        let limit = drain + ShutdownLimit.margin
        let logger = logger
        ShutdownLimit(limit: limit) {
            logger.critical("not stopped after \(limit), with a thread that does not come to an end; exiting with status 1")
        } end: {
            // Without the handlers of `exit`, which would wait for or take memory from threads that still run.
            _exit(1)
        }.begin()
    }

    /// For clients to take the error that ends what was cut off; connections that take longer are closed.
    private static let lastWords: Duration = .seconds(2)

    func run() async throws {
        async let running: Void = gateway.run()
        try? await gracefulShutdown()
        limitShutdown()
        await gateway.beginDrain()
        let gateway = gateway
        let drain = drain
        let patience = Task {
            let ended = await Self.firstOf(drain)
            return ended == nil ? nil : (await gateway.cutOff(), ended)
        }
        await server.drain(within: drain + Self.lastWords)
        patience.cancel()
        if case (let cutOff, let reason?)? = await patience.value, cutOff > 0 { logger.warning("\(cutOff) answers were cut off \(reason)") }
        await gateway.idle()
        await adminServer.drain(within: .seconds(1))
        gateway.stop()
        await running
    }

    /// Waits for the end of `drain` or for another signal, whichever comes first, and says which; nil when cancelled before.
    private static func firstOf(_ drain: Duration) async -> String? {
        await withTaskGroup(of: String?.self) { group in
            group.addTask { (try? await Task.sleep(for: drain)) == nil ? nil : "after \(drain)" }
            group.addTask {
                for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint) { return "by a second signal" }
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }
}

extension ServedModel {
    /// What the gateway speaks for, out of a loaded worker.
    fileprivate init(_ local: LocalWorker, tokenizer: Tokenizer, template: ChatTemplate?) {
        var sampling = SamplingParameters()
        let defaults = local.defaults
        // `do_sample: false` says that the authors recommend greedy decoding; clients expect OpenAI's temperature of 1 otherwise.
        sampling.temperature = defaults.doSample == false ? 0 : defaults.temperature ?? 1
        sampling.topP = defaults.topP ?? 1
        sampling.topK = defaults.topK ?? 0
        sampling.minP = defaults.minP ?? 0
        sampling.repetitionPenalty = defaults.repetitionPenalty ?? 1
        self.init(
            names: [local.hello.modelName], tokenizer: tokenizer, template: template, vocabulary: local.hello.shape.vocabulary,
            endTokens: Set(defaults.endTokens + [tokenizer.eosToken].compactMap { $0 }), samplingDefaults: sampling,
            defaultMaxTokens: defaults.maxNewTokens,
            fingerprint: "ferry-\(local.hello.modelDigest.prefix(12))-\(local.hello.instructionSet)-\(local.hello.dtype)",
            created: Int64(Date().timeIntervalSince1970))
    }
}
