package import Inference
package import Platform

/// What travels on one direction of the stream between a worker and its gateway: a length (4 bytes, of what follows), a kind (1 byte),
/// the fields. Little endian throughout.
package protocol FleetMessage: Sendable {
    /// Whose messages these are, for errors: "worker".
    static var sender: String { get }
    /// The two directions share no kind, so that a message on the wrong one is known as such.
    var kind: UInt8 { get }
    /// For errors: "pulse".
    var name: String { get }
    func encodeFields(_ encoder: inout MessageEncoder)
    /// Nil for a kind that this direction does not have.
    init?(kind: UInt8, _ decoder: inout MessageDecoder) throws(MessageError)
}

extension FleetMessage {
    /// Adds the whole frame to `bytes`.
    ///
    /// - Parameter now: of the clock on which the message's moments are.
    /// - Throws: when something in it is too long to be sent; `bytes` is as before.
    package func encode(into bytes: inout [UInt8], now: MonotonicInstant, limits: MessageLimits = MessageLimits()) throws(MessageError) {
        let start = bytes.count
        var encoder = MessageEncoder(after: bytes, now: now)
        bytes = []
        encoder.put(UInt32(0))
        encoder.put(kind)
        encodeFields(&encoder)
        do throws(MessageError) {
            try encoder.close(from: start, limit: limits.frame, name)
        } catch {
            bytes = Array(encoder.bytes[..<start])
            throw error
        }
        bytes = encoder.bytes
    }

    /// Reads what lies behind the length field: kind and fields, nothing less or more.
    package init(_ bytes: [UInt8], _ range: Range<Int>, now: MonotonicInstant) throws(MessageError) {
        var decoder = MessageDecoder(bytes, range, now: now)
        let kind = try decoder.unsigned("kind", UInt8.self)
        guard let message = try Self(kind: kind, &decoder) else {
            throw .malformed("a message of kind \(kind), which a \(Self.sender) does not send")
        }
        try decoder.finish(message.name)
        self = message
    }
}

/// What a worker tells its gateway.
package enum WorkerMessage: FleetMessage, Equatable {
    /// The first message, and the only time it is sent.
    case register(WorkerRegistration)
    /// After each step.
    case report(StepReport)
    /// At the interval that the welcome named.
    case pulse(WorkerPulse)
    /// The answer to `drain`: every sequence has ended and every export is gone; the worker ends now.
    case drained

    package static var sender: String { "worker" }

    package var kind: UInt8 {
        switch self {
        case .register: 1
        case .report: 2
        case .pulse: 3
        case .drained: 4
        }
    }

    package var name: String {
        switch self {
        case .register: "register"
        case .report: "report"
        case .pulse: "pulse"
        case .drained: "drained"
        }
    }

    package func encodeFields(_ encoder: inout MessageEncoder) {
        switch self {
        case .register(let registration): encoder.put(registration)
        case .report(let report): encoder.put(report)
        case .pulse(let pulse): encoder.put(pulse)
        case .drained: break
        }
    }

    package init?(kind: UInt8, _ decoder: inout MessageDecoder) throws(MessageError) {
        switch kind {
        case 1: self = .register(try decoder.registration())
        case 2: self = .report(try decoder.report())
        case 3: self = .pulse(try decoder.pulse())
        case 4: self = .drained
        default: return nil
        }
    }
}

/// What the gateway tells a worker.
package enum GatewayMessage: FleetMessage, Equatable {
    /// The answer to a registration: the worker belongs to the fleet, with these roles, and should pulse at this interval.
    case welcome(epoch: UInt64, roles: WorkerRole, peers: [WorkerAddress], pulseInterval: Duration)
    /// The other answer: the worker does not belong here. The code is for programs ("model", "version"), the reason for people.
    case refuse(code: String, reason: String)
    case commands(epoch: UInt64, [WorkerCommand])
    /// From now on the worker has these roles.
    case roles(epoch: UInt64, WorkerRole)
    /// All peers there are now.
    case peers([WorkerAddress])
    /// Finish what runs, take nothing new, say `drained`.
    case drain
    /// What the worker's own links are to behave like, for measurements; nil for as they are.
    case shape(LinkShapeSetting?)
    /// The answer to a pulse with the same number.
    case pulse(number: UInt64)

    package static var sender: String { "gateway" }

    package var kind: UInt8 {
        switch self {
        case .welcome: 65
        case .refuse: 66
        case .commands: 67
        case .roles: 68
        case .peers: 69
        case .drain: 70
        case .shape: 71
        case .pulse: 72
        }
    }

    package var name: String {
        switch self {
        case .welcome: "welcome"
        case .refuse: "refuse"
        case .commands: "commands"
        case .roles: "roles"
        case .peers: "peers"
        case .drain: "drain"
        case .shape: "shape"
        case .pulse: "pulse"
        }
    }

    package func encodeFields(_ encoder: inout MessageEncoder) {
        switch self {
        case .welcome(let epoch, let roles, let peers, let interval):
            encoder.put(epoch)
            encoder.put(roles.rawValue)
            encoder.put(peers)
            encoder.put(interval)
        case .refuse(let code, let reason):
            encoder.put(text: code, longest: MessageLimits.name, "refusal.code")
            encoder.put(reason: reason)
        case .commands(let epoch, let commands):
            encoder.put(epoch)
            encoder.put(commands)
        case .roles(let epoch, let roles):
            encoder.put(epoch)
            encoder.put(roles.rawValue)
        case .peers(let peers): encoder.put(peers)
        case .drain: break
        case .shape(let setting): encoder.put(setting) { $0.put($1) }
        case .pulse(let number): encoder.put(number)
        }
    }

    package init?(kind: UInt8, _ decoder: inout MessageDecoder) throws(MessageError) {
        switch kind {
        case 65:
            self = .welcome(
                epoch: try decoder.unsigned("epoch"), roles: try decoder.roles("roles"), peers: try decoder.addresses("peers"),
                pulseInterval: try decoder.duration("pulse interval"))
        case 66:
            self = .refuse(
                code: try decoder.text("refusal.code", longest: MessageLimits.name),
                reason: try decoder.text("refusal.reason", longest: MessageLimits.reason))
        case 67: self = .commands(epoch: try decoder.unsigned("epoch"), try decoder.commands())
        case 68: self = .roles(epoch: try decoder.unsigned("epoch"), try decoder.roles("roles"))
        case 69: self = .peers(try decoder.addresses("peers"))
        case 70: self = .drain
        case 71: self = .shape(try decoder.optional("shape") { (decoder) throws(MessageError) in try decoder.linkShape() })
        case 72: self = .pulse(number: try decoder.unsigned("pulse.number"))
        default: return nil
        }
    }
}
