internal import Engine
internal import Inference
internal import Kernels
internal import Model
internal import Platform
internal import Scheduling
internal import Synchronization
internal import Transfer
internal import Wire

/// Times whole steps of a worker: scheduling, the forward pass, sampling and the report, through the same channel that serves requests.
struct EngineBenchmark {
    let weights: DecoderWeights
    let threads: Int
    let instructionSet: InstructionSet
    let prompt: Int
    let generate: Int

    /// Seconds of a step that advances `batch` sequences by one token each; the median. Nil where there was none: prompts are read one after
    /// the other, and the first sequence may have all its tokens before the last one begins.
    func step(_ batch: Int) async throws -> Double? {
        let context = prompt + generate
        let pages = batch * Page.count(forTokens: context)
        let limits = DecoderModel.Limits(rows: max(512, batch), logitRows: batch, context: context)
        let channel = InMemoryChannel()
        let (weights, threads, instructionSet) = (weights, threads, instructionSet)
        let worker = try Worker(
            thread: WorkerThread(name: "engine"),
            limits: SchedulerLimits(stepTokens: limits.rows, runningSequences: batch, sequenceTokens: context), pages: pages,
            fingerprint: "bench", channel: channel
        ) {
            let team = ThreadTeam(threads: threads, instructionSet: instructionSet)
            return try ModelRunner(model: DecoderModel(weights, limits: limits, team: team), pages: pages)
        }
        let clock = StepClock(batch: batch)
        channel.open(hello: hello(pages: pages, context: context), sink: clock)
        let running = Task { await worker.run() }
        try channel.send((0..<batch).map { .start(request($0)) })
        let steps = await clock.ended()
        channel.close()
        await running.value
        return steps.isEmpty ? nil : steps.sorted()[steps.count / 2]
    }

    private func request(_ index: Int) -> SequenceRequest {
        var sampling = SamplingParameters()
        sampling.seed = UInt64(index)
        sampling.maxTokens = generate
        let vocabulary = weights.configuration.shape.vocabulary
        let tokens = (0..<prompt).map { TokenID(($0 * 7 + index * 31) % vocabulary) }
        return SequenceRequest(id: SequenceID(UInt64(index)), prompt: tokens, sampling: sampling)
    }

    private func hello(pages: Int, context: Int) -> WorkerHello {
        WorkerHello(
            worker: "bench", modelName: "bench", modelDigest: "", shape: weights.configuration.shape, sequenceLimit: context,
            pagesTotal: pages, instructionSet: instructionSet.name, dtype: "\(weights.type)")
    }
}

/// Notes when reports come, and keeps the times between those that carry a token of every sequence.
private final class StepClock: ReportSink {
    private let batch: Int
    private let steps: AsyncStream<Double>
    private let continuation: AsyncStream<Double>.Continuation
    private let state = Mutex(State())

    private struct State {
        var last: MonotonicInstant?
        var ended = 0
    }

    init(batch: Int) {
        self.batch = batch
        // As many as tokens are generated.
        (steps, continuation) = AsyncStream.makeStream()
    }

    func receive(_ report: StepReport) {
        let now = SystemClock().now
        let isOver = state.withLock { state in
            if let last = state.last, report.tokens.count == batch { continuation.yield(now.since(last).inSeconds) }
            state.last = report.tokens.count == batch ? now : nil
            state.ended += report.endings.count
            return state.ended >= batch
        }
        if isOver { continuation.finish() }
    }

    func workerLost(_ reason: String) { continuation.finish() }

    func ended() async -> [Double] {
        var all: [Double] = []
        for await step in steps { all.append(step) }
        return all
    }
}
