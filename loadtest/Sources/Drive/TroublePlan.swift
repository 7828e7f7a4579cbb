/// When a client's trouble strikes, and how much it reads: decides from times and byte counts alone.
struct TroublePlan: Equatable {
    enum Action: Equatable {
        case cancel, stopReading, vanish
        /// So many bytes received count as read now; 0 is never said.
        case giveBack(Int)
    }

    /// What is given back at once at the least, but for the last bytes: a window that opens byte by byte costs more than it slows.
    static let leastGiven = 512

    private let trouble: Trouble?
    private var strikesAt: Duration?
    private var hasStruck = false
    /// Received and not counted as read.
    private(set) var owed = 0
    /// When a reader of this pace began with the bytes that it gives back next.
    private var readingSince: Duration = .zero

    init(_ trouble: Trouble?) { self.trouble = trouble }

    /// Whether what comes is not to be given back at once.
    var withholds: Bool {
        switch trouble {
        case .readSlowly: owed > 0
        case .stopReading: hasStruck
        case .cancel, .vanish, nil: false
        }
    }

    mutating func sent(at time: Duration) { schedule(from: time) }

    /// The first byte of the answer's head has come: times count from it.
    mutating func headCame(at time: Duration) {
        guard !hasStruck else { return }
        schedule(from: time)
    }

    private mutating func schedule(from time: Duration) {
        switch trouble {
        case .cancel(let delay), .stopReading(let delay), .vanish(let delay): strikesAt = time + delay
        case .readSlowly, nil: break
        }
    }

    mutating func received(_ count: Int, at time: Duration) {
        guard case .readSlowly = trouble else { return }
        if owed == 0 { readingSince = max(readingSince, time) }
        owed += count
    }

    /// When to look again; nil: no need.
    var due: Duration? {
        if let strikesAt, !hasStruck { return strikesAt }
        guard case .readSlowly(let pace) = trouble, owed > 0 else { return nil }
        return readingSince + .nanoseconds(Int64(min(owed, Self.leastGiven)) * 1_000_000_000 / Int64(max(1, pace)))
    }

    /// To be called again until it is nil.
    mutating func look(at now: Duration) -> Action? {
        if let strikesAt, !hasStruck, now >= strikesAt {
            hasStruck = true
            switch trouble {
            case .cancel: return .cancel
            case .stopReading: return .stopReading
            case .vanish: return .vanish
            case .readSlowly, nil: return nil
            }
        }
        guard let due, now >= due, owed > 0 else { return nil }
        let given = min(owed, Self.leastGiven)
        owed -= given
        readingSince = due
        return .giveBack(given)
    }
}
