import Engine
import Inference
import Platform
import Scheduling
import Synchronization
import Testing
import Transfer
import Wire

/// Chooses tokens by a hash of everything before them, so that any disorder shows.
private final class HashingModel: StepModel {
    func run(_ plan: StepPlan, layerDone: (Int) -> Void) -> [SampleOutcome?] {
        plan.segments.map { segment in
            guard segment.samples else { return nil }
            let all = (0..<segment.sequence.count).map(segment.sequence.token(at:))
            return .token(Self.next(after: all), logprob: nil, alternatives: [])
        }
    }

    static func next(after tokens: [TokenID]) -> TokenID { TokenID(truncatingIfNeeded: Digest(of: tokens.span).low & 0xFFFF) }

    static func answer(to prompt: [TokenID], count: Int) -> [TokenID] {
        var all = prompt
        for _ in 0..<count { all.append(next(after: all)) }
        return Array(all[prompt.count...])
    }
}

/// Collects reports and wakes whoever waits for a number of endings.
private final class Collector: ReportSink {
    private struct State {
        var tokens: [SequenceID: [TokenID]] = [:]
        var endings: [SequenceID: SequenceEnding] = [:]
        var load = WorkerLoad()
        var waiting: (count: Int, continuation: CheckedContinuation<Void, Never>)?
    }
    private let state = Mutex(State())

    func receive(_ report: StepReport) {
        let wake = state.withLock { state -> CheckedContinuation<Void, Never>? in
            for event in report.tokens { state.tokens[event.sequence, default: []].append(event.token) }
            for ending in report.endings { state.endings[ending.sequence] = ending }
            state.load = report.load
            guard let waiting = state.waiting, state.endings.count >= waiting.count else { return nil }
            state.waiting = nil
            return waiting.continuation
        }
        wake?.resume()
    }

    func workerLost(_ reason: String) {}

    func endings(_ count: Int) async -> [SequenceID: SequenceEnding] {
        await withCheckedContinuation { continuation in
            let ready = state.withLock { state -> Bool in
                if state.endings.count >= count { return true }
                state.waiting = (count, continuation)
                return false
            }
            if ready { continuation.resume() }
        }
        return state.withLock { $0.endings }
    }

    var tokens: [SequenceID: [TokenID]] { state.withLock { $0.tokens } }
    var load: WorkerLoad { state.withLock { $0.load } }
}

@Suite(.timeLimit(.minutes(1))) struct WorkerTests {
    private let channel = InMemoryChannel(limit: 64)
    private let sink = Collector()

    private func start() -> Task<Void, Never> {
        let shape = ModelShape(
            layers: 1, hidden: 1, intermediate: 1, heads: 1, keyValueHeads: 1, headDimension: 1, vocabulary: 65536, context: 2048)
        channel.open(
            hello: WorkerHello(
                worker: "w", modelName: "hash", modelDigest: "0", shape: shape, sequenceLimit: 640, pagesTotal: 10,
                instructionSet: "none", dtype: "none"),
            sink: sink)
        let worker = Worker(
            thread: WorkerThread(name: "worker"), limits: SchedulerLimits(stepTokens: 100, sequenceTokens: 640), pages: 10,
            fingerprint: "hash", channel: channel, makeModel: { HashingModel() })
        return Task { await worker.run() }
    }

    private func request(_ id: UInt64, prompt: Int, generate: Int) -> WorkerCommand {
        var sampling = SamplingParameters()
        sampling.maxTokens = generate
        return .start(SequenceRequest(id: SequenceID(id), prompt: prompt_(id, prompt), sampling: sampling))
    }

    private func prompt_(_ id: UInt64, _ count: Int) -> [TokenID] { (0..<TokenID(count)).map { $0 &* 31 &+ TokenID(id) } }

    @Test func commandsGoInAndExactlyOneEndingPerSequenceComesOut() async throws {
        let running = start()
        for id in 1...20 as ClosedRange<UInt64> { try channel.send([request(id, prompt: 30, generate: 40)]) }
        let endings = await sink.endings(20)
        for id in 1...20 as ClosedRange<UInt64> {
            #expect(endings[SequenceID(id)]?.reason == .length)
            #expect(sink.tokens[SequenceID(id)] == HashingModel.answer(to: prompt_(id, 30), count: 40))
        }
        #expect(sink.load.running == 0 && sink.load.pagesAvailable == 10)
        channel.close()
        await running.value
    }

    @Test func aCancelledSequenceEndsAndTheWorkerGoesOn() async throws {
        let running = start()
        try channel.send([request(1, prompt: 10, generate: 600), .cancel(SequenceID(1)), request(2, prompt: 10, generate: 2)])
        let endings = await sink.endings(2)
        #expect(endings[SequenceID(1)]?.reason == .cancelled)
        #expect(endings[SequenceID(2)]?.reason == .length)
        channel.close()
        await running.value
    }

    @Test func aFullChannelRefusesStartsButNeverCancels() throws {
        for id in 0..<64 as Range<UInt64> { try channel.send([request(id, prompt: 1, generate: 1)]) }
        #expect(throws: WireError.full(limit: 64)) { try channel.send([request(99, prompt: 1, generate: 1)]) }
        try channel.send([.cancel(SequenceID(3))])
        #expect(channel.take().count == 65)
    }

    @Test func aClosedChannelEndsTheWorkerAndRefusesCommands() async throws {
        let running = start()
        channel.close()
        await running.value
        #expect(throws: WireError.closed) { try channel.send([.cancel(SequenceID(1))]) }
    }
}
