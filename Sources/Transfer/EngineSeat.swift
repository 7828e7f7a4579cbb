/// Where an engine waits for work, one at a time. A value that its channel keeps behind a lock; continuations are resumed outside of it.
struct EngineSeat {
    private var waiter: CheckedContinuation<Bool, Never>?
    private var isWoken = false

    var isTaken: Bool { waiter != nil }

    /// - Returns: what the wait ends with at once; nil where the engine sits down.
    mutating func sit(_ continuation: CheckedContinuation<Bool, Never>, hasWork: Bool, isClosed: Bool) -> Bool? {
        if hasWork || isWoken {
            isWoken = false
            return true
        }
        if isClosed { return false }
        precondition(waiter == nil, "two engines wait on one channel")
        waiter = continuation
        return nil
    }

    /// There is work, or no more to come: whoever sits here is to be resumed with the answer.
    mutating func stand() -> CheckedContinuation<Bool, Never>? { waiter.take() }

    /// One that waits is woken now; the next wait is another.
    mutating func wake() -> CheckedContinuation<Bool, Never>? {
        isWoken = waiter == nil
        return waiter.take()
    }
}
