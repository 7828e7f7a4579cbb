internal import Glibc
internal import HTTP
internal import Platform
internal import Reactor

/// What the connections of one server share: bounds, counts, the handler, the time. On the server's reactor only.
final class ServerFloor {
    let limits: ServerLimits
    let handler: any RequestHandler
    var counters = ServerCounters() { didSet { watch?.countersChanged() } }
    /// Once somebody has waited for a state of the counters.
    var watch: CounterWatch?
    private(set) var connections: [ObjectIdentifier: Connection] = [:]
    private(set) var drainingSince: MonotonicInstant?
    private(set) var date = ""
    /// Whether connections go through a `ShapedStream`, and how it behaves now.
    let isShapeable: Bool
    var shape: LinkShape? {
        didSet { for connection in connections.values { connection.shaped?.shape = shape } }
    }
    private var lastExchange: UInt64 = 0
    private var buffer = HTTPOutput()
    /// Called when a connection has gone.
    var onRoom: (() -> Void)?

    init(limits: ServerLimits, handler: any RequestHandler, shapeable: Bool) {
        self.limits = limits
        self.isShapeable = shapeable
        self.handler = handler
        renewDate()
    }

    func add(_ connection: Connection) {
        connections[ObjectIdentifier(connection)] = connection
        counters.connectionsAccepted += 1
        counters.connectionsOpen += 1
    }

    func remove(_ connection: Connection) {
        connections[ObjectIdentifier(connection)] = nil
        counters.connectionsOpen -= 1
        onRoom?()
    }

    /// Where connections gather output before it goes to their sockets: one buffer for all, because each flushes alone.
    func borrowBuffer() -> HTTPOutput {
        var lent = HTTPOutput()
        swap(&lent, &buffer)
        return lent
    }

    func giveBack(_ lent: inout HTTPOutput) { swap(&lent, &buffer) }

    func nextExchange() -> UInt64 {
        lastExchange += 1
        return lastExchange
    }

    /// False when the bytes do not fit; nothing is reserved then.
    func reserveBody(_ count: Int) -> Bool {
        guard counters.bufferedRequestBytes + count <= limits.maximumBufferedRequestBytes else { return false }
        counters.bufferedRequestBytes += count
        return true
    }

    func releaseBody(_ count: Int) { counters.bufferedRequestBytes -= count }

    /// Closes the connection that has been without a request longest, if that is long enough; of several, the one that came first, lest
    /// a newcomer makes room for itself. O(connections), only at the bound.
    func evictIdle(now: MonotonicInstant) -> Bool {
        let idle = connections.values.lazy.compactMap { connection in connection.idleSince.map { (connection, $0) } }
        let longest = idle.min { ($0.1, $0.0.number) < ($1.1, $1.0.number) }
        guard let (oldest, since) = longest, now.since(since) >= limits.evictableAfter else { return false }
        counters.connectionsEvicted += 1
        oldest.close()
        return true
    }

    func tick(now: MonotonicInstant) {
        renewDate()
        for connection in connections.values { connection.checkDeadlines(now: now) }
    }

    func beginDrain(now: MonotonicInstant) {
        guard drainingSince == nil else { return }
        drainingSince = now
        for connection in connections.values { connection.beginDrain() }
    }

    private func renewDate() { date = HTTPDate.string(seconds: time(nil)) }
}
