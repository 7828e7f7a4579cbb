package import Inference
package import Platform
package import Wire

/// The bounds of a fleet's patience.
package struct FleetLimits: Sendable, Equatable {
    /// How often workers give a sign of life.
    package var pulseInterval: Duration = .seconds(1)
    /// Without one for this long a worker gets nothing new.
    package var suspectAfter: Duration = .seconds(2)
    /// And for this long it is given up: what it had is done again elsewhere.
    package var lostAfter: Duration = .seconds(5)
    /// A worker with work whose engine has finished no step for this long is given up, however lively its pulse.
    package var stallAfter: Duration = .seconds(30)
    /// Workers at once; one more is refused.
    package var workers = 256

    package init() {}
}

/// What every worker of a fleet must have, as far as the gateway knows it before the first one comes. Nil: as the first one has it.
package struct FleetStandard: Sendable, Equatable {
    package var modelDigest: String?
    package var dtype: String?
    package var shape: ModelShape?
    package var tokenizerDigest: String?
    package var pageTokens: Int?
    package var pageBytes: Int?

    package init(modelDigest: String? = nil, dtype: String? = nil, shape: ModelShape? = nil, tokenizerDigest: String? = nil) {
        self.modelDigest = modelDigest
        self.dtype = dtype
        self.shape = shape
        self.tokenizerDigest = tokenizerDigest
    }

    /// Whatever was open is now as this worker has it.
    mutating func settle(by worker: WorkerRegistration) {
        modelDigest = modelDigest ?? worker.hello.modelDigest
        dtype = dtype ?? worker.hello.dtype
        shape = shape ?? worker.hello.shape
        tokenizerDigest = tokenizerDigest ?? worker.tokenizerDigest
        pageTokens = pageTokens ?? worker.pageTokens
        pageBytes = pageBytes ?? worker.pageBytes
    }
}

