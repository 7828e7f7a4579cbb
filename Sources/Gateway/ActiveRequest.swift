internal import Platform
internal import Server
internal import Wire

/// A request that a worker or the preparer works on, from arrival to its last byte. Reactor thread.
///
/// preparing → generating → over; preparing → over. `over` waits for the exchange to close, and ends with the log line.
final class ActiveRequest {
    let number: UInt64
    let id: String
    let route: Route
    let exchange: Exchange
    let arrived: MonotonicInstant
    /// How its KV travels.
    let profile: TransferProfile
    /// When the answer is worth nothing any more.
    var deadline: MonotonicInstant
    /// Nil for what generates nothing; given back as soon as the request is over, before the client has read the last byte.
    var permit: AdmissionPermit?
    var stream: GenerationStream?
    /// What it will be logged as; nil while it is not over.
    var outcome: Outcome?
    var prepared: Duration?
    var firstToken: Duration?

    struct Outcome {
        var status: Int
        /// `completed`, an error code, or what made us give up.
        var word: String
        /// Nothing was generated for it.
        var isRefusal = false
    }

    init(
        _ number: UInt64, id: String, route: Route, _ exchange: Exchange, arrived: MonotonicInstant, deadline: MonotonicInstant,
        profile: TransferProfile
    ) {
        self.number = number
        self.id = id
        self.route = route
        self.exchange = exchange
        self.arrived = arrived
        self.profile = profile
        self.deadline = deadline
    }

    var isOver: Bool { outcome != nil }
}
