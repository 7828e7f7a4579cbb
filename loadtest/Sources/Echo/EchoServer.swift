internal import HTTP
internal import Platform
internal import Reactor
internal import Server

/// The echo server and what belongs to it, on one reactor.
actor EchoServer {
    private nonisolated let reactor: Reactor
    private let handler: EchoHandler
    private let server: HTTPServer
    private var signals: [SignalSource] = []

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe reactor.asUnownedSerialExecutor() }

    init(_ settings: EchoSettings, on reactor: Reactor) {
        self.reactor = reactor
        handler = EchoHandler(settings, on: reactor)
        var limits = ServerLimits()
        limits.http.maximumConcurrentStreams = 10_000
        limits.maximumBufferedResponse = 16 << 20
        server = HTTPServer(on: reactor, limits: limits, actor: handler)
    }

    func listen(on endpoint: Endpoint, tls: TLSContext? = nil) async throws(UVError) -> Endpoint { try await server.listen(on: endpoint, tls: tls) }

    /// Returns after SIGINT or SIGTERM.
    func waitForSignal() async throws {
        let (arrived, report) = AsyncStream<Void>.makeStream()
        for signal in [Signal.interrupt, .terminate] { signals.append(try SignalSource(signal, on: reactor) { report.finish() }) }
        for await _ in arrived {}
        for signal in signals { signal.close() }
        signals = []
    }

    func end() async {
        await server.drain(within: .zero)
        await handler.close()
    }
}
