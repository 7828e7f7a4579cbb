internal import Admin
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
internal import Synchronization
internal import Routing
internal import Telemetry
internal import Tokenization
internal import Transfer
internal import UnixSignals
internal import Weights
internal import Wire

/// The gateway process: starts and supervises the workers of its plan, lets others join, serves until a signal, drains.
struct Daemon {
    let settings: Settings

    func run() async throws {
        let configuration = try GatewayConfiguration(settings)
        let endpoints = try settings.endpoints("gateway.listen")
        let adminEndpoints = try settings.endpoints("admin.listen")
        let tls = try settings.tls()
        let plan = try FleetPlan(settings)
        let fleetTLS = try settings.fleetServerTLS()
        Self.startLogging(settings)
        let logger = Logger(label: "ferry")

        FileDescriptors.raiseLimit()
        var (model, standard) = try readModel()
        let reactor = try Reactor(name: "reactor")
        Watchdog(reactor: reactor, limit: settings.seconds("admin.stall_after")) {
            logger.critical("the reactor has not turned for \($0); exiting with status 1")
        }.begin()
        let metrics = MetricRegistry(commonLabels: [MetricLabel("model_name", model.name)])
        metrics.gauge(.buildInfo, MetricLabel("version", Version.number)).set(1)
        let gateway = Gateway(on: reactor, model: model, configuration: configuration, metrics: metrics, logger: Logger(label: "ferry.gateway"))
        let loading = ModelLoading(for: gateway, metrics: metrics)
        let stop = StopRequest()
        let roll = RollCall(plan.workers.map(\.name))
        let processes = WorkerProcesses(
            on: reactor, executable: Environment.program, plan.workers.map(\.name), logger: Logger(label: "ferry.workers")
        ) { reason, status in stop.put(reason, status: status) }
        let coordinator = Coordinator(
            for: gateway, dispatcher: Dispatcher(fleet: Fleet(limits: plan.limits, standard: standard), limits: plan.dispatch, rules: plan.rules),
            logger: Logger(label: "ferry.fleet"), onJoined: { name in
                roll.present(name)
                Task { await processes.registered(name) }
            },
            onLost: { name, process, reason in Task { await processes.lost(name, process: process, reason: reason) } })
        let server = HTTPServer(on: reactor, limits: settings.serverLimits, actor: gateway)
        let admin = Admin(
            on: reactor, configuration: AdminConfiguration(settings), source: loading, fleet: coordinator, requests: gateway, metrics: metrics)
        let adminServer = HTTPServer(on: reactor, actor: admin)
        let fleetServer = HTTPServer(on: reactor, limits: .fleet, handler: FleetDoor(to: coordinator))

        // Addresses are taken before anything that takes long or has to be ended is started. Until the first worker is there, requests are
        // answered with 503 and the time to come back. The operator may look at once.
        var bound: [Endpoint] = []
        for endpoint in endpoints { bound.append(try await server.listen(on: endpoint, tls: tls)) }
        if !plan.workers.isEmpty { loading.announce() }
        var adminBound: [Endpoint] = []
        for endpoint in adminEndpoints { adminBound.append(try await adminServer.listen(on: endpoint)) }
        // So far a signal ends the process as it is: nothing was made that would be left behind.
        let prepared: LocalWorker.Prepared?
        do {
            prepared = plan.workers.isEmpty ? nil : try await load(loading, share: plan.workers.count, logger)
        } catch {
            await adminServer.drain(within: .zero)
            await server.drain(within: .zero)
            await reactor.shutdown()
            throw error
        }
        // Workers that are started again map what this process has in memory.
        defer { withExtendedLifetime(prepared) {} }
        (standard.modelDigest, standard.dtype) = (prepared?.digest, prepared?.dtype)
        await coordinator.require(standard)
        let folder = try RuntimeFolder()
        defer { folder.remove() }
        try await fleetServer.listen(on: .unix(path: folder.path + "/gateway"))
        for endpoint in plan.endpoints {
            announce("fleet", try await fleetServer.listen(on: endpoint, tls: endpoint.isLocal ? nil : fleetTLS), encrypted: !endpoint.isLocal)
        }
        await coordinator.start()
        await processes.start(
            Dictionary(uniqueKeysWithValues: plan.workers.map { ($0.name, arguments($0, of: plan, in: folder.path, prepared?.arguments ?? [])) }))
        let announcement = Task { [bound, adminBound] in
            // Scripts take this for the sign that requests will be answered.
            await roll.complete.wait()
            guard stop.reason == nil, !gateway.status.isDraining else { return }
            for endpoint in bound { announce("listening", endpoint, encrypted: tls != nil) }
            for endpoint in adminBound { announce("admin", endpoint, encrypted: false) }
            if let later = prepared?.later { Self.write(later, logger) }
            if tls == nil, configuration.keys.isEmpty, let first = bound.first { suggest(first, model: model.name) }
        }

        let drain = settings.seconds("shutdown.drain")
        // The group's own limits do not help: they cancel tasks, and a task that waits for a thread heeds no cancellation.
        let group = ServiceGroupConfiguration(
            services: [
                .init(
                    service: GatewayService(gateway: gateway, server: server, adminServer: adminServer, drain: drain, stop: stop, logger: logger),
                    // It ends by itself where there is a reason of our own to stop.
                    successTerminationBehavior: .gracefullyShutdownGroup)
            ],
            gracefulShutdownSignals: [.sigterm, .sigint], logger: Logger(label: "ferry.services") { _ in SwiftLogNoOpLogHandler() })
        try await ServiceGroup(configuration: group).run()
        roll.complete.open()
        await announcement.value
        await coordinator.beginStop()
        await processes.stop()
        await coordinator.stop()
        await fleetServer.drain(within: .zero)
        await reactor.shutdown()
        if let (reason, status) = stop.reason {
            throw status == SupervisionPlan.badConfiguration ? ConfigurationError(reason) as any Error : CommandFailure(reason)
        }
        logger.notice("stopped")
    }

