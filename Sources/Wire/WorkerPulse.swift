package import Inference

/// A worker's sign of life: that its loop turns, whether its engine gets on, and how it is with its links.
package struct WorkerPulse: Sendable, Equatable {
    /// Counts a channel's pulses from 1.
    package var number: UInt64
    /// The engine's steps since its start.
    package var steps: UInt64
    /// How long ago the engine last got on with something: ended a step, or had nothing to do.
    package var sinceProgress: Duration
    /// There is something to do. With a long `sinceProgress`, the engine hangs.
    package var hasWork: Bool
    package var load: WorkerLoad
    /// As the worker knows them, with the epoch they came with.
    package var roles: WorkerRole
    package var epoch: UInt64
    package var openTransfers: Int
    package var links: [LinkFigures]

    package init(
        number: UInt64, steps: UInt64, sinceProgress: Duration, hasWork: Bool, load: WorkerLoad, roles: WorkerRole, epoch: UInt64,
        openTransfers: Int = 0, links: [LinkFigures] = []
    ) {
        self.number = number
        self.steps = steps
        self.sinceProgress = sinceProgress
        self.hasWork = hasWork
        self.load = load
        self.roles = roles
        self.epoch = epoch
        self.openTransfers = openTransfers
        self.links = links
    }
}

/// The way to one peer, over which KV is fetched.
package struct LinkFigures: Sendable, Equatable {
    package enum State: UInt8, Sendable {
        /// No connection, none wanted.
        case idle = 0
        case connecting = 1
        case open = 2
        /// The last attempt failed.
        case failed = 3
    }

    /// The peer's name.
    package var peer: String
    /// Fetched since the worker's start.
    package var bytes: UInt64
    /// The estimated rate; 0 before the first measurement.
    package var bytesPerSecond: UInt64
    package var state: State

    package init(peer: String, bytes: UInt64, bytesPerSecond: UInt64, state: State) {
        self.peer = peer
        self.bytes = bytes
        self.bytesPerSecond = bytesPerSecond
        self.state = state
    }
}

extension MessageEncoder {
    mutating func put(_ pulse: WorkerPulse) {
        put(pulse.number)
        put(pulse.steps)
        put(pulse.sinceProgress)
        put(pulse.hasWork)
        put(pulse.load)
        put(pulse.roles.rawValue)
        put(pulse.epoch)
        put(pulse.openTransfers)
        put(count: pulse.links.count)
        for link in pulse.links {
            put(worker: link.peer, "link.peer")
            put(link.bytes)
            put(link.bytesPerSecond)
            put(link.state.rawValue)
        }
    }
}

extension MessageDecoder {
    mutating func pulse() throws(MessageError) -> WorkerPulse {
        WorkerPulse(
            number: try unsigned("pulse.number"), steps: try unsigned("pulse.steps"), sinceProgress: try duration("pulse.age"),
            hasWork: try bool("pulse.work"), load: try load(), roles: try roles("pulse.roles"), epoch: try unsigned("pulse.epoch"),
            openTransfers: try natural("pulse.transfers"),
            links: try list("pulse.links", each: 22) { (decoder) throws(MessageError) in try decoder.link() })
    }

    private mutating func link() throws(MessageError) -> LinkFigures {
        let (peer, bytes, rate): (String, UInt64, UInt64) = (try worker("link.peer"), try unsigned("link.bytes"), try unsigned("link.rate"))
        let state = try unsigned("link.state", UInt8.self)
        guard let state = LinkFigures.State(rawValue: state) else { throw .malformed("link.state: \(state), 0 to 3 were expected") }
        return LinkFigures(peer: peer, bytes: bytes, bytesPerSecond: rate, state: state)
    }
}
