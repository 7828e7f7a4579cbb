internal import HTTP
internal import Platform
package import Reactor

/// An HTTP/1.1 and HTTP/2 server on a reactor: listens, owns its connections, hands requests to its handler.
///
/// Several servers may share one reactor. `drain` ends it; a server that has listened must be drained before its reactor is shut
/// down.
package actor HTTPServer {
    package nonisolated let reactor: Reactor
    private let floor: ServerFloor
    private var listeners: [TCPListener] = []
    private var ticker: ReactorTimer?
    private var deadline: ReactorTimer?
    private var isPaused = false
    private var cutOff = 0
    private var waitingForEnd: [CheckedContinuation<Void, Never>] = []

    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe reactor.asUnownedSerialExecutor() }

    /// - Parameters:
    ///   - shapeable: whether `shape` may be set; connections in clear then go through a `ShapedStream`.
    ///   - handler: moves to the reactor; nobody else holds it.
    package init(on reactor: Reactor, limits: ServerLimits = ServerLimits(), shapeable: Bool = false, handler: sending any RequestHandler) {
        self.reactor = reactor
        self.floor = ServerFloor(limits: limits, handler: handler, shapeable: shapeable)
    }

    /// - Parameter actor: lives on the same reactor, which every request checks.
    package init(on reactor: Reactor, limits: ServerLimits = ServerLimits(), shapeable: Bool = false, actor: some RequestActor) {
        self.init(on: reactor, limits: limits, shapeable: shapeable, handler: IsolatedHandler(actor))
    }

    /// How what this server sends is slowed down or broken, on connections there are and those to come; nil: not at all.
    package var shape: LinkShape? { floor.shape }

    package func setShape(_ shape: LinkShape?) {
        precondition(floor.isShapeable, "a shape for a server that was not made shapeable")
        floor.shape = shape
    }

    package var counters: ServerCounters { floor.counters }

    /// Returns the counters once they satisfy `condition`. What the caller does next on the reactor comes after the turn that brought
    /// them there. For tests that do not want to look again and again.
    package func counters(where condition: @escaping @Sendable (ServerCounters) -> Bool) async -> ServerCounters {
        let watch = floor.watch ?? CounterWatch(of: floor, on: reactor)
        floor.watch = watch
        return await withCheckedContinuation { watch.add(condition, $0) }
    }

    /// Begins to accept.
    ///
    /// - Returns: the endpoint with the port the system chose, when 0 was asked for.
    /// - Throws: `UVError` naming the endpoint.
    @discardableResult
    package func listen(on endpoint: Endpoint, tls: TLSContext? = nil) throws(UVError) -> Endpoint {
        precondition(floor.drainingSince == nil, "a server that drains does not listen again")
        let listener = try TCPListener(endpoint, backlog: floor.limits.backlog, on: reactor) { self.accept($0, tls) }
        listeners.append(listener)
        start()
        return listener.endpoint
    }

    /// Stops accepting, lets open exchanges end, tells clients (GOAWAY, `connection: close`), and closes what is left when
    /// `limit` is over.
    ///
    /// - Returns: how many exchanges were cut off.
    @discardableResult
    package func drain(within limit: Duration) async -> Int {
        for listener in listeners { listener.close() }
        listeners = []
        floor.beginDrain(now: reactor.now)
        if !floor.connections.isEmpty {
            if deadline == nil { deadline = ReactorTimer(on: reactor, after: limit) { self.cut() } }
            await withCheckedContinuation { waitingForEnd.append($0) }
        }
        ticker?.close()
        ticker = nil
        deadline?.close()
        deadline = nil
        // Everything that holds this actor from the reactor's side is gone with this.
        floor.onRoom = nil
        return cutOff
    }

    /// Ends what has taken too long, seen from `ahead` of now. Called every `ServerLimits.tick`, and by tests that do not want to
    /// wait.
    package func checkDeadlines(ahead: Duration = .zero) {
        let now = reactor.now.advanced(by: ahead)
        floor.tick(now: now)
        if isPaused { _ = floor.evictIdle(now: now) }
    }

    private func start() {
        guard ticker == nil else { return }
        let tick = floor.limits.tick
        ticker = ReactorTimer(on: reactor, after: tick, repeating: tick) { self.checkDeadlines() }
        floor.onRoom = { self.connectionLeft() }
    }

    private func accept(_ stream: TCPStream, _ tls: TLSContext?) {
        floor.add(Connection(over: stream, tls: tls, server: floor))
        let isFull = floor.connections.count >= floor.limits.maximumConnections
        guard isFull, !floor.evictIdle(now: reactor.now), !isPaused else { return }
        isPaused = true
        floor.counters.acceptPauses += 1
        for listener in listeners { listener.pause() }
    }

    private func connectionLeft() {
        if isPaused, floor.connections.count < floor.limits.maximumConnections {
            isPaused = false
            for listener in listeners where !isPaused { listener.resume() }
        }
        guard floor.drainingSince != nil, floor.connections.isEmpty else { return }
        let waiting = waitingForEnd
        waitingForEnd = []
        for continuation in waiting { continuation.resume() }
    }

    private func cut() {
        cutOff += floor.counters.exchangesOpen
        for connection in floor.connections.values { connection.close() }
    }
}
