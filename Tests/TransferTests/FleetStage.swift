import HTTP
import Inference
import Logging
import Platform
import Reactor
import Server
import Synchronization
import TestSupport
import Wire

@testable import Transfer

/// What a desk was told. Links are numbered in the order of their registration.
enum DeskEvent: Sendable, Equatable {
    case registered(Int, WorkerRegistration)
    case message(Int, WorkerMessage)
    case ended(Int, String)
}

/// A gateway that is a desk alone.
actor DeskStage: FleetDesk {
    nonisolated let reactor: Reactor
    nonisolated let events: AsyncStream<DeskEvent>
    private let report: AsyncStream<DeskEvent>.Continuation
    private var links: [any WorkerLink] = []
    private var server: HTTPServer?

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe reactor.asUnownedSerialExecutor() }

    init() throws {
        reactor = try Reactor(name: "gateway")
        (events, report) = AsyncStream.makeStream()
    }

    @discardableResult
    func listen(on endpoint: String = "127.0.0.1:0") async throws -> Endpoint {
        let server = HTTPServer(on: reactor, limits: .fleet, handler: FleetDoor(to: self))
        self.server = server
        return try await server.listen(on: Endpoint(endpoint))
    }

    func stop() async {
        let old = server
        server = nil
        await old?.drain(within: .zero)
    }

    func register(_ registration: WorkerRegistration, over link: any WorkerLink) {
        links.append(link)
        report.yield(.registered(links.count - 1, registration))
    }

    func receive(_ message: WorkerMessage, over link: any WorkerLink) { report.yield(.message(number(link), message)) }
    func linkEnded(_ link: any WorkerLink, reason: String) { report.yield(.ended(number(link), reason)) }

    private func number(_ link: any WorkerLink) -> Int { links.firstIndex { $0 === link } ?? -1 }

    func send(_ messages: [GatewayMessage], to link: Int = 0) { links[link].send(messages) }
    func endLink(_ link: Int = 0) { links[link].end() }

    nonisolated func next() async -> DeskEvent? { await events.first { _ in true } }

    /// The next event that is no pulse.
    nonisolated func nextButPulses() async -> DeskEvent? {
        await events.first { if case .message(_, .pulse) = $0 { false } else { true } }
    }

    nonisolated func end() async {
        await stop()
        report.finish()
        await reactor.shutdown()
    }
}

/// A worker whose engine is the test.
struct MemberStage {
    let clock = SetClock()
    let reactor: Reactor
    let engine: EngineLink
    let member: FleetMember
    let source = ScriptedSource()
    let sink = KeepingSink()
    let tells: AsyncStream<String>
    private let tell: AsyncStream<String>.Continuation

    init(gateway: Endpoint, name: String = "worker-0") async throws {
        reactor = try Reactor(name: "worker")
        (tells, tell) = AsyncStream.makeStream()
        engine = EngineLink(on: reactor, clock: clock)
        let configuration = FleetMemberConfiguration(gateway: gateway, tls: nil, registration: Self.registration(name))
        member = FleetMember(
            on: reactor, configuration: configuration, engine: engine, source: source, sink: sink,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, clock: clock)
        let tell = tell
        await member.start(
            listening: "127.0.0.1:1", refused: { tell.yield("refused \($0)") }, drained: { tell.yield("drained") },
            shape: { tell.yield("shape \($0?.bytesPerSecond ?? 0)") })
    }

    static func registration(_ name: String, endpoint: String = "") -> WorkerRegistration {
        let shape = ModelShape(layers: 1, hidden: 64, intermediate: 64, heads: 1, keyValueHeads: 1, headDimension: 64, vocabulary: 100, context: 100)
        return WorkerRegistration(
            name: name, incarnation: 9, process: 1, capabilities: [.prefill, .decode], wanted: .decode,
            hello: WorkerHello(
                worker: name, modelName: "m", modelDigest: "d", shape: shape, sequenceLimit: 100, pagesTotal: 10, instructionSet: "scalar", dtype: "bf16"),
            keyValueFingerprint: 0xF1, tokenizerDigest: "t", pageTokens: 64, pageBytes: 1, endpoint: endpoint)
    }

    /// From then on the next attempt waits for the clock; before, it would count from the time that the clock was set to.
    func hasLostTheGateway() async { while await member.failures == 0 { await Task.yield() } }

    func nextTell() async -> String? { await tells.first { _ in true } }

    /// Commands as the engine gets them, so many.
    func commands(_ count: Int) async -> [WorkerCommand] {
        var commands: [WorkerCommand] = []
        while commands.count < count, await engine.wait() { commands += engine.take() }
        return commands
    }

    func start(_ id: UInt64) -> WorkerCommand { .start(SequenceRequest(id: SequenceID(id), prompt: [1], sampling: SamplingParameters())) }

    func report(tokens: [TokenID] = [], ending id: UInt64? = nil) -> StepReport {
        StepReport(
            tokens: tokens.map { TokenEvent(sequence: SequenceID(1), index: 0, token: $0) },
            endings: id.map { [SequenceEnding(sequence: SequenceID($0), reason: .cancelled, promptTokens: 1, cachedTokens: 0, generatedTokens: 0)] } ?? [])
    }

    func end() async {
        tell.finish()
        await member.leave()
        await reactor.shutdown()
    }
}
