import Gateway
import Inference
import Logging
import Platform
import Routing
import Synchronization
import TestSupport
import Testing
import Wire

/// The gateway's end of a link whose other end the test writes.
private final class ScriptedLink: WorkerLink {
    let messages: AsyncStream<GatewayMessage>
    private let arrival: AsyncStream<GatewayMessage>.Continuation
    private let state = Mutex(false)

    init() { (messages, arrival) = AsyncStream.makeStream() }

    var hasEnded: Bool { state.withLock { $0 } }
    func send(_ messages: [GatewayMessage]) { for message in messages { arrival.yield(message) } }
    func end() {
        state.withLock { $0 = true }
        arrival.finish()
    }

    /// The next message that `pick` wants; those before it are dropped.
    func next<Result>(_ pick: (GatewayMessage) -> Result?) async -> Result? {
        for await message in messages { if let result = pick(message) { return result } }
        return nil
    }

    func started() async -> SequenceRequest? {
        await next { message in
            guard case .commands(_, let commands) = message else { return nil }
            for command in commands { if case .start(let request) = command { return request } }
            return nil
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct CoordinatorTests {
    private func registration(_ name: String, incarnation: UInt64 = 1, change: (inout WorkerRegistration) -> Void = { _ in }) -> WorkerRegistration {
        let shape = ModelShape(
            layers: 1, hidden: 8, intermediate: 8, heads: 1, keyValueHeads: 1, headDimension: 8, vocabulary: TinyModel.vocabulary, context: 200)
        let hello = WorkerHello(
            worker: name, modelName: "m", modelDigest: "d", shape: shape, sequenceLimit: 200, pagesTotal: 10, instructionSet: "none", dtype: "f32")
        var registration = WorkerRegistration(
            name: name, incarnation: incarnation, process: 7, capabilities: [.prefill, .decode], wanted: [.prefill, .decode], hello: hello,
            keyValueFingerprint: 1, tokenizerDigest: "t", pageTokens: 64, pageBytes: 64, endpoint: "unix:/\(name)")
        change(&registration)
        return registration
    }

    private func stage(_ clock: SetClock = SetClock()) async throws -> (GatewayStage, Coordinator) {
        let stage = try await GatewayStage(attaches: false, clock: clock)
        let coordinator = Coordinator(
            for: stage.gateway, dispatcher: Dispatcher(fleet: Fleet(limits: FleetLimits())), clock: clock,
            logger: Logger(label: "fleet") { _ in SwiftLogNoOpLogHandler() })
        return (stage, coordinator)
    }

    private func answer(_ request: SequenceRequest, _ text: String) -> StepReport {
        let tokens = text.utf8.enumerated().map { index, byte in
            TokenEvent(sequence: request.id, index: request.emitted.count + index, token: TokenID(byte))
        }
        return StepReport(tokens: tokens)
    }

    private func end(_ request: SequenceRequest, generated: Int) -> StepReport {
        StepReport(endings: [
            SequenceEnding(sequence: request.id, reason: .length, promptTokens: 1, cachedTokens: 0, generatedTokens: generated)
        ])
    }

    @Test("a worker that joins is welcomed, and the service is ready")
    func joins() async throws {
        let (stage, coordinator) = try await stage()
        let client = try await stage.client()
        #expect(try await client.post("/v1/completions", answered: #"{"prompt":"x"}"#).status == 503)
        let link = ScriptedLink()
        await coordinator.register(registration("w"), over: link)
        let welcome = await link.next { message in
            if case .welcome(let epoch, let roles, _, _) = message { (epoch, roles) } else { nil }
        }
        #expect(welcome?.0 == 1 && welcome?.1 == [.prefill, .decode])
        try await client.post("/v1/completions", #"{"prompt":"x","max_tokens":2}"#)
        let request = try #require(await link.started())
        await coordinator.receive(.report(answer(request, "hi")), over: link)
        await coordinator.receive(.report(end(request, generated: 2)), over: link)
        let found = try await client.answer()
        #expect(found.json["choices"]?.array?.first?["text"] == "hi")
        await client.close()
        await coordinator.stop()
        await stage.end()
    }

    @Test("an answer goes on with another worker when its own is lost, and the client sees one stream")
    func replays() async throws {
        let (stage, coordinator) = try await stage()
        let (first, second) = (ScriptedLink(), ScriptedLink())
        await coordinator.register(registration("a"), over: first)
        let client = try await stage.client()
        try await client.post("/v1/completions", #"{"prompt":"x","max_tokens":4,"stream":true,"ferry":true}"#)
        let request = try #require(await first.started())
        await coordinator.receive(.report(answer(request, "he")), over: first)
        await coordinator.register(registration("b"), over: second)
        await coordinator.linkEnded(first, reason: "killed")
        let again = try #require(await second.started())
        #expect(again.emitted == Array("he".utf8).map { TokenID($0) })
        #expect(again.sampling.seed == request.sampling.seed && again.sampling.maxTokens == 4)
        // What the lost one still said belongs to nobody.
        await coordinator.receive(.report(answer(request, "XX")), over: first)
        await coordinator.receive(.report(answer(again, "re")), over: second)
        await coordinator.receive(.report(end(again, generated: 4)), over: second)
        _ = try await client.receive(until: "\r\n\r\n")
        let text = try await client.chunks()
        #expect(text.contains(#""text":"he""#) && text.contains(#""text":"re""#) && !text.contains("XX"))
        #expect(text.contains(#""attempts":2"#) && text.contains(#""decode":"b""#) && text.contains("[DONE]"))
        await client.close()
        await coordinator.stop()
        await stage.end()
    }

    @Test("a worker that does not fit is refused with the reason; a new life takes its old one's place")
    func refuses() async throws {
        let clock = SetClock()
        let (stage, coordinator) = try await stage(clock)
        let link = ScriptedLink()
        await coordinator.register(registration("a"), over: link)
        func refusal(_ registration: WorkerRegistration) async -> String? {
            let link = ScriptedLink()
            await coordinator.register(registration, over: link)
            let code = await link.next { message -> String?? in
                switch message {
                case .refuse(let code, _): .some(code)
                case .welcome: .some(nil)
                default: nil
                }
            }
            return code ?? nil
        }
        #expect(await refusal(registration("b") { $0.hello.dtype = "bf16" }) == "fingerprint_mismatch")
        #expect(await refusal(registration("b") { $0.tokenizerDigest = "u" }) == "fingerprint_mismatch")
        #expect(await refusal(registration("a", incarnation: 2)) == "name_in_use")
        #expect(!link.hasEnded)
        clock.set(seconds: 3)
        #expect(await refusal(registration("a", incarnation: 2)) == nil)
        #expect(link.hasEnded)
        #expect(coordinator.workers.map(\.registration.incarnation) == [2])
        await coordinator.stop()
        await stage.end()
    }
}
