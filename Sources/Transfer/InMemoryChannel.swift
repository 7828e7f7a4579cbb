internal import Synchronization
package import Wire

/// Wire's two ports joined inside one process: the gateway holds one end, the worker the other.
///
/// Commands wait in a bounded queue until the worker takes them; reports go straight to the sink on the worker's thread,
/// which must hand them on without blocking.
package final class InMemoryChannel: Sendable {
    /// Commands that may wait; one more is refused and the gateway sheds load.
    package let limit: Int
    private let state: Mutex<State>

    private struct State {
        var commands: [WorkerCommand] = []
        var seat = EngineSeat()
        var hello: WorkerHello?
        var closed = false
        weak var sink: (any ReportSink)?
    }

    /// - Parameter limit: commands that may wait for the worker; beyond it `send` throws `full` and takes nothing.
    package init(limit: Int = 8192) {
        precondition(limit > 0, "a channel without room")
        self.limit = limit
        self.state = Mutex(State())
    }

    /// Joins the two ends: from now on `sink` gets the reports of the worker that says `hello`.
    package func open(hello: WorkerHello, sink: any ReportSink) {
        state.withLock {
            $0.hello = hello
            $0.sink = sink
        }
    }

    /// Ends the channel: the worker drains what was sent and stops, and no report follows the ones under way.
    package func close() {
        let waiter = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            state.closed = true
            return state.commands.isEmpty ? state.seat.stand() : nil
        }
        waiter?.resume(returning: false)
    }

    /// The worker stopped for a reason that the gateway must hear of.
    package func workerStopped(_ reason: String) {
        let sink = state.withLock { state -> (any ReportSink)? in
            state.closed = true
            return state.sink
        }
        sink?.workerLost(reason)
    }
}

extension InMemoryChannel: WorkerChannel {
    package var hello: WorkerHello {
        guard let hello = state.withLock({ $0.hello }) else { preconditionFailure("the channel was used before it was opened") }
        return hello
    }

    package func send(_ commands: [WorkerCommand]) throws(WireError) {
        let outcome = state.withLock { state -> Result<CheckedContinuation<Bool, Never>?, WireError> in
            if state.closed { return .failure(.closed) }
            // Cancels always fit: refusing one would keep pages busy for nobody. There is at most one per start.
            let starts = commands.contains { if case .start = $0 { true } else { false } }
            if starts, state.commands.count + commands.count > limit { return .failure(.full(limit: limit)) }
            state.commands.append(contentsOf: commands)
            return .success(state.seat.stand())
        }
        try outcome.get()?.resume(returning: true)
    }
}

extension InMemoryChannel: GatewayChannel {
    package func take() -> [WorkerCommand] {
        state.withLock { state in
            let commands = state.commands
            state.commands = []
            return commands
        }
    }

    package func wait() async -> Bool {
        await withCheckedContinuation { continuation in
            let answer = state.withLock { $0.seat.sit(continuation, hasWork: !$0.commands.isEmpty, isClosed: $0.closed) }
            if let answer { continuation.resume(returning: answer) }
        }
    }

    package func wake() {
        state.withLock { $0.seat.wake() }?.resume(returning: true)
    }

    package func deliver(_ report: StepReport) {
        state.withLock { $0.sink }?.receive(report)
    }
}
