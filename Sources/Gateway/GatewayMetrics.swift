internal import Inference
internal import Platform
internal import Telemetry
internal import Wire

/// The gateway's instruments, looked up once.
struct GatewayMetrics: Sendable {
    let registry: MetricRegistry
    let active: Gauge
    let sequences: Gauge
    let permits: Gauge
    let queuedTokens: Gauge
    let workerConnected: Gauge
    let workerLosses: Counter
    let promptTokens: Counter
    let generationTokens: Counter
    let preparation: Histogram
    let firstToken: Histogram
    let interToken: Histogram
    let latency: Histogram
    private let queueTime: Histogram
    private let prefillTime: Histogram
    private let decodeTime: Histogram
    private let inferenceTime: Histogram
    private let requestPromptTokens: Histogram
    private let requestGenerationTokens: Histogram
    let choices: Histogram
    let maxTokens: Histogram
    private let iterationTokens: Histogram
    private let running: Gauge
    private let waiting: Gauge
    private let kvUsage: Gauge
    private let steps: Gauge
    private let prefilled: Gauge
    private let preemptions: Gauge
    private let prefixQueries: Gauge
    private let prefixHits: Gauge
    private let modelSeconds: Gauge
    private let stepSeconds: Gauge
    let cancelToFree: Histogram

    init(_ registry: MetricRegistry) {
        self.registry = registry
        active = registry.gauge(.requestsActive)
        sequences = registry.gauge(.sequencesActive)
        permits = registry.gauge(.permitsHeld)
        queuedTokens = registry.gauge(.queuedPromptTokens)
        workerConnected = registry.gauge(.workerConnected)
        workerLosses = registry.counter(.workerLosses)
        promptTokens = registry.counter(.promptTokens)
        generationTokens = registry.counter(.generationTokens)
        preparation = registry.histogram(.preparationTime)
        firstToken = registry.histogram(.timeToFirstToken)
        interToken = registry.histogram(.interTokenLatency)
        latency = registry.histogram(.requestLatency)
        queueTime = registry.histogram(.queueTime)
        prefillTime = registry.histogram(.prefillTime)
        decodeTime = registry.histogram(.decodeTime)
        inferenceTime = registry.histogram(.inferenceTime)
        requestPromptTokens = registry.histogram(.requestPromptTokens)
        requestGenerationTokens = registry.histogram(.requestGenerationTokens)
        choices = registry.histogram(.requestChoices)
        maxTokens = registry.histogram(.requestMaxTokens)
        iterationTokens = registry.histogram(.iterationTokens)
        running = registry.gauge(.requestsRunning)
        waiting = registry.gauge(.requestsWaiting)
        kvUsage = registry.gauge(.kvUsage)
        steps = registry.gauge(.steps)
        prefilled = registry.gauge(.prefilledTokens)
        preemptions = registry.gauge(.preemptions)
        prefixQueries = registry.gauge(.prefixQueries)
        prefixHits = registry.gauge(.prefixHits)
        modelSeconds = registry.gauge(.modelSeconds)
        stepSeconds = registry.gauge(.stepSeconds)
        cancelToFree = registry.histogram(.cancelToFree)
        for reason in ["stop", "length"] { _ = registry.counter(.requestsFinished, MetricLabel("finished_reason", reason)) }
    }

    /// A worker came: what it is, in labels.
    func attached(_ hello: WorkerHello) {
        workerConnected.set(1)
        registry.gauge(
            .cacheConfiguration, MetricLabel("block_size", "\(Page.tokens)"), MetricLabel("num_gpu_blocks", "\(hello.pagesTotal)"),
            MetricLabel("cache_dtype", hello.dtype)
        ).set(1)
    }

    /// An answer by route and status, and by code when it is a refusal.
    func answered(_ route: String, status: Int, code: String? = nil) {
        registry.counter(.requests, MetricLabel("route", route), MetricLabel("status", "\(status)")).add()
        if let code { registry.counter(.requestsRefused, MetricLabel("code", code)).add() }
    }

    func cancelled(_ cause: String) { registry.counter(.requestsCancelled, MetricLabel("cause", cause)).add() }

    func ended(_ ending: SequenceEnding) {
        let reason: String? =
            switch ending.reason {
            case .stop: "stop"
            case .length: "length"
            case .cancelled, .deadlineExceeded, .failed, .handedOff, .interrupted: nil
            }
        if let reason { registry.counter(.requestsFinished, MetricLabel("finished_reason", reason)).add() }
        promptTokens.add(ending.promptTokens)
        requestPromptTokens.observe(ending.promptTokens)
        requestGenerationTokens.observe(ending.generatedTokens)
        queueTime.observe(ending.timeline.queued)
        prefillTime.observe(ending.timeline.prefill)
        decodeTime.observe(ending.timeline.decode)
        inferenceTime.observe(ending.timeline.prefill + ending.timeline.decode)
        if let transfer = ending.transfer { moved(transfer) }
    }

    private func moved(_ transfer: TransferSummary) {
        registry.counter(.kvTransfers, MetricLabel("profile", transfer.profile)).add()
        registry.counter(.kvRawBytes).add(transfer.rawBytes)
        registry.counter(.kvSentBytes).add(transfer.sentBytes)
        registry.counter(.kvReconnects).add(max(0, transfer.connections - 1))
        registry.histogram(.kvWireTime).observe(transfer.wire)
        registry.histogram(.kvExposedTime).observe(transfer.exposed)
    }

    /// - Parameter before: the load after the step before.
    func step(_ load: WorkerLoad, before: WorkerLoad) {
        running.set(load.running)
        waiting.set(load.waiting)
        kvUsage.set(load.pagesTotal > 0 ? 1 - Double(load.pagesAvailable) / Double(load.pagesTotal) : 0)
        steps.set(Double(load.steps))
        prefilled.set(Double(load.prefillTokens))
        preemptions.set(Double(load.preemptions))
        prefixQueries.set(Double(load.prefixQueries))
        prefixHits.set(Double(load.prefixHits))
        modelSeconds.set(load.modelTime.inSeconds)
        stepSeconds.set(load.stepTime.inSeconds)
        let tokens = (load.prefillTokens &- before.prefillTokens) &+ (load.generatedTokens &- before.generatedTokens)
        if load.steps > before.steps, tokens <= UInt64(Int32.max) { iterationTokens.observe(Double(tokens)) }
    }
}
