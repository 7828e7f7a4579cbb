internal import Inference
internal import KVCache
package import Platform
package import Wire

/// Sequences on their way between two workers.
extension Scheduler {
    /// What the engine is to do about them, since the last call: due before the plan is computed, and again after its results are in.
    package mutating func takeHandoffSteps() -> [HandoffStep] {
        defer { steps.removeAll(keepingCapacity: true) }
        return steps
    }

    /// What the transfer port tells. Unknown transfers and what is told twice are ignored.
    ///
    /// Nobody reads or writes the pages of what arrived or failed any more.
    package mutating func take(_ news: TransferNews, now: MonotonicInstant) {
        switch news {
        case .released(let transfer), .expired(let transfer): endOffer(transfer)
        case .arrived(let transfer, let token, let summary):
            guard let sequence = incoming[transfer], case .receiving = sequence.phase else { return }
            arrive(sequence, token, summary, now: now)
        case .failed(let transfer, _):
            guard let sequence = incoming[transfer] else { return }
            computeHere(sequence)
        }
    }

    func handoffRefusal(of request: SequenceRequest) -> String? {
        switch request.handoff {
        case .none: return nil
        case .send(let transfer): return outgoing[transfer] == nil ? nil : "the transfer \(transfer) is being sent for another sequence"
        case .receive(let transfer, _): return incoming[transfer] == nil ? nil : "the transfer \(transfer) is being received for another sequence"
        }
    }

    mutating func beginHandoff(of sequence: ScheduledSequence) {
        switch sequence.phase {
        case .toSend(let transfer): outgoing[transfer] = sequence
        case .announced(let transfer, let source):
            incoming[transfer] = sequence
            steps.append(.announce(transfer, from: source))
        case .local, .sending, .unwanted, .receiving: break
        }
    }

    /// The sequence ends: nobody will ask for its pages, or fill them.
    mutating func leaveHandoff(of sequence: ScheduledSequence) {
        switch sequence.phase {
        case .local, .unwanted: break
        case .toSend(let transfer): outgoing[transfer] = nil
        case .sending(let transfer): forget(transfer, untold: true)
        case .announced(let transfer, _), .receiving(let transfer, _):
            incoming[transfer] = nil
            steps.append(.abandon(transfer))
        }
        sequence.phase = .local
    }

    // MARK: Sending

    /// Takes all pages that an export will ever need. The admission has counted them.
    mutating func openOffer(of sequence: ScheduledSequence, _ plan: inout StepPlan) {
        guard case .toSend(let transfer) = sequence.phase else { return }
        plan.freshPages.append(contentsOf: extend(sequence))
        sequence.phase = .sending(transfer)
        offers += 1
        steps.append(
            .open(
                transfer, pages: sequence.table?.pages ?? [], known: sequence.computed, tokens: sequence.count,
                profile: sequence.request.profile))
    }

    /// The sequence has chosen its token: it ends, its pages stay.
    mutating func handOff(_ sequence: ScheduledSequence, _ chosen: TokenID, now: MonotonicInstant) {
        guard case .sending(let transfer) = sequence.phase else { return end(sequence, .handedOff, now: now) }
        steps.append(.finish(transfer, chosen: chosen))
        leases[transfer] = sequence
        conclude(sequence, .handedOff, now: now)
    }

    /// Nobody wants the pages of an offer: a lease is over, and what is still being computed ends without one.
    private mutating func endOffer(_ transfer: TransferID) {
        guard leases[transfer] == nil else { return endLease(transfer, untold: false) }
        guard let sequence = outgoing[transfer], case .sending = sequence.phase else { return }
        forget(transfer, untold: false)
        sequence.phase = .unwanted
    }

    mutating func endLeases(of id: SequenceID) {
        for transfer in leases.filter({ $0.value.id == id }).keys { endLease(transfer, untold: true) }
    }

