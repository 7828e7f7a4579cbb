package import Inference
package import Platform
package import Wire

/// Gives sequences to workers and makes of what they report one answer each: every token once, in order, and one ending, whatever
/// becomes of the workers.
///
/// A pure machine: events in, `takeActions()` out, no clock, no thread. To the gateway it is one worker; each worker's part in a sequence
/// is a *leg* with an id of its own. A sequence that loses its worker is begun again elsewhere from its prompt and the tokens that the
/// client has; the tokens that follow are the same, because they depend on nothing else.
///
/// Bounds: attempts, tokens that wait for their predecessors, sequences that wait for a worker, and for how long: at each the sequence
/// ends with one honest reason.
package struct Dispatcher: Sendable {
    package struct Limits: Sendable, Equatable {
        /// Beginnings of one sequence. Beyond: it ends as interrupted.
        package var attempts = 4
        /// Sequences without any worker. Beyond: new ones are refused.
        package var unplaced = 4096
        /// How long one may be without any worker. Beyond: it ends as interrupted.
        package var unplacedTime: Duration = .seconds(30)
        /// After the last worker was lost, new sequences wait for another one for so long from then on; later they are refused at once.
        package var restartTime: Duration = .seconds(5)
        /// Tokens that came before one that must go first. Beyond: the attempt counts as failed.
        package var heldTokens = 256

        package init() {}
    }

    package enum Action: Sendable {
        case send([WorkerCommand], to: String)
        /// For the gateway.
        case deliver(StepReport)
    }

    /// What has happened so far, for metrics.
    package struct Totals: Sendable, Equatable {
        package var placedWhole: UInt64 = 0
        package var placedSplit: UInt64 = 0
        /// Beginnings after the first.
        package var replays: UInt64 = 0
        /// Tokens that were computed again for them, prompt included.
        package var replayedTokens: UInt64 = 0
        /// Messages about legs that are over.
        package var stale: UInt64 = 0
        /// Tokens that came twice.
        package var duplicates: UInt64 = 0
        /// Tokens that came twice and were not the same: never, unless a worker computes wrongly.
        package var divergences: UInt64 = 0
        package var workersLost: UInt64 = 0

        package init() {}
    }

    package let limits: Limits
    package let rules: PlacementRules
    package var fleet: Fleet
    package internal(set) var totals = Totals()
    var assignments: [SequenceID: Assignment] = [:]
    var directory = PrefixDirectory()
    var legs: [SequenceID: SequenceID] = [:]
    /// In the order of their arrival.
    var unplaced: [SequenceID] = []
    var lastLeg: UInt64 = 0
    var outgoing: [String: [WorkerCommand]] = [:]
    var report = StepReport()
    var hasReport = false
    private var lastLoss: MonotonicInstant?
    /// Counts of workers that are gone, so that totals never fall.
    var retired = WorkerLoad()
    let makeTransfer: @Sendable () -> TransferID

    /// - Parameter makeTransfer: names for hand-offs, never the same one twice.
    package init(
        fleet: Fleet, limits: Limits = Limits(), rules: PlacementRules = PlacementRules(),
        makeTransfer: @escaping @Sendable () -> TransferID = { .random() }
    ) {
        self.fleet = fleet
        self.limits = limits
        self.rules = rules
        self.makeTransfer = makeTransfer
    }

    /// What is to be done, in this order.
    package mutating func takeActions() -> [Action] {
        var actions = outgoing.sorted { $0.key < $1.key }.map { Action.send($0.value, to: $0.key) }
        outgoing.removeAll(keepingCapacity: true)
        if hasReport {
            report.load = load
            actions.append(.deliver(report))
            report = StepReport()
            hasReport = false
        }
        return actions
    }

    package var sequences: Int { assignments.count }

    // MARK: The gateway's events

    /// New sequences, siblings together.
    ///
    /// - Throws: `closed` when there is no worker that takes anything new, `full` when too many wait for one. Nothing was taken then.
    package mutating func start(_ requests: [SequenceRequest], now: MonotonicInstant) throws(WireError) {
        if !fleet.isServing, !isRestarting(now) { throw .closed }
        if unplaced.count + requests.count > limits.unplaced { throw .full(limit: limits.unplaced) }
        let shared = Set(requests.compactMap(\.sibling))
        for request in requests {
            precondition(assignments[request.id] == nil, "\(request.id) was started twice")
            var assignment = Assignment(request)
            // Choices of one prompt share its pages on one worker.
            if request.sibling != nil || shared.contains(request.id) { assignment.mayHop = false }
            assignments[request.id] = assignment
            place(request.id, now: now)
        }
    }

    /// There was a worker a moment ago, and there will be one again.
    private func isRestarting(_ now: MonotonicInstant) -> Bool {
        guard fleet.members.isEmpty, let lastLoss else { return false }
        return now.since(lastLoss) < limits.restartTime
    }

    /// The client wants it no more. Its ending follows when every worker has let go of it.
    package mutating func cancel(_ id: SequenceID, now: MonotonicInstant) {
        guard let assignment = assignments[id], !assignment.isCancelled else { return }
        assignments[id]?.isCancelled = true
        release(id)
        endIfCancelled(id)
    }

    // MARK: The fleet's events

    package mutating func joined(_ name: String, now: MonotonicInstant) { placeWaiting(now: now) }

    /// The worker is gone with all that it had.
    package mutating func lost(_ name: String, reason: String, now: MonotonicInstant) {
        guard let member = fleet.remove(name) else { return }
        totals.workersLost += 1
        lastLoss = now
        retire(member.load)
        directory.forget(name)
        outgoing[name] = nil
        for id in assignments.keys.sorted(by: { $0.value < $1.value }) { lose(id, on: name, reason: reason, now: now) }
        hasReport = true
    }

    private mutating func lose(_ id: SequenceID, on worker: String, reason: String, now: MonotonicInstant) {
        guard let assignment = assignments[id] else { return }
        let losesSource = assignment.source?.worker == worker
        let losesMain = assignment.main?.worker == worker
        guard losesSource || losesMain else { return }
        if losesSource { closeSource(id) }
        if losesMain { closeMain(id) }
        if assignment.isCancelled { return endIfCancelled(id) }
        // A receiver that has everything needs its source no more.
        if !losesMain, assignment.mainHasReported, assignment.held.isEmpty { return }
        // What was prefilled and handed over is whole at the receiver only if that says so; it is quicker to begin again than to wait.
        again(id, "worker \(worker) was lost: \(reason)", now: now)
    }

    package mutating func tick(now: MonotonicInstant) {
        placeWaiting(now: now)
        for id in unplaced {
            guard let assignment = assignments[id], let since = assignment.waitsSince else { continue }
            if let deadline = assignment.request.deadline, deadline <= now {
                finish(id, .deadlineExceeded)
            } else if now.since(since) >= limits.unplacedTime {
                finish(id, .interrupted(assignment.lastFailure.isEmpty ? "no worker was free for it" : assignment.lastFailure))
            }
        }
        unplaced.removeAll { assignments[$0]?.waitsSince == nil }
    }

    // MARK: A worker's report

    package mutating func reported(_ news: StepReport, by worker: String, now: MonotonicInstant) {
        guard fleet.members[worker] != nil else { return }
        fleet.report(news.load, from: worker, now: now)
        hasReport = true
        for leg in news.began {
            if let id = legs[leg] { chooseReceiver(id, now: now) } else { totals.stale += 1 }
        }
        for event in news.tokens { accept(event, now: now) }
        for ending in news.endings { end(ending, by: worker, now: now) }
    }

    private mutating func accept(_ event: TokenEvent, now: MonotonicInstant) {
        guard let id = legs[event.sequence], var assignment = assignments[id], !assignment.isCancelled else {
            totals.stale += 1
            return
        }
        assignments[id] = nil
        if assignment.main?.id == event.sequence { assignment.mainHasReported = true }
        let delivered = assignment.emitted.count
        if event.index < delivered {
            totals.duplicates += 1
            if assignment.emitted[event.index] != event.token { totals.divergences += 1 }
        } else {
            let place = assignment.held.firstIndex { $0.index >= event.index } ?? assignment.held.count
            if place < assignment.held.count, assignment.held[place].index == event.index {
                totals.duplicates += 1
                if assignment.held[place].token != event.token { totals.divergences += 1 }
            } else {
                assignment.held.insert(event, at: place)
            }
            flush(&assignment, id)
        }
        let isOverfull = assignment.held.count > limits.heldTokens
        let ending = assignment.held.isEmpty ? assignment.heldEnding : nil
        assignments[id] = assignment
        if isOverfull {
            again(id, "token \(delivered) did not come", now: now)
        } else if let ending {
            settle(id, ending, now: now)
        }
    }

    /// Delivers what is in its place now.
    private mutating func flush(_ assignment: inout Assignment, _ id: SequenceID) {
        var count = 0
        for event in assignment.held where event.index == assignment.emitted.count {
            var event = event
            event.sequence = id
            report.tokens.append(event)
            assignment.emitted.append(event.token)
            count += 1
        }
        assignment.held.removeFirst(count)
    }

    private mutating func end(_ ending: SequenceEnding, by worker: String, now: MonotonicInstant) {
        guard let id = legs[ending.sequence], let assignment = assignments[id] else {
            totals.stale += 1
            return
        }
        let isSource = assignment.source?.id == ending.sequence
        if isSource { closeSource(id, keepsLease: ending.reason == .handedOff) } else { closeMain(id) }
        if assignment.isCancelled { return endIfCancelled(id) }
        switch ending.reason {
        case .handedOff where isSource:
            assignments[id]?.sourceEnding = ending
            if assignment.main == nil { chooseReceiver(id, now: now) }
            if let held = assignment.heldEnding { settle(id, held, now: now) }
        case .handedOff, .interrupted, .cancelled:
            // Nobody here cancelled it: its worker is going away.
            let reason = if case .interrupted(let text) = ending.reason { text } else { "worker \(worker) gave it up" }
            again(id, reason, now: now)
        case .stop, .length, .deadlineExceeded, .failed:
            if isSource { assignments[id]?.sourceEnding = ending }
            settle(id, ending, now: now)
        }
    }

    /// The worker's last word is the sequence's, once every token before it has come.
    private mutating func settle(_ id: SequenceID, _ ending: SequenceEnding, now: MonotonicInstant) {
        guard let assignment = assignments[id] else { return }
        let isAnswer = switch ending.reason { case .stop, .length: true; default: false }
        if isAnswer, assignment.emitted.count < ending.generatedTokens {
            // The first token is the source's to tell, on another link, and may still be on its way.
            guard assignment.source?.isOver == false else { return again(id, "tokens are missing", now: now) }
            assignments[id]?.heldEnding = ending
            return
        }
        finish(id, ending.reason, ending)
    }
}
