import Inference
import Platform
import Synchronization
import Wire

/// A worker whose every step the test writes. Commands arrive in a stream; reports go to the sink when the test says so.
final class ScriptedWorker: WorkerChannel {
    let hello: WorkerHello
    let commands: AsyncStream<WorkerCommand>
    private let arrival: AsyncStream<WorkerCommand>.Continuation
    private let state = Mutex(State())

    private struct State {
        var load = WorkerLoad()
        var refusal: WireError?
        var prediction: Duration?
    }

    init(sequenceLimit: Int = 200) {
        hello = WorkerHello(
            worker: "scripted", modelName: "m", modelDigest: "d",
            shape: ModelShape(
                layers: 1, hidden: 8, intermediate: 8, heads: 1, keyValueHeads: 1, headDimension: 8, vocabulary: TinyModel.vocabulary,
                context: sequenceLimit), sequenceLimit: sequenceLimit, pagesTotal: 10, instructionSet: "none", dtype: "f32")
        (commands, arrival) = AsyncStream.makeStream()
    }

    func send(_ commands: [WorkerCommand]) throws(WireError) {
        if let refusal = state.withLock({ $0.refusal }) { throw refusal }
        for command in commands { arrival.yield(command) }
    }

    func predictedPrefill(tokens: Int) -> Duration? { state.withLock { $0.prediction } }

    func predict(_ duration: Duration?) { state.withLock { $0.prediction = duration } }

    func refuse(_ error: WireError?) { state.withLock { $0.refusal = error } }

    /// The next command, which must be a start.
    func started() async -> SequenceRequest {
        for await command in commands {
            if case .start(let request) = command { return request }
        }
        preconditionFailure("no sequence was started")
    }

    /// The next command, which must be a cancellation.
    func cancelled() async -> SequenceID {
        for await command in commands {
            if case .cancel(let id) = command { return id }
        }
        preconditionFailure("no sequence was cancelled")
    }

    /// One step: `text` for the sequence, a token a byte.
    func step(_ text: String, _ id: SequenceID) -> StepReport { step(text.utf8.map { TokenID($0) }, id) }

    func step(_ tokens: [TokenID], _ id: SequenceID) -> StepReport {
        StepReport(tokens: tokens.map { TokenEvent(sequence: id, index: 0, token: $0) }, load: advance(tokens.count))
    }

    func end(_ id: SequenceID, _ reason: FinishReason, prompt: Int = 5, cached: Int = 0, generated: Int = 0) -> StepReport {
        var timeline = SequenceTimeline()
        timeline.queued = .milliseconds(1)
        timeline.prefill = .milliseconds(2)
        timeline.decode = .milliseconds(3)
        let ending = SequenceEnding(
            sequence: id, reason: reason, promptTokens: prompt, cachedTokens: cached, generatedTokens: generated, timeline: timeline)
        return StepReport(endings: [ending], load: advance(0))
    }

    private func advance(_ tokens: Int) -> WorkerLoad {
        state.withLock {
            $0.load.steps += 1
            $0.load.generatedTokens += UInt64(tokens)
            return $0.load
        }
    }
}
