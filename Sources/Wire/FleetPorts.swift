package import Inference

/// The gateway's end of the link to one worker. Transfer implements it; touched on the gateway's reactor only.
package protocol WorkerLink: AnyObject, Sendable {
    /// Hands messages over in order. Never blocks. A worker that takes so little that the link's bound is reached is lost.
    func send(_ messages: [GatewayMessage])
    /// Ends the link after what was sent. Idempotent; `linkEnded` follows on a later turn unless it was called already.
    func end()
}

/// Where workers ask to be let in and what they say arrives. The gateway implements it; Transfer calls it on the gateway's reactor, in whose
/// isolation the actor must live.
package protocol FleetDesk: Actor {
    /// The first message. The answer, welcome or refusal, goes over the link.
    func register(_ registration: WorkerRegistration, over link: any WorkerLink)
    func receive(_ message: WorkerMessage, over link: any WorkerLink)
    /// The last call about a link, made once for every link that registered.
    func linkEnded(_ link: any WorkerLink, reason: String)
}

/// What an operator may see of a fleet and do to it. `workers` on any thread, the rest on the gateway's reactor only.
package protocol FleetOperations: Sendable {
    var workers: [WorkerStatus] { get }
    /// Nothing new for this worker from now on, or, with false, as before. False when there is none of that name.
    func setDraining(_ draining: Bool, worker: String) -> Bool
    /// - Returns: the new epoch; nil when there is none of that name, or it cannot do that.
    func setRoles(_ roles: WorkerRole, worker: String) -> UInt64?
    /// Makes the links of all workers (or of one) behave as said; nil: as they are. How many workers were told.
    func shape(_ setting: LinkShapeSetting?, worker: String?) -> Int
}

/// What an operator may see of the requests in work and do to them. On the gateway's reactor only.
package protocol RequestOperations: Sendable {
    /// In the order of their arrival.
    var openRequests: [RequestStatus] { get }
    /// Ends the request with `request_cancelled`. False when there is none of that id.
    func cancelRequest(_ id: String) -> Bool
}

/// One request in work.
package struct RequestStatus: Sendable, Equatable {
    package var id: String
    package var route: String
    package var age: Duration
    package var timeLeft: Duration
    /// `preparing`, `waiting` (for a first token), `streaming`, or `closing` (everything is said; the client reads).
    package var state: String
    package var promptTokens: Int
    package var generatedTokens: Int
    package var choices: Int
    package var bufferedBytes: Int

    package init(
        id: String, route: String, age: Duration, timeLeft: Duration, state: String, promptTokens: Int, generatedTokens: Int, choices: Int,
        bufferedBytes: Int
    ) {
        self.id = id
        self.route = route
        self.age = age
        self.timeLeft = timeLeft
        self.state = state
        self.promptTokens = promptTokens
        self.generatedTokens = generatedTokens
        self.choices = choices
        self.bufferedBytes = bufferedBytes
    }
}

/// One worker as the operator sees it.
package struct WorkerStatus: Sendable, Equatable {
    package var registration: WorkerRegistration
    package var roles: WorkerRole
    /// `ready`, `suspect` or `draining`.
    package var state: String
    package var epoch: UInt64
    package var load: WorkerLoad
    package var pulse: WorkerPulse?
    /// Since it last said anything.
    package var silence: Duration
    /// Sequences it still owes an ending, as the gateway counts.
    package var sequences: Int

    package init(
        registration: WorkerRegistration, roles: WorkerRole, state: String, epoch: UInt64, load: WorkerLoad, pulse: WorkerPulse?,
        silence: Duration, sequences: Int
    ) {
        self.registration = registration
        self.roles = roles
        self.state = state
        self.epoch = epoch
        self.load = load
        self.pulse = pulse
        self.silence = silence
        self.sequences = sequences
    }
}
