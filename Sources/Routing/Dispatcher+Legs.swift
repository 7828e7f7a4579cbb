internal import Inference
internal import Platform
internal import Wire

/// Workers' parts in sequences: placing them, letting go of them, beginning again, and the end.
extension Dispatcher {
    mutating func nextLeg(_ id: SequenceID, on worker: String) -> Assignment.Leg {
        lastLeg += 1
        let leg = Assignment.Leg(id: SequenceID(lastLeg), worker: worker)
        legs[leg.id] = id
        return leg
    }

    mutating func place(_ id: SequenceID, now: MonotonicInstant) {
        guard var assignment = assignments[id] else { return }
        var placement = rules.place(
            assignment.names, tokens: assignment.tokens, mayHop: assignment.mayHop, fleet: fleet, directory: directory)
        var sibling: SequenceID?
        if let first = assignment.request.sibling, let leg = assignments[first]?.main, fleet.members[leg.worker]?.state == .ready {
            placement = .whole(on: leg.worker)
            sibling = leg.id
        }
        guard let placement else {
            if assignment.waitsSince == nil {
                assignments[id]?.waitsSince = now
                unplaced.append(id)
            }
            return
        }
        assignment.waitsSince = nil
        assignment.attempt += 1
        if assignment.attempt > 1 {
            totals.replays += 1
            totals.replayedTokens += UInt64(assignment.tokens)
        }
        var request = assignment.request
        request.emitted = assignment.emitted
        request.sibling = sibling
        let worker: String
        switch placement {
        case .whole(let name):
            worker = name
            totals.placedWhole += 1
            let leg = nextLeg(id, on: name)
            assignment.main = leg
            request.id = leg.id
        case .split(let name):
            worker = name
            totals.placedSplit += 1
            let leg = nextLeg(id, on: name)
            let transfer = makeTransfer()
            assignment.source = leg
            assignment.transfer = transfer
            request.id = leg.id
            request.handoff = .send(transfer)
        }
        assignments[id] = assignment
        fleet.sent(assignment.tokens, to: worker)
        directory.note(assignment.names, on: worker)
        outgoing[worker, default: []].append(.start(request))
    }

    /// Late: only now is it known when there will be something to receive, and who is free then.
    mutating func chooseReceiver(_ id: SequenceID, now: MonotonicInstant) {
        guard var assignment = assignments[id], assignment.main == nil, !assignment.isCancelled, let source = assignment.source,
            let transfer = assignment.transfer, let prefiller = fleet.members[source.worker], let from = prefiller.address
        else { return }
        let receiver = rules.decoder(
            assignment.names, tokens: assignment.tokens, fleet: fleet, directory: directory, after: prefiller)
        guard let receiver else {
            // Everybody else has gone since: whoever is left does it alone.
            assignments[id]?.mayHop = false
            return again(id, "no worker was left to decode", now: now)
        }
        let leg = nextLeg(id, on: receiver.name)
        assignment.main = leg
        assignments[id] = assignment
        var request = assignment.request
        request.id = leg.id
        request.emitted = assignment.emitted
        request.sibling = nil
        request.handoff = .receive(transfer, from: from)
        fleet.sent(0, to: receiver.name)
        directory.note(assignment.names, on: receiver.name)
        outgoing[receiver.name, default: []].append(.start(request))
    }

    mutating func closeSource(_ id: SequenceID, keepsLease: Bool = false) {
        guard let leg = assignments[id]?.source else { return }
        assignments[id]?.source?.isOver = true
        if !keepsLease { legs[leg.id] = nil }
    }

    mutating func closeMain(_ id: SequenceID) {
        guard let leg = assignments[id]?.main else { return }
        assignments[id]?.main?.isOver = true
        legs[leg.id] = nil
    }

    /// Tells every worker that still has a part in it, or its pages, to let go.
    mutating func release(_ id: SequenceID) {
        guard let assignment = assignments[id] else { return }
        for leg in [assignment.source, assignment.main].compactMap(\.self) where legs[leg.id] != nil && fleet.members[leg.worker] != nil {
            // A source that handed over has said its last word and holds the pages until the receiver has them.
            outgoing[leg.worker, default: []].append(.cancel(leg.id))
            if leg.isOver { legs[leg.id] = nil }
        }
    }

    /// Begins again with what the client has.
    mutating func again(_ id: SequenceID, _ reason: String, now: MonotonicInstant) {
        release(id)
        guard var assignment = assignments[id] else { return }
        for leg in [assignment.source, assignment.main].compactMap(\.self) { legs[leg.id] = nil }
        assignment.source = nil
        assignment.main = nil
        assignment.transfer = nil
        assignment.sourceEnding = nil
        assignment.heldEnding = nil
        assignment.held = []
        assignment.mainHasReported = false
        assignment.lastFailure = reason
        if assignment.attempt >= 2 { assignment.mayHop = false }
        assignments[id] = assignment
        if let deadline = assignment.request.deadline, deadline <= now { return finish(id, .deadlineExceeded) }
        guard assignment.attempt < limits.attempts else {
            return finish(id, .interrupted("begun \(assignment.attempt) times; the last time \(reason)"))
        }
        place(id, now: now)
    }

    mutating func placeWaiting(now: MonotonicInstant) {
        guard !unplaced.isEmpty else { return }
        let waiting = unplaced
        unplaced = []
        for id in waiting {
            guard assignments[id]?.waitsSince != nil else { continue }
            place(id, now: now)
            if assignments[id]?.waitsSince != nil { unplaced.append(id) }
        }
    }

    // MARK: Ends

    mutating func endIfCancelled(_ id: SequenceID) {
        guard let assignment = assignments[id], assignment.isCancelled, assignment.legsAreOver else { return }
        finish(id, .cancelled)
    }

    mutating func finish(_ id: SequenceID, _ reason: FinishReason, _ last: SequenceEnding? = nil) {
        release(id)
        guard let assignment = assignments.removeValue(forKey: id) else { return }
        for leg in [assignment.source, assignment.main].compactMap(\.self) { legs[leg.id] = nil }
        var ending = SequenceEnding(
            sequence: id, reason: reason, promptTokens: assignment.request.prompt.count, cachedTokens: last?.cachedTokens ?? 0,
            generatedTokens: assignment.emitted.count, timeline: last?.timeline ?? SequenceTimeline(), transfer: last?.transfer)
        if let source = assignment.sourceEnding {
            ending.cachedTokens = source.cachedTokens
            ending.timeline.queued = source.timeline.queued
            ending.timeline.prefill = source.timeline.prefill
        }
        var service = ServiceRecord()
        service.decodeWorker = assignment.main?.worker ?? assignment.source?.worker ?? ""
        service.prefillWorker = assignment.source?.worker ?? service.decodeWorker
        service.attempts = max(1, assignment.attempt)
        ending.service = service
        report.endings.append(ending)
        hasReport = true
    }
}
