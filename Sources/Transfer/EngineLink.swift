internal import Inference
package import Platform
package import Reactor
internal import Synchronization
package import Wire

/// Where the engine's thread and the worker's reactor meet: commands and news wait here for the engine, reports and orders are handed
/// on to the reactor, once a step each.
///
/// Bounds: commands and news are bounded by the gateway's admission, one start and one cancel a sequence and a handful of news a transfer.
package final class EngineLink: Sendable {
    private let reactor: Reactor
    private let clock: any MonotonicClock
    private let state: Mutex<State>

    private struct State {
        /// Whoever waits is to go on, and gets on from now.
        mutating func stand(_ clock: any MonotonicClock) -> CheckedContinuation<Bool, Never>? {
            if seat.isTaken { lastSign = clock.now }
            return seat.stand()
        }

        mutating func end(_ endings: [SequenceEnding]) { for ending in endings { live.remove(ending.sequence) } }

        var commands: [WorkerCommand] = []
        var news: [TransferNews] = []
        var seat = EngineSeat()
        var isClosed = false
        /// Sequences that were started and have not ended.
        var live: Set<SequenceID> = []
        /// When the engine was last heard of.
        var lastSign: MonotonicInstant
        var load = WorkerLoad()
        /// A layer's end is on its way to the reactor already.
        var isPumping = false
        weak var member: FleetMember?
    }

    package init(on reactor: Reactor, clock: any MonotonicClock = SystemClock()) {
        self.reactor = reactor
        self.clock = clock
        state = Mutex(State(lastSign: clock.now))
    }

    func join(_ member: FleetMember) { state.withLock { $0.member = member } }

    // MARK: The reactor's side

    func put(_ commands: [WorkerCommand]) {
        let waiter = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            for command in commands { if case .start(let request) = command { state.live.insert(request.id) } }
            state.commands += commands
            return state.stand(clock)
        }
        waiter?.resume(returning: true)
    }

    func put(_ news: [TransferNews]) {
        let waiter = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            state.news += news
            return state.stand(clock)
        }
        waiter?.resume(returning: true)
    }

    /// Nobody waits for what is being computed any more.
    func cancelAll() {
        let live = state.withLock { $0.live.sorted { $0.value < $1.value } }
        put(live.map { .cancel($0) })
    }

    /// No further commands: the engine ends what it has, and its run.
    package func close() {
        let waiter = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            state.isClosed = true
            return state.stand(clock)
        }
        waiter?.resume(returning: false)
    }

    struct Sign {
        var since: Duration
        var hasWork: Bool
        var live: Int
        var load: WorkerLoad
    }

    /// How the engine is doing.
    var sign: Sign {
        let now = clock.now
        return state.withLock {
            Sign(
                since: $0.seat.isTaken ? .zero : now.since($0.lastSign), hasWork: !$0.seat.isTaken || !$0.commands.isEmpty, live: $0.live.count,
                load: $0.load)
        }
    }
}

extension EngineLink: GatewayChannel {
    package func take() -> [WorkerCommand] {
        let now = clock.now
        return state.withLock { state in
            state.lastSign = now
            defer { state.commands = [] }
            return state.commands
        }
    }

    package func wait() async -> Bool {
        await withCheckedContinuation { continuation in
            let answer = state.withLock {
                $0.seat.sit(continuation, hasWork: !$0.commands.isEmpty || !$0.news.isEmpty, isClosed: $0.isClosed)
            }
            if let answer { continuation.resume(returning: answer) }
        }
    }

    package func wake() {
        let waiter = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            if state.seat.isTaken { state.lastSign = clock.now }
            return state.seat.wake()
        }
        waiter?.resume(returning: true)
    }

    package func deliver(_ report: StepReport) {
        let now = clock.now
        let member = state.withLock { state -> FleetMember? in
            state.lastSign = now
            state.load = report.load
            if state.member == nil { state.end(report.endings) }
            return state.member
        }
        guard let member else { return }
        reactor.submit {
            // Here and not before: who sees that nothing lives any more, has sent every report.
            member.assumeIsolated { $0.deliver(report) }
            self.state.withLock { $0.end(report.endings) }
        }
    }
}

extension EngineLink: TransferPort {
    package func perform(_ orders: [TransferOrder]) {
        guard !orders.isEmpty, let member = state.withLock({ $0.member }) else { return }
        reactor.submit { member.assumeIsolated { $0.perform(orders) } }
    }

    package func layerIsDone() {
        let member = state.withLock { state -> FleetMember? in
            guard !state.isPumping, let member = state.member else { return nil }
            state.isPumping = true
            return member
        }
        guard let member else { return }
        reactor.submit {
            self.state.withLock { $0.isPumping = false }
            member.assumeIsolated { $0.pump() }
        }
    }

    package func takeNews() -> [TransferNews] {
        state.withLock { state in
            defer { state.news = [] }
            return state.news
        }
    }
}
