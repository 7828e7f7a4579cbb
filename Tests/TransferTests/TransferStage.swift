import HTTP
import Inference
import Platform
import Reactor
import Server
import TestSupport
import Wire

@testable import Transfer

/// A sending worker without an engine: a door on a listener of its own reactor.
actor SourceStage: RequestActor {
    nonisolated let reactor: Reactor
    nonisolated let source = ScriptedSource()
    /// "GET path?query" and "POST path count-of-names", as they come.
    nonisolated let requests: AsyncStream<String>
    nonisolated let news: AsyncStream<TransferNews>
    private let report: AsyncStream<String>.Continuation
    private let door: KeyValueDoor
    private let tls: TLSContext?
    private var server: HTTPServer?
    private var exchanges: [Exchange] = []

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe reactor.asUnownedSerialExecutor() }

    init(lease: Duration, clock: SetClock, tls: TLSContext?) throws {
        reactor = try Reactor(name: "source")
        self.tls = tls
        (requests, report) = AsyncStream.makeStream()
        let tell: AsyncStream<TransferNews>.Continuation
        (news, tell) = AsyncStream.makeStream()
        let door = KeyValueDoor(on: reactor, source: source, fingerprint: source.fingerprint, lease: lease, clock: clock)
        door.onNews = { for one in $0 { tell.yield(one) } }
        self.door = door
    }

    @discardableResult
    func listen(on endpoint: String = "127.0.0.1:0") async throws -> Endpoint {
        let server = HTTPServer(on: reactor, limits: .fleet, actor: self)
        self.server = server
        return try await server.listen(on: Endpoint(endpoint), tls: tls)
    }

    /// Every connection ends, and nobody listens any more.
    func stop() async {
        let old = server
        server = nil
        await old?.drain(within: .zero)
    }

    func bodyLimit(for head: HTTPHead) -> Int { door.bodyLimit(for: head) }

    func handle(_ exchange: Exchange) {
        exchanges.append(exchange)
        let head = exchange.head
        let text = "\(head.method) \(head.path)"
        report.yield(head.method == "GET" ? text + (head.query.map { "?\($0)" } ?? "") : "\(text) \(exchange.body.count / 16)")
        door.handle(exchange)
    }

    func offer(_ transfer: TransferID) { door.offer(transfer) }
    func withdraw(_ transfer: TransferID) { door.withdraw(transfer) }
    func pump() { door.pump() }
    func tick() { door.tick() }
    var openLeases: Int { door.openLeases }
    var bytesSent: UInt64 { door.bytesSent }

    /// Every stream that is open breaks, its connection does not.
    func breakStreams() { for exchange in exchanges { exchange.abort() } }

    /// What was reported can be read to its end.
    nonisolated func finishReports() { report.finish() }
    nonisolated func nextRequest() async -> String? { await requests.first { _ in true } }
    nonisolated func nextNews() async -> TransferNews? { await news.first { _ in true } }

    nonisolated func end() async {
        await stop()
        await reactor.shutdown()
    }
}

/// A receiving worker without an engine.
actor SinkStage {
    nonisolated let reactor: Reactor
    nonisolated let sink = KeepingSink()
    nonisolated let news: AsyncStream<TransferNews>
    private let fetcher: KeyValueFetcher

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe reactor.asUnownedSerialExecutor() }

    init(fingerprint: UInt64, limits: FetchLimits, clock: SetClock, tls: TLSContext?) throws {
        reactor = try Reactor(name: "sink")
        let tell: AsyncStream<TransferNews>.Continuation
        (news, tell) = AsyncStream.makeStream()
        let fetcher = KeyValueFetcher(on: reactor, sink: sink, fingerprint: fingerprint, tls: tls, limits: limits, linkLimits: .fleet, clock: clock)
        fetcher.onNews = { for one in $0 { tell.yield(one) } }
        self.fetcher = fetcher
    }

    func setPeers(_ addresses: [WorkerAddress]) { fetcher.setPeers(addresses) }
    func announce(_ transfers: [TransferID], from address: WorkerAddress) { for transfer in transfers { fetcher.announce(transfer, from: address) } }

    func fetch(_ transfer: TransferID, from address: WorkerAddress, faults: [Int: Int] = [:]) {
        sink.expect(transfer, faults: faults)
        fetcher.fetch(transfer, from: address)
    }

    func abandon(_ transfer: TransferID) {
        sink.forget(transfer)
        fetcher.abandon(transfer)
    }

    func tick() { fetcher.tick() }
    func pump() { fetcher.pump() }
    func close() { fetcher.close() }
    var openTransfers: Int { fetcher.openTransfers }
    var figures: [LinkFigures] { fetcher.figures }

    /// Looks at the time again and again until nothing is open; `meanwhile` may make it pass.
    func tickUntilSettled(_ meanwhile: () -> Void = {}) async {
        while fetcher.openTransfers > 0 {
            meanwhile()
            fetcher.tick()
            await Task.yield()
        }
    }

    /// Looks until the figures are as wanted.
    func tick(until condition: ([LinkFigures]) -> Bool) async {
        while !condition(fetcher.figures) {
            fetcher.tick()
            await Task.yield()
        }
    }

    nonisolated func nextNews() async -> TransferNews? { await news.first { _ in true } }

    nonisolated func end() async {
        await close()
        await reactor.shutdown()
    }
}

/// Two workers of which one has what the other wants, on loopback, in a time that the test sets.
struct TransferPair {
    let clock = SetClock()
    let source: SourceStage
    let sink: SinkStage
    let endpoint: Endpoint
    let address: WorkerAddress
    let transfer = TransferID(high: 1, low: 2)
    let other = TransferID(high: 3, low: 4)

    init(
        fingerprint: UInt64 = 0xF1, lease: Duration = .seconds(30), limits: FetchLimits = FetchLimits(), serverTLS: TLSContext? = nil,
        clientTLS: TLSContext? = nil, on place: String = "127.0.0.1:0"
    ) async throws {
        source = try SourceStage(lease: lease, clock: clock, tls: serverTLS)
        sink = try SinkStage(fingerprint: fingerprint, limits: limits, clock: clock, tls: clientTLS)
        endpoint = try await source.listen(on: place)
        // The same place, under a name that is not known as this machine's.
        let name = serverTLS == nil ? endpoint.description : endpoint.description.replacing("127.0.0.1", with: "0.0.0.0")
        address = WorkerAddress(worker: "source", incarnation: 1, endpoint: name)
    }

    var port: UInt16 { if case .tcp(_, let port) = endpoint { port } else { 0 } }

    /// The source has it, and holds it for whoever comes.
    func offer(_ blocks: [[UInt8]], ready: Int? = nil, chosen: TokenID? = nil) async {
        source.source.offer(transfer, blocks, ready: ready, chosen: chosen)
        await source.offer(transfer)
    }

    func fetch(faults: [Int: Int] = [:]) async { await sink.fetch(transfer, from: address, faults: faults) }

    /// Ends all; nothing may be left open.
    func end() async {
        await sink.end()
        await source.end()
    }
}
