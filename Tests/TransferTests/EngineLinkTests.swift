import Inference
import Platform
import Reactor
import TestSupport
import Testing
import Wire

@testable import Transfer

/// What is known of an engine that works, waits or hangs.
@Suite(.timeLimit(.minutes(5)))
struct EngineLinkTests {
    private func start(_ id: UInt64) -> WorkerCommand { .start(SequenceRequest(id: SequenceID(id), prompt: [1], sampling: SamplingParameters())) }

    /// Returns when the engine waits.
    private func waits(_ engine: EngineLink) async { while engine.sign.hasWork { await Task.yield() } }

    @Test func `an engine that waits has no age, one that works ages, and is young again when it is heard of`() async throws {
        let clock = SetClock()
        let reactor = try Reactor(name: "worker")
        let engine = EngineLink(on: reactor, clock: clock)
        async let woken = engine.wait()
        await waits(engine)
        clock.set(seconds: 100)
        #expect((engine.sign.since, engine.sign.hasWork) == (.zero, false))
        // Nobody has seen it run yet, but it did nothing wrong for a hundred seconds.
        engine.put([start(1)])
        #expect((engine.sign.since, engine.sign.hasWork, engine.sign.live) == (.zero, true, 1))
        #expect(await woken)
        clock.set(seconds: 103)
        #expect(engine.sign.since == .seconds(3))
        #expect(engine.take() == [start(1)])
        #expect(engine.sign.since == .zero)
        clock.set(seconds: 110)
        #expect(engine.sign.since == .seconds(7))
        engine.deliver(StepReport(endings: [SequenceEnding(sequence: SequenceID(1), reason: .cancelled, promptTokens: 1, cachedTokens: 0, generatedTokens: 0)]))
        #expect((engine.sign.since, engine.sign.live) == (.zero, 0))
        await reactor.shutdown()
    }

    @Test func `to wait ends with news, a wake-up or the end, and what came before it is not waited for`() async throws {
        let reactor = try Reactor(name: "worker")
        let engine = EngineLink(on: reactor)
        engine.wake()
        #expect(await engine.wait())
        let transfer = TransferID(high: 1, low: 1)
        engine.put([TransferNews.released(transfer)])
        #expect(await engine.wait())
        #expect(engine.takeNews() == [.released(transfer)])
        #expect(engine.takeNews() == [])
        async let end = engine.wait()
        await waits(engine)
        engine.close()
        #expect(await end == false)
        #expect(await engine.wait() == false)
        await reactor.shutdown()
    }
}