    mutating func endLease(_ transfer: TransferID, untold: Bool) {
        guard let sequence = leases.removeValue(forKey: transfer) else { return }
        forget(transfer, untold: untold)
        sequence.phase = .local
        release(sequence)
    }

    private mutating func forget(_ transfer: TransferID, untold: Bool) {
        outgoing[transfer] = nil
        offers -= 1
        steps.append(.withdraw(transfer, untold: untold))
    }

    // MARK: Receiving

    /// Takes the pages that will be filled. They need not be zeroed: every layer of each is overwritten whole, or never read.
    mutating func reserve(_ sequence: ScheduledSequence) {
        guard case .announced(let transfer, let source) = sequence.phase else { preconditionFailure("\(sequence.id) receives nothing") }
        _ = extend(sequence)
        sequence.phase = .receiving(transfer, from: source)
        Self.insert(sequence, into: &receiving)
        steps.append(
            .fetch(transfer, from: source, pages: sequence.table?.pages ?? [], known: sequence.computed, tokens: sequence.count))
    }

    private mutating func arrive(_ sequence: ScheduledSequence, _ token: TokenID, _ summary: TransferSummary, now: MonotonicInstant) {
        leaveIncoming(sequence)
        sequence.transfer = summary
        sequence.transfer?.cachedTokens = sequence.computed
        advance(sequence, by: sequence.missing)
        sequence.append(token, now: now)
        Self.insert(sequence, into: &running)
        if let reason = finish(sequence, after: token) { end(sequence, reason, now: now) }
    }

    /// What was to come will not: the sequence goes back in line, as any other.
    private mutating func computeHere(_ sequence: ScheduledSequence) {
        let wasReceiving = sequence.heldPages > 0
        leaveIncoming(sequence)
        release(sequence)
        if wasReceiving { enqueue(sequence) }
    }

    private mutating func leaveIncoming(_ sequence: ScheduledSequence) {
        if let transfer = sequence.intake { incoming[transfer] = nil }
        receiving.removeAll { $0 === sequence }
        sequence.phase = .local
    }

    /// Pages for all tokens that the sequence has. The caller has counted that they are there.
    private mutating func extend(_ sequence: ScheduledSequence) -> ArraySlice<PageIndex> {
        guard var table = sequence.table.take() else { preconditionFailure("\(sequence.id) was admitted without pages") }
        guard let fresh = cache.extend(&table, toHold: sequence.count) else { preconditionFailure("\(sequence.id) was admitted and has no room") }
        sequence.table = consume table
        return fresh
    }

    /// Traps unless sequences, offers and leases agree.
    func checkHandoffs() {
        for sequence in receiving {
            precondition(sequence.table?.capacity ?? 0 >= sequence.count, "\(sequence.id) receives without room")
            precondition(sequence.intake.map { incoming[$0] === sequence } ?? false, "\(sequence.id) receives what nobody sends")
        }
        for sequence in running { precondition(sequence.intake == nil, "\(sequence.id) runs and receives") }
        for (transfer, sequence) in leases {
            precondition(outgoing[transfer] === sequence && sequence.heldPages > 0 && sequence.offer == transfer, "\(transfer) is no lease")
            precondition(byID[sequence.id] !== sequence, "\(sequence.id) ended and is served")
        }
        for (transfer, sequence) in incoming {
            precondition(sequence.intake == transfer && byID[sequence.id] === sequence, "\(transfer) comes for nobody")
        }
        for (transfer, sequence) in outgoing where leases[transfer] == nil {
            precondition(sequence.isExport && byID[sequence.id] === sequence, "\(transfer) is computed for nobody")
        }
        precondition(offers == outgoing.values.count { $0.offer != nil }, "\(offers) offers are counted")
        for sequence in running where sequence.offer != nil {
            precondition(sequence.table?.capacity ?? 0 >= sequence.count, "\(sequence.id) is sent and has no room")
        }
    }
}
