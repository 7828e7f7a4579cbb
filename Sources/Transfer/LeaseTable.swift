package import Platform
package import Wire

/// Until when offers are held for those who may come for them. A pure machine with explicit time.
///
/// A lease begins with the offer, is renewed by whoever is going to fetch it, and ends by release, withdrawal or expiry.
package struct LeaseTable: Sendable {
    package let duration: Duration
    private var expiries: [TransferID: MonotonicInstant] = [:]
    package private(set) var expired: UInt64 = 0

    /// - Parameter duration: of a lease from its beginning or renewal.
    package init(duration: Duration) {
        precondition(duration > .zero, "a lease of \(duration)")
        self.duration = duration
    }

    package var count: Int { expiries.count }

    package func holds(_ transfer: TransferID) -> Bool { expiries[transfer] != nil }

    package mutating func begin(_ transfer: TransferID, now: MonotonicInstant) { expiries[transfer] = now.advanced(by: duration) }

    /// - Returns: false when there is no such lease.
    package mutating func renew(_ transfer: TransferID, now: MonotonicInstant) -> Bool {
        guard expiries[transfer] != nil else { return false }
        expiries[transfer] = now.advanced(by: duration)
        return true
    }

    /// - Returns: whether there was one.
    package mutating func end(_ transfer: TransferID) -> Bool { expiries.removeValue(forKey: transfer) != nil }

    /// Ends the leases whose time is over, and names them in a fixed order.
    package mutating func expire(now: MonotonicInstant) -> [TransferID] {
        let over = expiries.filter { $0.value <= now }.keys.sorted { ($0.high, $0.low) < ($1.high, $1.low) }
        for transfer in over { expiries[transfer] = nil }
        expired += UInt64(over.count)
        return over
    }
}
