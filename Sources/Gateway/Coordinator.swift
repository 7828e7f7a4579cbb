package import Inference
package import Logging
package import Platform
internal import Reactor
package import Routing
internal import Synchronization
package import Wire

/// The fleet behind the gateway: lets workers in, gives sequences to them, notices when one is lost. To the gateway it is one worker.
///
/// A thin shell on the gateway's reactor around `Dispatcher`, which decides.
package actor Coordinator: FleetDesk {
    nonisolated let reactor: Reactor
    private var dispatcher: Dispatcher
    private let gateway: Gateway
    private let logger: Logger
    private let clock: any MonotonicClock
    private let metrics: FleetMetrics
    private var links: [String: any WorkerLink] = [:]
    /// Roles that an operator gave, which outlive the worker's process.
    private var assigned: [String: WorkerRole] = [:]
    private var shapes: [String: LinkShapeSetting] = [:]
    private var isAttached = false
    private var isStopping = false
    private var lastLook: MonotonicInstant?
    private var ticker: ReactorTimer?
    private nonisolated let published: Mutex<Published>
    /// Told of every worker that is given up, with its process; for whoever started it.
    private let onLost: @Sendable (_ worker: String, _ process: Int32, _ reason: String) -> Void
    private let onJoined: @Sendable (_ worker: String) -> Void

    private struct Published {
        var hello: WorkerHello?
        var workers: [WorkerStatus] = []
    }

    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe reactor.asUnownedSerialExecutor() }

    /// How often the fleet's clock is looked at.
    private static let tick: Duration = .milliseconds(100)

    package init(
        for gateway: Gateway, dispatcher: Dispatcher, clock: any MonotonicClock = SystemClock(), logger: Logger,
        onJoined: @escaping @Sendable (_ worker: String) -> Void = { _ in },
        onLost: @escaping @Sendable (_ worker: String, _ process: Int32, _ reason: String) -> Void = { _, _, _ in }
    ) {
        reactor = gateway.reactor
        self.gateway = gateway
        self.dispatcher = dispatcher
        self.clock = clock
        self.logger = logger
        self.onJoined = onJoined
        self.onLost = onLost
        metrics = FleetMetrics(gateway.metrics.registry)
        published = Mutex(Published())
    }

    // MARK: Life

    package func start() {
        precondition(ticker == nil, "a coordinator starts once")
        ticker = ReactorTimer(on: reactor, after: Self.tick, repeating: Self.tick) { self.look() }
    }

    /// What every worker must have, as far as it was not known before. To be said before workers can come.
    package func require(_ standard: FleetStandard) { dispatcher.fleet.require(standard) }

    /// From now on workers leave because they are asked to.
    package func beginStop() { isStopping = true }

    /// Lets go of every worker and looks at no clock any more. Workers that are not ours go on asking for a gateway.
    package func stop() {
        isStopping = true
        ticker?.close()
        ticker = nil
        let all = links.values
        links = [:]
        for link in all { link.end() }
    }

    // MARK: Workers

    package func register(_ registration: WorkerRegistration, over link: any WorkerLink) {
        let name = registration.name
        let now = clock.now
        if let old = dispatcher.fleet.members[name] {
            // Its own new connection, or the life after: what is left of the one before is only in the way. A stranger with a name that a
            // lively worker has is not let in.
            let isLively = now.since(old.lastHeard) < dispatcher.fleet.limits.suspectAfter
            if old.registration.incarnation == registration.incarnation || !isLively { lose(name, "it came again") }
        }
        do throws(Fleet.Refusal) {
            let member = try dispatcher.fleet.join(registration, roles: assigned[name] ?? registration.wanted, now: now)
            links[name] = link
            link.send([
                .welcome(epoch: member.epoch, roles: member.roles, peers: addresses, pulseInterval: dispatcher.fleet.limits.pulseInterval)
            ])
            if let shape = shapes[name] ?? shapes[""] { link.send([.shape(shape)]) }
            logger.info(
                "worker joined",
                metadata: [
                    "worker": "\(name)", "pid": "\(registration.process)", "roles": "\(member.roles)", "epoch": "\(member.epoch)",
                    "address": "\(registration.endpoint)", "isa": "\(registration.hello.instructionSet)",
                ])
            if let other = dispatcher.fleet.members.values.first(where: { $0.registration.hello.instructionSet != registration.hello.instructionSet }) {
                logger.warning(
                    "workers of different instruction sets: equal seeds give equal answers on each of them, not across them",
                    metadata: ["worker": "\(name)", "isa": "\(registration.hello.instructionSet)", "other": "\(other.registration.hello.instructionSet)"])
            }
            onJoined(name)
            tellPeers(except: name)
            dispatcher.joined(name, now: now)
            perform()
            publish()
            attach()
        } catch {
            logger.warning("worker refused", metadata: ["worker": "\(name)", "code": "\(error.code)", "reason": "\(error.reason)"])
            metrics.refused(error.code)
            link.send([.refuse(code: error.code, reason: error.reason)])
            link.end()
        }
    }

    package func receive(_ message: WorkerMessage, over link: any WorkerLink) {
        guard let name = name(of: link) else { return }
        let now = clock.now
        switch message {
        case .register: link.end()
        case .report(let report):
            dispatcher.reported(report, by: name, now: now)
            perform()
        case .pulse(let pulse):
            dispatcher.fleet.pulse(pulse, from: name, now: now)
            link.send([.pulse(number: pulse.number)])
        case .drained: lose(name, "it was drained")
        }
    }

    package func linkEnded(_ link: any WorkerLink, reason: String) {
        guard let name = name(of: link) else { return }
        lose(name, reason)
    }

    private func name(of link: any WorkerLink) -> String? { links.first { $0.value === link }?.key }

    private func lose(_ name: String, _ reason: String) {
        guard let member = dispatcher.fleet.members[name] else { return }
        let link = links.removeValue(forKey: name)
        logger.log(
            level: isStopping ? .debug : .error, "worker lost",
            metadata: ["worker": "\(name)", "pid": "\(member.registration.process)", "reason": "\(reason)", "sequences": "\(dispatcher.sequences(on: name))"])
        dispatcher.lost(name, reason: reason, now: clock.now)
        link?.end()
        tellPeers(except: nil)
        perform()
        publish()
        onLost(name, member.registration.process, reason)
    }

    private var addresses: [WorkerAddress] { dispatcher.fleet.members.values.compactMap(\.address).sorted { $0.worker < $1.worker } }

    private func tellPeers(except name: String?) {
        for (other, link) in links where other != name { link.send([.peers(addresses)]) }
    }

    private func attach() {
        guard !isAttached else { return }
        isAttached = true
        let coordinator = self
        gateway.assumeIsolated { $0.attach(coordinator) }
    }

    // MARK: Work

    fileprivate func take(_ commands: [WorkerCommand]) -> WireError? {
        let now = clock.now
        var starts: [SequenceRequest] = []
        for command in commands {
            switch command {
            case .start(let request): starts.append(request)
            case .cancel(let id): dispatcher.cancel(id, now: now)
            }
        }
        var failure: WireError?
        if !starts.isEmpty { do throws(WireError) { try dispatcher.start(starts, now: now) } catch { failure = error } }
        perform()
        return failure
    }

    private func perform() {
        for action in dispatcher.takeActions() {
            switch action {
            case .send(let commands, let name):
                guard let epoch = dispatcher.fleet.members[name]?.epoch else { continue }
                links[name]?.send([.commands(epoch: epoch, commands)])
            case .deliver(let report): gateway.receive(report)
            }
        }
        assert(dispatcher.integrity, "the dispatcher's books do not add up")
    }

    private func look() {
        let now = clock.now
        let late = lastLook.map { now.since($0) - Self.tick } ?? .zero
        if late > Self.tick * 5 { dispatcher.fleet.wasAway(late) }
        lastLook = now
        for (name, reason) in dispatcher.fleet.tick(now: now) { lose(name, reason) }
        dispatcher.tick(now: now)
        perform()
        publish()
    }

    private func publish() {
        let now = clock.now
        let members = dispatcher.fleet.members.values.sorted { $0.name < $1.name }
        let workers = members.map { member in
            WorkerStatus(
                registration: member.registration, roles: member.roles, state: member.state.rawValue, epoch: member.epoch, load: member.load,
                pulse: member.pulse, silence: now.since(member.lastHeard), sequences: dispatcher.sequences(on: member.name))
        }
        var hello = members.first?.registration.hello
        hello?.sequenceLimit = dispatcher.fleet.sequenceLimit ?? 0
        hello?.pagesTotal = dispatcher.load.pagesTotal
        metrics.set(workers, dispatcher.totals)
        published.withLock {
            $0.workers = workers
            // What is known of the model outlives the last worker.
            if let hello { $0.hello = hello }
        }
    }
}

