package import HTTP
internal import Inference
package import Logging
package import Platform
package import Reactor
package import Server
package import Wire

/// What a worker has to know to belong to a fleet.
package struct FleetMemberConfiguration: Sendable {
    package var gateway: Endpoint
    /// For the way to the gateway; nil where that is on this machine and in clear.
    package var tls: TLSContext?
    /// For peers that are not on this machine.
    package var peerTLS: TLSContext?
    package var registration: WorkerRegistration
    /// An offer that nobody comes for or renews is taken back after this long. The same in the whole fleet: it also says how often this
    /// worker renews those of others.
    package var lease: Duration = .seconds(30)
    package var fetch = FetchLimits()
    /// Before the first and each further attempt to reach the gateway again, doubling up to 32 times.
    package var retryAfter: Duration = .milliseconds(100)

    package init(gateway: Endpoint, tls: TLSContext?, registration: WorkerRegistration) {
        self.gateway = gateway
        self.tls = tls
        self.registration = registration
    }
}

/// A worker's place in a fleet: joins the gateway, keeps joining when the link breaks, carries commands to the engine and reports back, gives
/// signs of life, and serves and fetches KV. A thin shell on the worker's reactor; the engine decides.
package actor FleetMember {
    package nonisolated let reactor: Reactor
    private var configuration: FleetMemberConfiguration
    private let engine: EngineLink
    private let door: KeyValueDoor
    private let fetcher: KeyValueFetcher
    private let logger: Logger
    private let clock: any MonotonicClock
    private var link: HTTPLink?
    private var attempt: LinkAttempt?
    private var stream: LinkStream?
    private var reader = MessageReader<GatewayMessage>()
    /// Nil while not let in.
    private var epoch: UInt64?
    private var roles: WorkerRole = []
    /// Attempts to join since the last welcome.
    private(set) var failures = 0
    private(set) var nextAttempt: MonotonicInstant
    private var nextPulse: MonotonicInstant
    private var pulseInterval: Duration = .seconds(1)
    private var pulses: UInt64 = 0
    private var ticker: ReactorTimer?
    private var isLeaving = false
    private var isDraining = false
    private var hasTold = false
    /// Told when the gateway will not have this worker, with its reason: trying again makes no sense. Once.
    private var onRefused: (@Sendable (String) -> Void)?
    private var onDrained: (@Sendable () -> Void)?
    private var onShape: (@Sendable (LinkShapeSetting?) -> Void)?

    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe reactor.asUnownedSerialExecutor() }

    /// How often the member looks at the clock, and wakes an engine that waits for transfers, so that deadlines are kept.
    private static let tick: Duration = .milliseconds(100)

    package init(
        on reactor: Reactor, configuration: FleetMemberConfiguration, engine: EngineLink, source: any KeyValueSource,
        sink: any KeyValueSink, logger: Logger, clock: any MonotonicClock = SystemClock()
    ) {
        self.reactor = reactor
        self.configuration = configuration
        self.engine = engine
        self.logger = logger
        self.clock = clock
        let fingerprint = configuration.registration.keyValueFingerprint
        door = KeyValueDoor(on: reactor, source: source, fingerprint: fingerprint, lease: configuration.lease, clock: clock)
        fetcher = KeyValueFetcher(
            on: reactor, sink: sink, fingerprint: fingerprint, tls: configuration.peerTLS,
            limits: configuration.fetch.renewing(leases: configuration.lease), linkLimits: .fleet, clock: clock)
        nextAttempt = clock.now
        nextPulse = clock.now
    }

    /// Begins. Call once.
    ///
    /// - Parameters:
    ///   - endpoint: where this member's requests are served, with the port that the system chose.
    ///   - refused: the gateway said no.
    ///   - drained: the gateway asked for an end, and everything has come to one.
    ///   - shape: how links are to behave from now on.
    package func start(
        listening endpoint: String, refused: @escaping @Sendable (String) -> Void, drained: @escaping @Sendable () -> Void,
        shape: @escaping @Sendable (LinkShapeSetting?) -> Void
    ) {
        precondition(ticker == nil, "a member starts once")
        (onRefused, onDrained, onShape) = (refused, drained, shape)
        configuration.registration.endpoint = endpoint
        engine.join(self)
        let engine = engine
        door.onNews = { engine.put($0) }
        fetcher.onNews = { engine.put($0) }
        ticker = ReactorTimer(on: reactor, after: Self.tick, repeating: Self.tick) { self.look() }
        connect()
    }

    /// Leaves the fleet and closes every connection. The engine's link is the caller's to close.
    package func leave() {
        isLeaving = true
        ticker?.close()
        ticker = nil
        attempt?.cancel()
        stream?.finish()
        link?.close()
        fetcher.close()
        (onRefused, onDrained, onShape) = (nil, nil, nil)
    }

    // MARK: The engine's side

    func deliver(_ report: StepReport) { send(.report(report)) }

    func perform(_ orders: [TransferOrder]) {
        for order in orders {
            switch order {
            case .offer(let transfer): door.offer(transfer)
            case .finished(let transfer): door.finished(transfer)
            case .withdraw(let transfer): door.withdraw(transfer)
            case .announce(let transfer, let address): fetcher.announce(transfer, from: address)
            case .fetch(let transfer, let address): fetcher.fetch(transfer, from: address)
            case .abandon(let transfer): fetcher.abandon(transfer)
            }
        }
        door.pump()
    }

    func pump() {
        door.pump()
        fetcher.pump()
    }

    // MARK: The gateway's side

    private func connect() {
        guard !isLeaving, link == nil, attempt == nil, clock.now >= nextAttempt else { return }
        attempt = HTTPLink.open(
            to: configuration.gateway, tls: configuration.tls, serverName: FleetName.expected, on: reactor, limits: .fleet
        ) { result in
            self.attempt = nil
            switch result {
            case .success(let link): self.connected(link)
            case .failure(let error): self.failed(error.description)
            }
        }
    }

    private func connected(_ link: HTTPLink) {
        guard !isLeaving else { return link.close() }
        self.link = link
        link.onClosed = { error in self.lost(link, error.description) }
        let head = HTTPHead(
            method: "POST", scheme: configuration.tls == nil ? "http" : "https", authority: "gateway", path: FleetPath.join,
            headers: ["content-type": FleetPath.messages])
        guard let stream = link.request(head, endStream: false) else { return link.close() }
        self.stream = stream
        reader = MessageReader()
        stream.onBody = { self.receive($0) }
        stream.onEnd = { _ in link.close() }
        stream.onClosed = { _ in link.close() }
        send(.register(configuration.registration))
    }

    private func failed(_ reason: String) {
        failures += 1
        // The first failures are the ordinary ones: a gateway that is just starting.
        if failures == 5 { logger.warning("gateway not reached", metadata: ["gateway": "\(configuration.gateway)", "reason": "\(reason)"]) }
        nextAttempt = clock.now.advanced(by: configuration.retryAfter * (1 << min(failures - 1, 5)))
    }

    private func lost(_ old: HTTPLink, _ reason: String) {
        guard link === old else { return }
        link = nil
        stream = nil
        if epoch != nil, !isLeaving {
            logger.warning("gateway lost", metadata: ["gateway": "\(configuration.gateway)", "reason": "\(reason)"])
            // Whoever was served through it is gone, or is being served elsewhere by now.
            engine.cancelAll()
        }
        epoch = nil
        failed(reason)
    }

    private func send(_ message: WorkerMessage) {
        guard let stream else { return }
        var bytes: [UInt8] = []
        do throws(MessageError) {
            try message.encode(into: &bytes, now: clock.now)
        } catch {
            logger.critical("a message cannot be sent", metadata: ["message": "\(message.name)", "reason": "\(error)"])
            link?.close()
            return
        }
        stream.write(bytes)
    }

    private func receive(_ bytes: RawSpan) {
        do throws(MessageError) {
            try reader.read(bytes, now: clock.now) { take($0) }
        } catch {
            logger.error("the gateway sends nonsense", metadata: ["reason": "\(error)"])
            link?.close()
        }
    }

    private func take(_ message: GatewayMessage) {
        switch message {
        case .welcome(let epoch, let roles, let peers, let interval):
            self.epoch = epoch
            self.roles = roles
            failures = 0
            pulseInterval = interval
            nextPulse = clock.now
            fetcher.setPeers(others(peers))
            logger.info("joined", metadata: ["gateway": "\(configuration.gateway)", "roles": "\(roles)", "epoch": "\(epoch)"])
        case .refuse(let code, let reason):
            guard code != Self.nameInUse else { return }
            let tell = onRefused
            onRefused = nil
            isLeaving = true
            tell?("\(code): \(reason)")
        case .commands(let epoch, let commands):
            guard epoch == self.epoch else { return logger.warning("commands of another epoch", metadata: ["found": "\(epoch)"]) }
            engine.put(commands)
        case .roles(let epoch, let roles):
            self.epoch = epoch
            self.roles = roles
        case .peers(let peers): fetcher.setPeers(others(peers))
        case .drain:
            isDraining = true
            look()
        case .shape(let setting): onShape?(setting)
        case .pulse: break
        }
    }

    /// The gateway still believes in this worker's former life; it will find out soon, and the worker asks again.
    private static let nameInUse = "name_in_use"

    private func others(_ peers: [WorkerAddress]) -> [WorkerAddress] {
        peers.filter { $0.worker != configuration.registration.name }
    }

    // MARK: Time

    /// Called every `tick`, and by tests that do not want to wait.
    func look() {
        door.tick()
        fetcher.tick()
        connect()
        if fetcher.openTransfers > 0 || door.openLeases > 0 || engine.sign.live > 0 { engine.wake() }
        let now = clock.now
        if epoch != nil, now >= nextPulse {
            nextPulse = now.advanced(by: pulseInterval)
            pulse()
        }
        if isDraining, !hasTold, engine.sign.live == 0, door.openLeases == 0, fetcher.openTransfers == 0 {
            hasTold = true
            send(.drained)
            onDrained?()
        }
    }

    private func pulse() {
        pulses += 1
        let sign = engine.sign
        send(.pulse(WorkerPulse(
            number: pulses, steps: sign.load.steps, sinceProgress: sign.since, hasWork: sign.hasWork, load: sign.load, roles: roles,
            epoch: epoch ?? 0, openTransfers: fetcher.openTransfers + door.openLeases, links: fetcher.figures)))
    }
}

extension FleetMember: RequestActor {
    package func bodyLimit(for head: HTTPHead) -> Int { door.bodyLimit(for: head) }
    package func handle(_ exchange: Exchange) { door.handle(exchange) }
}

