internal import HTTP
internal import Inference
package import Logging
package import Platform
package import Reactor
internal import Server
internal import Synchronization
package import Telemetry
package import Wire

/// The inference API between clients and a worker: admits, prepares, starts sequences, and turns what comes back into answers.
///
/// Lives on a reactor. Reports reach it with one hop per step, whatever the number of streams; bodies are read, rendered and
/// tokenised on the preparer's thread. Every sequence that was started stays in `sequences` until its one ending has come or its
/// worker is lost, even when nobody waits for it any more.
package actor Gateway: StatusSource {
    nonisolated let reactor: Reactor
    nonisolated let model: ServedModel
    nonisolated let configuration: GatewayConfiguration
    nonisolated let gate: AdmissionGate
    nonisolated let metrics: GatewayMetrics
    nonisolated let logger: Logger
    nonisolated let clock: any MonotonicClock
    nonisolated let preparer: RequestPreparer
    /// What came from the worker and is not applied yet. Not bounded here: an ending must not be lost, and the worker's own steps are
    /// what fills it.
    private nonisolated let inbox = Mutex<[WorkerNews]>([])
    private nonisolated let published = Mutex(ServiceStatus())

    var channel: (any WorkerChannel)?
    var isDraining = false
    var requests: [UInt64: ActiveRequest] = [:]
    var sequences: [SequenceID: SequenceSlot] = [:]
    /// Commands that the channel had no room for, cancellations only. At most one per sequence.
    var outbox: [WorkerCommand] = []
    var load = WorkerLoad()
    var lastProgress: MonotonicInstant
    /// See `ServiceStatus.preparingSince`.
    var preparingSince: MonotonicInstant?
    private var lastSequence: UInt64 = 0
    private var lastRequest: UInt64 = 0
    private var ticker: ReactorTimer?
    private var waitingForIdle: [CheckedContinuation<Void, Never>] = []

    enum WorkerNews: Sendable {
        case report(StepReport)
        case lost(String)
    }

    /// A sequence whose ending is awaited, and who waits for it; nobody once the client has gone.
    struct SequenceSlot {
        var request: ActiveRequest?
        let choice: Int
        /// When its worker was told to let go.
        var cancelled: MonotonicInstant?
    }

    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe reactor.asUnownedSerialExecutor() }

    package init(
        on reactor: Reactor, model: ServedModel, configuration: GatewayConfiguration, metrics: MetricRegistry, logger: Logger,
        clock: any MonotonicClock = SystemClock()
    ) {
        let problems = configuration.problems()
        precondition(problems.isEmpty, "the gateway's configuration: \(problems)")
        self.reactor = reactor
        self.model = model
        self.configuration = configuration
        self.gate = AdmissionGate(configuration.admission)
        self.metrics = GatewayMetrics(metrics)
        self.logger = logger
        self.clock = clock
        self.preparer = RequestPreparer(model, completionTokens: configuration.completionTokens, limit: configuration.preparationLimit)
        self.lastProgress = clock.now
    }

    // MARK: Life

    /// Works until `stop()`. The server that hands requests to the gateway is drained before, the worker's channel closed.
    package func run() async {
        precondition(ticker == nil, "a gateway runs once")
        let tick = min(configuration.keepAlive / 4, .seconds(1))
        ticker = ReactorTimer(on: reactor, after: tick, repeating: tick) { self.tick() }
        await preparer.run { [self] request, preparation in
            reactor.submit { self.assumeIsolated { $0.finishPreparation(request, preparation) } }
        }
        ticker?.close()
        ticker = nil
    }

    package nonisolated func stop() { preparer.stop() }

    /// From now on requests go to this worker. The worker before it, if any, must be lost.
    package func attach(_ channel: any WorkerChannel) {
        applyNews()
        precondition(self.channel == nil, "a second worker \(channel.hello.worker) beside \(self.channel?.hello.worker ?? "")")
        self.channel = channel
        load = WorkerLoad()
        load.pagesTotal = channel.hello.pagesTotal
        load.pagesAvailable = channel.hello.pagesTotal
        metrics.attached(channel.hello)
        lastProgress = clock.now
        logger.info("worker attached", metadata: ["worker": "\(channel.hello.worker)", "model": "\(channel.hello.modelName)"])
        publish()
    }

    /// Refuses new work with 503 `draining` from now on; running answers go on to their end.
    package func beginDrain() {
        guard !isDraining else { return }
        isDraining = true
        logger.notice("draining", metadata: ["requests": "\(requests.count)"])
        publish()
    }

    /// The time to drain is over: ends every answer that still runs with an error that says so, in its stream or instead of it.
    ///
    /// - Returns: how many there were.
    package func cutOff() -> Int {
        let running = requests.values.filter { !$0.isOver }
        for request in running {
            fail(request, APIError(.draining, "this server shut down before the answer was finished", retryAfter: .seconds(5)))
        }
        sendCommands()
        publish()
        return running.count
    }

    /// Returns when no request is open and no sequence is owed an ending.
    package func idle() async {
        guard !(requests.isEmpty && sequences.isEmpty) else { return }
        await withCheckedContinuation { waitingForIdle.append($0) }
    }

    package nonisolated var status: ServiceStatus { published.withLock { $0 } }

    /// Makes what changed visible to other threads.
    func publish() {
        var status = ServiceStatus()
        status.worker = channel?.hello
        status.load = load
        status.isDraining = isDraining
        status.requests = requests.count
        status.sequences = sequences.count
        status.lastProgress = lastProgress
        status.preparingSince = preparingSince
        let admission = gate.snapshot
        status.permits = admission.sequences
        published.withLock { $0 = status }
        metrics.active.set(requests.count)
        metrics.sequences.set(sequences.count)
        metrics.permits.set(admission.sequences)
        metrics.queuedTokens.set(admission.queuedTokens)
        guard requests.isEmpty, sequences.isEmpty, !waitingForIdle.isEmpty else { return }
        let waiting = waitingForIdle
        waitingForIdle = []
        for continuation in waiting { continuation.resume() }
    }

    // MARK: Ids

    func nextRequest() -> UInt64 {
        lastRequest += 1
        return lastRequest
    }

    func nextSequence() -> SequenceID {
        lastSequence += 1
        return SequenceID(lastSequence)
    }

    // MARK: Worker

    /// Puts news where the reactor finds them; the first since it last looked wakes it.
    fileprivate nonisolated func put(_ news: WorkerNews) {
        let isFirst = inbox.withLock { inbox in
            inbox.append(news)
            return inbox.count == 1
        }
        if isFirst { reactor.submit { self.assumeIsolated { $0.applyNews() } } }
    }

    func takeNews() -> [WorkerNews] {
        inbox.withLock { inbox in
            let news = inbox
            inbox = []
            return news
        }
    }
}

extension Gateway: ReportSink {
    package nonisolated func receive(_ report: StepReport) { put(.report(report)) }
    package nonisolated func workerLost(_ reason: String) { put(.lost(reason)) }
}
