internal import Reactor

/// Those who wait for a state of a server's counters. They are told at the end of a turn, and only turns that changed a counter are
/// looked at.
final class CounterWatch: TurnEndParticipant {
    private struct Wait {
        let condition: (ServerCounters) -> Bool
        let continuation: CheckedContinuation<ServerCounters, Never>
    }

    /// Holds the watch.
    private unowned let floor: ServerFloor
    private let reactor: Reactor
    private var waiting: [Wait] = []
    private var isInTurnEnd = false

    init(of floor: ServerFloor, on reactor: Reactor) {
        self.floor = floor
        self.reactor = reactor
    }

    /// Looks at the end of this turn for the first time.
    func add(_ condition: @escaping (ServerCounters) -> Bool, _ continuation: CheckedContinuation<ServerCounters, Never>) {
        waiting.append(Wait(condition: condition, continuation: continuation))
        countersChanged()
    }

    func countersChanged() {
        guard !waiting.isEmpty, !isInTurnEnd else { return }
        isInTurnEnd = true
        reactor.atTurnEnd(self)
    }

    func turnEnds() {
        isInTurnEnd = false
        let counters = floor.counters
        let looking = waiting
        waiting = []
        for wait in looking {
            if wait.condition(counters) { wait.continuation.resume(returning: counters) } else { waiting.append(wait) }
        }
    }
}
