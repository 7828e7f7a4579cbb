internal import Foundation
internal import Logging
internal import Platform
internal import Reactor

/// The worker processes of this machine: started, watched, started again. A thin shell around `Supervisor`, on the gateway's reactor.
actor WorkerProcesses {
    private nonisolated let reactor: Reactor
    private let executable: String
    private var arguments: [String: [String]] = [:]
    private var supervisor: Supervisor
    private var processes: [String: ChildProcess] = [:]
    private let logger: Logger
    private let clock = SystemClock()
    private var timer: ReactorTimer?
    private var waitingForEnd: [CheckedContinuation<Void, Never>] = []
    /// Called once when going on makes no sense, with the exit status that says why.
    private let onGivenUp: @Sendable (_ reason: String, _ status: Int32) -> Void

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe reactor.asUnownedSerialExecutor() }

    /// - Parameter names: of the processes, in the order of the plan.
    init(
        on reactor: Reactor, executable: String, _ names: [String], logger: Logger,
        onGivenUp: @escaping @Sendable (_ reason: String, _ status: Int32) -> Void
    ) {
        self.reactor = reactor
        self.executable = executable
        self.logger = logger
        self.onGivenUp = onGivenUp
        supervisor = Supervisor(names, now: SystemClock().now)
    }

    /// - Parameter arguments: of each process by its name.
    func start(_ arguments: [String: [String]]) {
        self.arguments = arguments
        timer = ReactorTimer(on: reactor, after: .zero) { self.tick() }
    }

    /// The gateway has let it in.
    func registered(_ name: String) {
        guard arguments[name] != nil else { return }
        supervisor.registered(name, now: clock.now)
    }

    /// The gateway has given it up: a process that is frozen does not end by itself.
    func lost(_ name: String, process: Int32, reason: String) {
        guard !supervisor.isStopping, supervisor.number(of: name) == process else { return }
        processes[name]?.kill()
    }

    /// Ends all of them; returns when none is left.
    func stop() async {
        perform(supervisor.stopAll(now: clock.now))
        // The end of their input is what they wait for; signals that reach the whole group are not for them.
        for process in processes.values { process.closeInput() }
        if !processes.isEmpty { await withCheckedContinuation { waitingForEnd.append($0) } }
        timer?.close()
        timer = nil
    }

    private func tick() {
        perform(supervisor.tick(now: clock.now))
        schedule()
    }

    private func schedule() {
        guard let next = supervisor.nextTick else { return }
        timer?.restart(after: max(.zero, next.since(clock.now)))
    }

    private func perform(_ actions: [Supervisor.Action]) {
        for action in actions {
            switch action {
            case .start(let name): begin(name)
            case .signal(let name, .terminate): processes[name]?.closeInput()
            case .signal(let name, .kill): processes[name]?.kill()
            case .giveUp(_, let reason, let status): onGivenUp(reason, status)
            }
        }
    }

    private func begin(_ name: String) {
        let now = clock.now
        do throws(UVError) {
            let process = try ChildProcess(executable, arguments[name] ?? [], output: .errorsOnly, on: reactor) { self.ended(name, $0) }
            processes[name] = process
            perform(supervisor.started(name, number: process.number, now: now))
        } catch {
            logger.error("worker not started", metadata: ["worker": "\(name)", "reason": "\(error)"])
            perform(supervisor.failedToStart(name, reason: error.description, now: now))
        }
        schedule()
    }

    private func ended(_ name: String, _ end: ChildEnd) {
        processes[name] = nil
        if !supervisor.isStopping { logger.error("worker ended", metadata: ["worker": "\(name)", "how": "\(end)"]) }
        perform(supervisor.exited(name, end, now: clock.now))
        schedule()
        guard processes.isEmpty else { return }
        let waiting = waitingForEnd
        waitingForEnd = []
        for continuation in waiting { continuation.resume() }
    }
}
