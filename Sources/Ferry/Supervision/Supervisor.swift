internal import Platform
internal import Reactor

/// Decides when the child processes of a plan are started, told to end, killed or given up. Whoever calls performs the actions, tells
/// what happened, and ticks at `nextTick`; the moments come from outside.
struct Supervisor: Sendable {
    enum Action: Equatable, Sendable {
        case start(String)
        case signal(String, StopSignal)
        /// Starting it again is no use: the whole program should end with this exit status.
        case giveUp(String, reason: String, status: Int32)
    }

    enum StopSignal: Equatable, Sendable { case terminate, kill }

    /// waiting → starting → running → waiting | given up; running → stopping → killed; every state → ended once told to stop.
    private enum State: Equatable {
        /// Started at this moment.
        case waiting(until: MonotonicInstant)
        /// Told to start; nothing heard yet.
        case starting
        case running(since: MonotonicInstant, number: Int32, registered: MonotonicInstant?)
        case stopping(killAt: MonotonicInstant)
        case killed
        case givenUp
        case ended
    }

    private struct Child {
        let name: String
        var state: State
        /// Ends in a row, of which none was after a proof.
        var failures = 0
        var wasRegistered = false
    }

    private let plan: SupervisionPlan
    private var children: [Child]
    private(set) var isStopping = false

    /// The first tick starts all of them, in this order.
    init(_ names: [String], plan: SupervisionPlan = SupervisionPlan(), now: MonotonicInstant) {
        precondition(Set(names).count == names.count, "two child processes under one name: \(names)")
        self.plan = plan
        children = names.map { Child(name: $0, state: .waiting(until: now)) }
    }

    /// When `tick` has something to do; nil while only news can change anything.
    var nextTick: MonotonicInstant? {
        children.compactMap { child in
            switch child.state {
            case .waiting(let moment), .stopping(let moment): moment
            case .running(let since, _, nil): since.advanced(by: plan.registration)
            default: nil
            }
        }.min()
    }

    /// True when no child process is left and none will be started.
    var isOver: Bool { children.allSatisfy { $0.state == .ended || $0.state == .givenUp } }

    /// The number of a running child.
    func number(of name: String) -> Int32? {
        guard case .running(_, let number, _)? = children.first(where: { $0.name == name })?.state else { return nil }
        return number
    }

    // MARK: News

    mutating func started(_ name: String, number: Int32, now: MonotonicInstant) -> [Action] {
        let index = index(of: name)
        precondition(children[index].state == .starting, "\(name) was started while \(children[index].state)")
        guard !isStopping else { return [stop(index, now)] }
        children[index].state = .running(since: now, number: number, registered: nil)
        return []
    }

    /// The program could not be started at all.
    mutating func failedToStart(_ name: String, reason: String, now: MonotonicInstant) -> [Action] {
        failed(index(of: name), reason, now)
    }

    mutating func registered(_ name: String, now: MonotonicInstant) {
        let index = index(of: name)
        // A child that is being stopped may still get so far.
        guard case .running(let since, let number, _) = children[index].state else { return }
        children[index].state = .running(since: since, number: number, registered: now)
        children[index].wasRegistered = true
    }

    mutating func exited(_ name: String, _ end: ChildEnd, now: MonotonicInstant) -> [Action] {
        let index = index(of: name)
        switch children[index].state {
        case .stopping, .killed:
            children[index].state = .ended
            return []
        case .running(let since, _, let registered):
            guard !isStopping else {
                children[index].state = .ended
                return []
            }
            let age = now.since(since)
            if let registered, now.since(registered) >= plan.proof { children[index].failures = 0 }
            if end == .exited(status: SupervisionPlan.badConfiguration) {
                children[index].state = .givenUp
                return [.giveUp(name, reason: "\(name) \(end) (bad configuration)", status: SupervisionPlan.badConfiguration)]
            }
            return failed(index, "\(end) after \(seconds(age))", now)
        case .waiting, .starting, .givenUp, .ended:
            preconditionFailure("\(name) ended while \(children[index].state)")
        }
    }

    mutating func tick(now: MonotonicInstant) -> [Action] {
        var actions: [Action] = []
        for index in children.indices {
            switch children[index].state {
            case .waiting(let moment) where moment <= now:
                children[index].state = .starting
                actions.append(.start(children[index].name))
            case .running(let since, let number, nil) where since.advanced(by: plan.registration) <= now:
                // Its end is heard of as any other; until then it is not killed again.
                children[index].state = .running(since: now, number: number, registered: nil)
                actions.append(.signal(children[index].name, .kill))
            case .stopping(let moment) where moment <= now:
                children[index].state = .killed
                actions.append(.signal(children[index].name, .kill))
            default: break
            }
        }
        return actions
    }

    /// Tells all children to end and starts no more. Doing so again changes nothing.
    mutating func stopAll(now: MonotonicInstant) -> [Action] {
        guard !isStopping else { return [] }
        isStopping = true
        var actions: [Action] = []
        for index in children.indices {
            switch children[index].state {
            case .waiting: children[index].state = .ended
            case .running: actions.append(stop(index, now))
            case .starting, .stopping, .killed, .givenUp, .ended: break
            }
        }
        return actions
    }

    // MARK: Steps

    private func index(of name: String) -> Int {
        guard let index = children.firstIndex(where: { $0.name == name }) else { preconditionFailure("no child process is called \(name)") }
        return index
    }

    private mutating func stop(_ index: Int, _ now: MonotonicInstant) -> Action {
        children[index].state = .stopping(killAt: now.advanced(by: plan.stopLimit))
        return .signal(children[index].name, .terminate)
    }

    private mutating func failed(_ index: Int, _ reason: String, _ now: MonotonicInstant) -> [Action] {
        guard !isStopping else {
            children[index].state = .ended
            return []
        }
        children[index].failures += 1
        let child = children[index]
        if !child.wasRegistered, child.failures >= plan.attempts {
            children[index].state = .givenUp
            return [.giveUp(child.name, reason: "\(child.name) failed \(child.failures) times and never registered; at last it \(reason)", status: 1)]
        }
        children[index].state = .waiting(until: now.advanced(by: plan.pause(after: child.failures)))
        return []
    }
}

private func seconds(_ duration: Duration) -> String { "\((duration.inSeconds * 10).rounded() / 10) s" }
