/// Pointers that a caller lends to its team for one call.
///
/// What makes it sound stands here once. Whoever lends keeps it true: the pointers are valid until `ThreadTeam.run` returns, which is after
/// the last chunk has; the caller does nothing else meanwhile; no chunk writes what another one reads or writes.
struct Lent<Pointers>: @unchecked Sendable {
    // Sendable by argument: see above.
    let pointers: Pointers

    init(_ pointers: Pointers) { self.pointers = pointers }
}
