package import HTTP

/// A request handler that is an actor on the server's reactor, so that others reach its state by `await`.
///
/// The meaning of the methods is that of `RequestHandler`; they are called in the actor's isolation.
package protocol RequestActor: Actor {
    func bodyLimit(for head: HTTPHead) -> Int
    func streamsBody(for head: HTTPHead) -> Bool
    func handle(_ exchange: Exchange)
    func refuse(_ exchange: Exchange, status: Int, reason: String)
}

extension RequestActor {
    package func streamsBody(for head: HTTPHead) -> Bool { false }

    package func refuse(_ exchange: Exchange, status: Int, reason: String) {
        exchange.refuse(status: status, reason: reason)
    }
}

/// Steps into the actor's isolation, in which the reactor's thread already is; that it is, `assumeIsolated` checks at every call.
final class IsolatedHandler<Handler: RequestActor>: RequestHandler {
    private let handler: Handler

    init(_ handler: Handler) { self.handler = handler }

    func bodyLimit(for head: HTTPHead) -> Int { handler.assumeIsolated { $0.bodyLimit(for: head) } }

    func streamsBody(for head: HTTPHead) -> Bool { handler.assumeIsolated { $0.streamsBody(for: head) } }

    // Safe by argument: an exchange belongs to the reactor, as the actor does, so it changes hands without changing threads. The
    // compiler cannot see that.

    func handle(_ exchange: Exchange) {
        nonisolated(unsafe) let exchange = exchange
        handler.assumeIsolated { unsafe $0.handle(exchange) }
    }

    func refuse(_ exchange: Exchange, status: Int, reason: String) {
        nonisolated(unsafe) let exchange = exchange
        handler.assumeIsolated { unsafe $0.refuse(exchange, status: status, reason: reason) }
    }
}
