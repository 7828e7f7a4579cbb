package import HTTP
package import Platform
internal import Reactor
package import Server
package import Wire

/// The gateway's door for workers: each opens one stream, `POST /w/join`, on which messages go both ways until one side leaves.
///
/// On the gateway's reactor. Whoever gets this far has passed the listener's authentication.
package final class FleetDoor<Desk: FleetDesk>: RequestHandler {
    private let desk: Desk
    private let limits: MessageLimits
    private let clock: any MonotonicClock

    /// - Parameter limits: of single messages; one that is larger ends its link.
    package init(to desk: Desk, limits: MessageLimits = MessageLimits(), clock: any MonotonicClock = SystemClock()) {
        self.desk = desk
        self.limits = limits
        self.clock = clock
    }

    package func bodyLimit(for head: HTTPHead) -> Int { 0 }

    package func streamsBody(for head: HTTPHead) -> Bool { head.method == "POST" && head.path == FleetPath.join }

    package func handle(_ exchange: Exchange) {
        guard streamsBody(for: exchange.head) else {
            return exchange.respond(status: 404, headers: ["content-type": "text/plain"], body: Array("workers join with POST \(FleetPath.join)\n".utf8))
        }
        WorkerStream(exchange, to: desk, limits: limits, clock: clock).begin()
    }
}

/// Paths of the fleet's own requests (between processes of one build; versions are checked at registration).
enum FleetPath {
    static let join = "/w/join"
    static let transfer = "/x/kv/"
    static let lease = "/x/lease"
    static let release = "/x/release"
    static let messages = "application/x-ferry-messages"
    static let blocks = "application/x-ferry-blocks"
}

/// The gateway's end of one worker's stream.
private final class WorkerStream<Desk: FleetDesk>: WorkerLink, @unchecked Sendable {
    // Sendable by argument: every use is on the exchange's reactor, which `send` and `end` check and the exchange's closures imply.
    private let exchange: Exchange
    private let desk: Desk
    private let limits: MessageLimits
    private let clock: any MonotonicClock
    private var reader: MessageReader<WorkerMessage>
    private var isRegistered = false
    /// Nothing more is sent, nothing that comes is looked at; the exchange is on its way out.
    private var isEnding = false
    private var hasEnded = false
    private var reason: String?

    /// Messages that wait for a worker which takes none. Beyond: the link is cut, and the worker lost. A step's commands are some KB.
    private static var waitingLimit: Int { 32 << 20 }

    init(_ exchange: Exchange, to desk: Desk, limits: MessageLimits, clock: any MonotonicClock) {
        self.exchange = exchange
        self.desk = desk
        self.limits = limits
        self.clock = clock
        reader = MessageReader(limits: limits)
    }

    func begin() {
        exchange.onBody = { self.receive($0) }
        exchange.onBodyEnd = { self.finish("it left") }
        exchange.onClosed = { _ in self.closed() }
        exchange.beginStream(status: 200, headers: ["content-type": FleetPath.messages])
    }

    func send(_ messages: [GatewayMessage]) {
        exchange.reactor.preconditionIsolated()
        guard !isEnding else { return }
        var bytes: [UInt8] = []
        do throws(MessageError) {
            for message in messages { try message.encode(into: &bytes, now: clock.now, limits: limits) }
        } catch {
            return cut("a message for it cannot be sent: \(error)")
        }
        guard exchange.bufferedBytes <= Self.waitingLimit else { return cut("it takes no messages; \(exchange.bufferedBytes) bytes wait") }
        exchange.write(bytes)
    }

    func end() {
        exchange.reactor.preconditionIsolated()
        finish("the gateway ended the link")
    }

    /// Ends it after what was sent.
    private func finish(_ reason: String) {
        guard !isEnding else { return }
        isEnding = true
        self.reason = reason
        exchange.finish()
    }

    /// Ends it now.
    private func cut(_ reason: String) {
        guard !isEnding else { return }
        isEnding = true
        self.reason = reason
        exchange.abort(.cancel)
    }

    private func receive(_ bytes: RawSpan) {
        guard !isEnding else { return }
        do throws(MessageError) {
            try reader.read(bytes, now: clock.now) { take($0) }
        } catch {
            let text = error.description
            // A worker of another version is told so, in words that every version understands.
            send([.refuse(code: "protocol", reason: text)])
            finish(text)
        }
    }

    private func take(_ message: WorkerMessage) {
        // What the same bytes held behind a message that ended the link.
        guard !isEnding else { return }
        let link = self
        if case .register(let registration) = message {
            guard !isRegistered else { return cut("it registered twice") }
            isRegistered = true
            return desk.assumeIsolated { $0.register(registration, over: link) }
        }
        guard isRegistered else { return cut("its first message was \(message.name), register was expected") }
        desk.assumeIsolated { $0.receive(message, over: link) }
    }

    private func closed() {
        guard !hasEnded else { return }
        hasEnded = true
        isEnding = true
        let link = self
        let reason = reason ?? "the connection ended"
        if isRegistered { desk.assumeIsolated { $0.linkEnded(link, reason: reason) } }
    }
}
