/// Where a run's requests come from, one after the other.
package protocol RequestSource: Sendable {
    /// Nil: no more.
    mutating func next() -> PlannedRequest?
    /// Nil: not known beforehand.
    var count: Int? { get }
}