/// What the gateway knows of its workers: who they are, what they do, whether they can be trusted with more. A pure machine.
package struct Fleet: Sendable {
    /// joining is over when it is here. ready ⇄ suspect; ready → draining; any → lost, after which it is not here any more.
    package enum State: String, Sendable { case ready, suspect, draining }

    package struct Member: Sendable {
        package let registration: WorkerRegistration
        /// Grows with every registration and change of roles, over all workers; what carries an older one is void.
        package var epoch: UInt64
        package var roles: WorkerRole
        package var state = State.ready
        package var load = WorkerLoad()
        package var pace = WorkerPace()
        package var pulse: WorkerPulse?
        package var lastHeard: MonotonicInstant
        /// Prompt tokens sent to it since its last report, which its load does not show yet.
        package var sentTokens = 0
        package var sentSequences = 0
        /// Its operator said that it is to take nothing new.
        package var isDraining = false

        package var name: String { registration.name }
        /// Where peers find it; nil when it serves none.
        package var address: WorkerAddress? {
            registration.endpoint.isEmpty
                ? nil : WorkerAddress(worker: name, incarnation: registration.incarnation, endpoint: registration.endpoint)
        }
        /// Seconds until it would have prefilled what it has.
        var backlog: Double { pace.prefillTime(load.pendingPrefill + sentTokens) }
        var decoders: Int { load.decoding + load.imports + sentSequences }
    }

    /// Why a worker may not join; `code` is for programs.
    package struct Refusal: Error, Equatable, Sendable {
        package let code: String
        package let reason: String
    }

    package let limits: FleetLimits
    package private(set) var members: [String: Member] = [:]
    private var lastEpoch: UInt64 = 0
    /// What the gateway itself asks for, and what all members agree on.
    private var known: FleetStandard
    private var standard: FleetStandard

    package init(limits: FleetLimits, standard: FleetStandard = FleetStandard()) {
        self.limits = limits
        known = standard
        self.standard = standard
    }

    /// Asks for this from now on. Nobody has joined yet.
    package mutating func require(_ standard: FleetStandard) {
        precondition(members.isEmpty, "another standard for \(members.count) workers that have joined")
        known = standard
        self.standard = standard
    }

    // MARK: Events

    /// A worker asks to be let in. One that is here under the same name must be lost first.
    package mutating func join(_ registration: WorkerRegistration, roles: WorkerRole, now: MonotonicInstant) throws(Refusal) -> Member {
        try check(registration)
        lastEpoch += 1
        var member = Member(registration: registration, epoch: lastEpoch, roles: roles, lastHeard: now)
        member.load.pagesTotal = registration.hello.pagesTotal
        member.load.pagesAvailable = registration.hello.pagesTotal
        members[registration.name] = member
        standard.settle(by: registration)
        return member
    }

    private func check(_ new: WorkerRegistration) throws(Refusal) {
        func differs(_ what: String, _ found: String, _ expected: String) -> Refusal {
            Refusal(code: "fingerprint_mismatch", reason: "worker \(new.name) has \(what) \(found), this fleet \(expected)")
        }
        guard new.version == WorkerRegistration.currentVersion else {
            throw Refusal(
                code: "version_mismatch",
                reason: "worker \(new.name) speaks version \(new.version) of the fleet's protocol, \(WorkerRegistration.currentVersion) was expected")
        }
        guard members[new.name] == nil else { throw Refusal(code: "name_in_use", reason: "there is a worker \(new.name) already") }
        guard members.count < limits.workers else { throw Refusal(code: "fleet_full", reason: "there are \(limits.workers) workers already") }
        let hello = new.hello
        // First: packed in another form, the same weights have another digest.
        if let dtype = standard.dtype, hello.dtype != dtype { throw differs("the dtype", hello.dtype, dtype) }
        if let model = standard.modelDigest, hello.modelDigest != model { throw differs("the model", hello.modelDigest, model) }
        if let shape = standard.shape, hello.shape != shape { throw differs("the geometry", "\(hello.shape)", "\(shape)") }
        if let tokenizer = standard.tokenizerDigest, new.tokenizerDigest != tokenizer {
            throw differs("the tokenizer", new.tokenizerDigest, tokenizer)
        }
        if let tokens = standard.pageTokens, new.pageTokens != tokens { throw differs("tokens of a page:", "\(new.pageTokens)", "\(tokens)") }
        if let bytes = standard.pageBytes, new.pageBytes != bytes { throw differs("bytes of a page:", "\(new.pageBytes)", "\(bytes)") }
    }

    package mutating func report(_ load: WorkerLoad, from name: String, now: MonotonicInstant) {
        guard members[name] != nil else { return }
        members[name]?.pace.observe(load)
        members[name]?.load = load
        members[name]?.sentTokens = 0
        members[name]?.sentSequences = 0
        heard(name, now)
    }

    package mutating func pulse(_ pulse: WorkerPulse, from name: String, now: MonotonicInstant) {
        guard members[name] != nil else { return }
        members[name]?.pulse = pulse
        // Before its engine has said anything, there is nothing in it.
        if pulse.load.pagesTotal > 0 { members[name]?.load = pulse.load }
        heard(name, now)
    }

    private mutating func heard(_ name: String, _ now: MonotonicInstant) {
        guard var member = members[name] else { return }
        member.lastHeard = now
        if member.state == .suspect { member.state = member.isDraining ? .draining : .ready }
        members[name] = member
    }

    package mutating func sent(_ tokens: Int, to name: String) {
        members[name]?.sentTokens += tokens
        members[name]?.sentSequences += 1
    }

    /// - Returns: the member's new epoch; nil when there is no such worker.
    package mutating func setRoles(_ roles: WorkerRole, of name: String) -> UInt64? {
        guard members[name] != nil else { return nil }
        lastEpoch += 1
        members[name]?.roles = roles
        members[name]?.epoch = lastEpoch
        return lastEpoch
    }

    /// From now on it gets nothing new, or, with false, is as before.
    package mutating func setDraining(_ draining: Bool, _ name: String) -> Bool {
        guard let member = members[name] else { return false }
        members[name]?.isDraining = draining
        if member.state != .suspect { members[name]?.state = draining ? .draining : .ready }
        return true
    }

    package mutating func remove(_ name: String) -> Member? {
        let member = members.removeValue(forKey: name)
        // The next one to come may be of another build, but not of another model than those who are here.
        if members.isEmpty { standard = known }
        return member
    }

    /// The gateway itself stood still for so long: what workers said meanwhile is unread, and their silence is its own.
    package mutating func wasAway(_ duration: Duration) {
        for (name, member) in members { members[name]?.lastHeard = member.lastHeard.advanced(by: duration) }
    }

    /// Looks at the clock.
    ///
    /// - Returns: who has to be given up, and why.
    package mutating func tick(now: MonotonicInstant) -> [(name: String, reason: String)] {
        var lost: [(String, String)] = []
        for (name, member) in members.sorted(by: { $0.key < $1.key }) {
            let silence = now.since(member.lastHeard)
            if silence >= limits.lostAfter {
                lost.append((name, "no sign of life for \(Self.seconds(silence)) s"))
            } else if let pulse = member.pulse, pulse.hasWork, pulse.sinceProgress >= limits.stallAfter {
                lost.append((name, "has work and finished no step for \(Self.seconds(pulse.sinceProgress)) s"))
            } else if silence >= limits.suspectAfter {
                members[name]?.state = .suspect
            }
        }
        return lost
    }

    private static func seconds(_ duration: Duration) -> String { String((duration.seconds * 10).rounded() / 10) }

    // MARK: Views

    /// By name, so that decisions do not depend on the order of a dictionary.
    var inOrder: [Member] { members.values.sorted { $0.name < $1.name } }

    /// Those who may get new work of a role. Where nobody has the role, everybody who can computes: a fleet that has lost all workers of
    /// one kind goes on with the other.
    func candidates(_ role: WorkerRole) -> [Member] {
        let ready = inOrder.filter { $0.state == .ready }
        let fitting = ready.filter { $0.roles.contains(role) }
        return fitting.isEmpty ? ready.filter { $0.registration.capabilities.contains(role) } : fitting
    }

    /// Whether anybody takes, or may soon take again, something new.
    package var isServing: Bool { members.values.contains { !$0.isDraining } }

    /// What every member can serve.
    package var sequenceLimit: Int? { members.values.map(\.registration.hello.sequenceLimit).min() }
}
