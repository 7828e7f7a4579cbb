import HTTP
import Reactor
import Server

/// A handler with state of its own that others may reach by `await`.
actor Greeter: RequestActor {
    private let reactor: Reactor
    private var greeted = 0

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe reactor.asUnownedSerialExecutor() }

    init(_ reactor: Reactor) { self.reactor = reactor }

    func bodyLimit(for head: HTTPHead) -> Int { 0 }

    func handle(_ exchange: Exchange) {
        greeted += 1
        exchange.onClosed = { _ in self.greeted += 1000 }
        exchange.respond(status: 200, body: Array("\(greeted) \(exchange.head.path)".utf8))
    }
}
