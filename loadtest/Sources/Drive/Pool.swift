internal import Reactor

/// The run's connections to the target, and the flights that wait for room on one. Reactor thread only.
///
/// A flight takes room on an open connection, the one used last first; else it waits, and at the end of the turn as many connections are opened
/// as the waiting ones need and the bound allows. A connection that cannot be opened fails those it would have carried.
final class Pool: CarrierOwner, TurnEndParticipant {
    private let dialer: Dialer
    /// Connections at once.
    private let limit: Int
    private weak let driver: Driver?
    /// Open connections with room.
    private var free: [any Carrier] = []
    private var carriers: [ObjectIdentifier: any Carrier] = [:]
    private var dialings: [Int: Dialing] = [:]
    private var waiting: [Flight] = []
    private var waitingHead = 0
    private var isInTurnEnd = false
    private var isClosed = false
    private(set) var opened = 0
    private(set) var failed = 0
    private var attempts = 0
    private var waitingForEnd: (() -> Void)?

    init(_ dialer: Dialer, limit: Int, driver: Driver) {
        self.dialer = dialer
        self.limit = limit
        self.driver = driver
    }

    private var perConnection: Int { dialer.version == .http2 ? dialer.streams : 1 }

    func submit(_ flight: Flight) {
        guard !sendNow(flight) else { return }
        waiting.append(flight)
        guard !isInTurnEnd else { return }
        isInTurnEnd = true
        dialer.reactor.atTurnEnd(self)
    }

    private func sendNow(_ flight: Flight) -> Bool {
        guard let driver else { return false }
        while let carrier = free.last {
            if carrier.room > 0, flight.send(driver.outgoing(flight.request), on: carrier) {
                if carrier.room == 0 { free.removeLast() }
                return true
            }
            free.removeLast()
        }
        return false
    }

    func turnEnds() {
        isInTurnEnd = false
        serveWaiting()
        guard !isClosed else { return }
        var uncovered = waiting.count - waitingHead - dialings.count * perConnection
        while uncovered > 0, carriers.count + dialings.count < limit {
            open()
            uncovered -= perConnection
        }
    }

    private func serveWaiting() {
        while waitingHead < waiting.count {
            let flight = waiting[waitingHead]
            if !flight.isOver, !sendNow(flight) { break }
            waitingHead += 1
        }
        guard waitingHead == waiting.count else {
            guard waitingHead > 1024, waitingHead * 2 > waiting.count else { return }
            waiting.removeFirst(waitingHead)
            return waitingHead = 0
        }
        waiting.removeAll(keepingCapacity: true)
        waitingHead = 0
    }

    private func open() {
        attempts += 1
        let number = attempts - 1
        dialings[number] = dialer.open(number: number, owner: self) { result in
            self.dialings[number] = nil
            switch result {
            case .success(let carrier): self.took(carrier)
            case .failure(let failure): self.couldNotOpen(failure.reason)
            }
            self.tellIfEnded()
        }
    }

    private func took(_ carrier: any Carrier) {
        opened += 1
        carriers[ObjectIdentifier(carrier)] = carrier
        guard !isClosed else { return carrier.close() }
        carrierHasRoom(carrier)
    }

    private func couldNotOpen(_ reason: String) {
        failed += 1
        guard !isClosed else { return }
        var left = perConnection
        while left > 0, waitingHead < waiting.count {
            let flight = waiting[waitingHead]
            waitingHead += 1
            guard !flight.isOver else { continue }
            left -= 1
            flight.fail(reason)
        }
    }

    func carrierHasRoom(_ carrier: any Carrier) {
        guard !isClosed else { return }
        if carrier.room > 0, !free.contains(where: { $0 === carrier }) { free.append(carrier) }
        serveWaiting()
    }

    func carrierClosed(_ carrier: any Carrier) {
        carriers[ObjectIdentifier(carrier)] = nil
        free.removeAll { $0 === carrier }
        if waitingHead < waiting.count, !isInTurnEnd, !isClosed {
            isInTurnEnd = true
            dialer.reactor.atTurnEnd(self)
        }
        tellIfEnded()
    }

    /// Ends every connection. `completion` is called when the last has closed, perhaps from within this call.
    func close(completion: @escaping () -> Void) {
        isClosed = true
        waitingForEnd = completion
        free = []
        waiting = []
        waitingHead = 0
        for dialing in dialings.values { dialing.giveUp("the run has ended") }
        for carrier in carriers.values { carrier.close() }
        tellIfEnded()
    }

    private func tellIfEnded() {
        guard isClosed, carriers.isEmpty, dialings.isEmpty, let tell = waitingForEnd else { return }
        waitingForEnd = nil
        tell()
    }
}