    /// What the gateway itself needs of the model: its tokeniser, its template, its sizes.
    private func readModel() throws -> (ServedModel, FleetStandard) {
        let directory = try LocalWorker.modelDirectory(settings)
        let tokenizer = try Tokenizer(directory: directory)
        let template = try ChatTemplate.load(directory: directory)
        // Tables of character classes are built by the first use; better now than in somebody's first request.
        _ = try tokenizer.encode(" ", addSpecialTokens: false)
        let shape = try ModelConfiguration(directory: directory).shape
        let standard = FleetStandard(shape: shape, tokenizerDigest: try TokenizerDigest.of(directory: directory))
        let model = ServedModel(
            name: LocalWorker.modelName(settings, directory: directory), vocabulary: shape.vocabulary,
            defaults: try GenerationDefaults(directory: directory), tokenizer: tokenizer, template: template)
        return (model, standard)
    }

    /// Weights are brought into memory here, once for all workers.
    private func load(_ loading: ModelLoading, share: Int, _ logger: Logger) async throws -> LocalWorker.Prepared {
        let settings = settings
        let prepared = try await loading.run { progress in
            let bar = ProgressBar()
            defer { bar.finish() }
            return try LocalWorker.prepare(settings, share: share) {
                progress($0)
                bar.show($0)
            }
        }
        for warning in prepared.warnings { logger.warning("\(warning)") }
        for note in prepared.notes { logger.info("\(note)") }
        return prepared
    }

    /// Writes an image on a thread of its own; the end of the process ends it.
    private static func write(_ image: LaterImage, _ logger: Logger) {
        SystemThread.start(name: "image") {
            do throws(FileError) {
                try image.write()
                logger.info("an image of the weights for later starts is in \(image.path)")
            } catch {
                logger.warning("no image of the weights is kept for later starts: \(error)")
            }
        }
    }

    /// How a worker of this machine is started: as this program, with the same model and engine settings, over sockets that only this user reaches.
    private func arguments(_ worker: FleetPlan.Planned, of plan: FleetPlan, in folder: String, _ weights: [String]) -> [String] {
        let place = plan.advertised.isEmpty ? ["--listen", "unix:\(folder)/\(worker.name)"] : ["--listen", "0.0.0.0:0", "--advertise", plan.advertised]
        return [
            "worker", "--join", "unix:\(folder)/gateway", "--name", worker.name, "--role", worker.roles.description, "--supervised", "--share",
            String(plan.workers.count),
        ] + place + settings.arguments(sections: ["model", "engine", "log", "fleet"]) + weights
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

    static func startLogging(_ settings: Settings) {
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

/// Which of the planned workers have joined. Any thread.
private final class RollCall: Sendable {
    /// Opens when all have.
    let complete = Latch()
    private let missing: Mutex<Set<String>>

    init(_ names: [String]) {
        missing = Mutex(Set(names))
        if names.isEmpty { complete.open() }
    }

    func present(_ name: String) {
        let isComplete = missing.withLock { missing in
            missing.remove(name)
            return missing.isEmpty
        }
        if isComplete { complete.open() }
    }
}

/// Runs the gateway; on shutdown refuses new work, lets streams end within the limit, then closes the listeners.
private struct GatewayService: Service {
    let gateway: Gateway
    let server: HTTPServer
    let adminServer: HTTPServer
    let drain: Duration
    let stop: StopRequest
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
        await firstEnd()
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

    /// Waits for a signal, or for a reason of our own to stop.
    private func firstEnd() async {
        let stop = stop
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await gracefulShutdown() }
            group.addTask { await stop.latch.wait() }
            await group.next()
            stop.latch.open()
            group.cancelAll()
        }
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
    /// What the gateway speaks for.
    fileprivate init(name: String, vocabulary: Int, defaults: GenerationDefaults, tokenizer: Tokenizer, template: ChatTemplate?) {
        var sampling = SamplingParameters()
        // `do_sample: false` says that the authors recommend greedy decoding; clients expect OpenAI's temperature of 1 otherwise.
        sampling.temperature = defaults.doSample == false ? 0 : defaults.temperature ?? 1
        sampling.topP = defaults.topP ?? 1
        sampling.topK = defaults.topK ?? 0
        sampling.minP = defaults.minP ?? 0
        sampling.repetitionPenalty = defaults.repetitionPenalty ?? 1
        self.init(
            names: [name], tokenizer: tokenizer, template: template, vocabulary: vocabulary,
            endTokens: Set(defaults.endTokens + [tokenizer.eosToken].compactMap { $0 }), samplingDefaults: sampling,
            defaultMaxTokens: defaults.maxNewTokens, created: Int64(Date().timeIntervalSince1970))
    }
}
