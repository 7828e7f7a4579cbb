package import HTTP
package import Reactor
package import Server

/// Takes a public server's requests to the gateway that lives on the same reactor.
package final class GatewayHandler: RequestHandler {
    private let gateway: Gateway

    package init(_ gateway: Gateway) { self.gateway = gateway }

    /// Nothing is read for a request that will be refused for its key, path or method.
    package func bodyLimit(for head: HTTPHead) -> Int {
        gateway.assumeIsolated { gateway in
            do throws(APIError) {
                return try gateway.admit(head, to: Route(path: head.path)).task == nil ? 0 : gateway.configuration.bodyLimit
            } catch {
                return 0
            }
        }
    }

    package func handle(_ exchange: Exchange) {
        let bound = ReactorBound(exchange, on: exchange.reactor)
        gateway.assumeIsolated { $0.handle(bound.value) }
    }

    /// The server refuses for the size of the body or for want of room; when the request would not have been let in at all, that is said
    /// instead.
    package func refuse(_ exchange: Exchange, status: Int, reason: String) {
        let bound = ReactorBound(exchange, on: exchange.reactor)
        gateway.assumeIsolated { $0.refuseBody(bound.value, status: status, reason: reason) }
    }
}

extension Gateway {
    fileprivate func refuseBody(_ exchange: Exchange, status: Int, reason: String) {
        let id = RequestID.accept(exchange.head.headers["x-request-id"])
        let route = Route(path: exchange.head.path)
        let error: APIError
        do throws(APIError) {
            _ = try admit(exchange.head, to: route)
            error = status == 413 ? APIError(.payloadTooLarge, reason) : APIError(.serverOverloaded, reason, retryAfter: .seconds(1))
        } catch let denied {
            error = denied
        }
        refuse(exchange, id, route?.name ?? "unknown", error)
    }
}
