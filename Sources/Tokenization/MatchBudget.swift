internal import Platform

/// Processor time that the regular expressions of one text may take together. Belongs to the thread that encodes it.
///
/// The engine bounds the work from one start of a match, not that of all starts, which for a hostile pattern is their product.
/// Processor time and not time of day, so that a busy machine refuses no text that an idle one takes.
struct MatchBudget {
    private(set) var left: Duration
    private var started: MonotonicInstant?

    /// What any text has, however short.
    static let base = Duration.seconds(2)
    static let perByte = Duration.nanoseconds(250)

    init(bytes: Int) { left = Self.base + Self.perByte * bytes }

    init(_ left: Duration) { self.left = left }

    mutating func begin() { started = ThreadClock().now }

    /// Takes what the thread has used since `begin` or the last call, and says whether anything is left.
    mutating func spend() -> Bool {
        let now = ThreadClock().now
        if let started { left -= now.since(started) }
        started = now
        return left > .zero
    }
}