extension Coordinator: WorkerChannel {
    package nonisolated var hello: WorkerHello {
        guard let hello = published.withLock({ $0.hello }) else { preconditionFailure("the fleet was used before a worker joined") }
        return hello
    }

    package nonisolated func send(_ commands: [WorkerCommand]) throws(WireError) {
        if let failure = assumeIsolated({ $0.take(commands) }) { throw failure }
    }
}

extension Coordinator {
    package nonisolated var isServing: Bool { workers.contains { $0.state == "ready" } }

    package nonisolated func predictedPrefill(tokens: Int) -> Duration? {
        assumeIsolated { $0.dispatcher.predictedPrefill(tokens: tokens) }
    }
}

extension Coordinator: FleetOperations {
    package nonisolated var workers: [WorkerStatus] { published.withLock { $0.workers } }

    package nonisolated func setDraining(_ draining: Bool, worker: String) -> Bool { assumeIsolated { $0.drain(worker, draining) } }

    package nonisolated func setRoles(_ roles: WorkerRole, worker: String) -> UInt64? { assumeIsolated { $0.assign(roles, to: worker) } }

    package nonisolated func shape(_ setting: LinkShapeSetting?, worker: String?) -> Int { assumeIsolated { $0.lay(setting, over: worker) } }

    private func drain(_ worker: String, _ draining: Bool) -> Bool {
        guard dispatcher.fleet.setDraining(draining, worker) else { return false }
        logger.notice(draining ? "worker drains" : "worker takes work again", metadata: ["worker": "\(worker)"])
        if !draining { dispatcher.joined(worker, now: clock.now) }
        perform()
        publish()
        return true
    }

    private func assign(_ roles: WorkerRole, to worker: String) -> UInt64? {
        guard let member = dispatcher.fleet.members[worker], !roles.isEmpty, member.registration.capabilities.isSuperset(of: roles),
            let epoch = dispatcher.fleet.setRoles(roles, of: worker)
        else { return nil }
        assigned[worker] = roles
        logger.notice("worker has new roles", metadata: ["worker": "\(worker)", "roles": "\(roles)", "epoch": "\(epoch)"])
        links[worker]?.send([.roles(epoch: epoch, roles)])
        publish()
        return epoch
    }

    private func lay(_ setting: LinkShapeSetting?, over worker: String?) -> Int {
        if let worker, links[worker] == nil { return 0 }
        shapes[worker ?? ""] = setting
        let told = links.filter { worker == nil || $0.key == worker }
        for link in told.values { link.send([.shape(setting)]) }
        return told.count
    }
}
