internal import Engine
internal import Inference
internal import Kernels
internal import Model
internal import Platform
internal import Scheduling
internal import Synchronization
internal import Transfer
internal import Wire

/// What of a worker's steps is not the forward pass: scheduling, zeroing pages, sampling, the report through the channel that serves requests.
struct EngineBenchmark {
    let weights: DecoderWeights
    let threads: Int
    let instructionSet: InstructionSet
    let prompt: Int
    let generate: Int

    /// Its share, 0 to 1, of the steps that advance `batch` sequences by one token each; the median. Nil where there was no such step:
    /// prompts are read one after the other, and the first sequence may have all its tokens before the last one begins.
    func overhead(_ batch: Int) async throws -> Double? {
        let context = prompt + generate
        let pages = batch * Page.count(forTokens: context)
        let limits = DecoderModel.Limits(rows: max(512, batch), logitRows: batch, context: context)
        let channel = InMemoryChannel()
        let (weights, threads, instructionSet) = (weights, threads, instructionSet)
        let times = StepTimes(batch: batch)
        let worker = try Worker(
            thread: WorkerThread(name: "engine"),
            limits: SchedulerLimits(stepTokens: limits.rows, runningSequences: batch, sequenceTokens: context), pages: pages,
            fingerprint: "bench", channel: channel
        ) {
            let team = ThreadTeam(threads: threads, instructionSet: instructionSet)
            return TimedModel(try ModelRunner(model: DecoderModel(weights, limits: limits, team: team), pages: pages), times: times)
        }
        let endings = EndingCount(batch)
        channel.open(hello: hello(pages: pages, context: context), sink: endings)
        let running = Task { await worker.run() }
        try channel.send((0..<batch).map { .start(request($0)) })
        await endings.reached()
        channel.close()
        await running.value
        let shares = times.shares
        return shares.isEmpty ? nil : shares.sorted()[shares.count / 2]
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
            pagesTotal: pages, instructionSet: instructionSet.name, dtype: "\(weights.form)")
    }
}

/// A model that notes when its steps begin and how long their forward passes take.
private final class TimedModel: StepModel {
    private let runner: ModelRunner
    private let times: StepTimes

    init(_ runner: ModelRunner, times: StepTimes) {
        self.runner = runner
        self.times = times
    }

    func run(_ plan: StepPlan, layerDone: (Int) -> Void) -> [SampleOutcome?] {
        let started = SystemClock().now
        let outcomes = runner.run(plan, layerDone: layerDone)
        times.add(sequences: plan.segments.count { $0.samples }, rows: plan.tokens.count, started: started, forward: runner.forwardTime)
        return outcomes
    }
}

/// From the beginning of one step to that of the next: how much of it was not the forward pass.
private final class StepTimes: Sendable {
    private let batch: Int
    private let state = Mutex(State())

    private struct State {
        /// Of the last step, if it advanced all sequences and nothing else.
        var last: (started: MonotonicInstant, forward: Duration)?
        var shares: [Double] = []
    }

    init(batch: Int) { self.batch = batch }

    func add(sequences: Int, rows: Int, started: MonotonicInstant, forward: Duration) {
        state.withLock { state in
            if let last = state.last { state.shares.append(1 - last.forward.inSeconds / started.since(last.started).inSeconds) }
            state.last = sequences == batch && rows == batch ? (started, forward) : nil
        }
    }

    var shares: [Double] { state.withLock { $0.shares } }
}

/// Waits until a number of sequences have ended.
private final class EndingCount: ReportSink {
    private let left: Mutex<Int>
    private let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    init(_ count: Int) {
        left = Mutex(count)
        (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func receive(_ report: StepReport) {
        let isOver = left.withLock { left in
            left -= report.endings.count
            return left <= 0
        }
        if isOver { continuation.finish() }
    }

    func workerLost(_ reason: String) { continuation.finish() }

    func reached() async { for await _ in stream {} }
}
