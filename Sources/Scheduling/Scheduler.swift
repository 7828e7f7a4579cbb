package import Inference
package import KVCache
package import Platform
package import Wire

/// Decides what each step of a worker computes: continuous batching, chunked prefill under a token budget, priorities,
/// preemption by recompute when pages run out.
///
/// A pure machine: events in, plans and endings out, no clock, no thread, no floats. Owned by the engine.
///
/// Hand-offs: what is prefilled for another worker takes all its pages when it is admitted, so it needs no others and is never preempted
/// while it may be asked for; finished, its pages are leased until released or expired. Pages that are being received into are nobody
/// else's either. Both ends come from outside, with limits in time, so that others wait for them but not for ever.
///
/// Progress: a decoding sequence takes pages from any that ranks worse, a prefill from other prefills, and `sequenceTokens` fits all
/// pages, so some sequence finishes whatever the load. Nothing is truncated for memory: a preempted sequence keeps its tokens and
/// is computed again, bit for bit, because the kernels do not depend on the batch.
package struct Scheduler: ~Copyable {
    package let limits: SchedulerLimits
    var cache: PageCache
    /// Best-ranked first.
    var waiting: [ScheduledSequence] = []
    /// Best-ranked first; each holds a page table.
    var running: [ScheduledSequence] = []
    /// Best-ranked first; each holds a page table that somebody else fills.
    var receiving: [ScheduledSequence] = []
    /// Those above.
    var byID: [SequenceID: ScheduledSequence] = [:]
    /// Sequences that ended with `handedOff`, with the pages that are kept for their next worker.
    var leases: [TransferID: ScheduledSequence] = [:]
    /// Sequences to be handed off, from their arrival until nobody wants their pages; the leases too.
    var outgoing: [TransferID: ScheduledSequence] = [:]
    /// Offers that are open: being computed, or leased.
    var offers = 0
    /// Sequences whose KV is to come.
    var incoming: [TransferID: ScheduledSequence] = [:]
    var steps: [HandoffStep] = []
    var arrivals: UInt64 = 0
    var endings: [SequenceEnding] = []
    var preemptions: UInt64 = 0
    var prefillTokens: UInt64 = 0
    var generatedTokens: UInt64 = 0
    var prefixQueries: UInt64 = 0
    var prefixHits: UInt64 = 0

    package init(limits: SchedulerLimits, cache: consuming PageCache) {
        precondition(
            Page.count(forTokens: limits.sequenceTokens) <= cache.total,
            "a sequence of \(limits.sequenceTokens) tokens does not fit \(cache.total) pages")
        self.limits = limits
        self.cache = cache
    }

    deinit {
        precondition(
            running.isEmpty && receiving.isEmpty && leases.isEmpty,
            "a scheduler with \(running.count) running, \(receiving.count) receiving and \(leases.count) leased sequences was dropped")
    }

    /// True when there is nothing to compute, to wait for or to report.
    package var isIdle: Bool { byID.isEmpty && leases.isEmpty && endings.isEmpty && steps.isEmpty }

    // MARK: Events

    /// A sequence arrived. It ends at once if it can never be served.
    package mutating func start(_ request: SequenceRequest, now: MonotonicInstant) {
        let sequence = ScheduledSequence(request: request, arrival: arrivals, now: now)
        arrivals += 1
        if let reason = refusal(of: request) ?? handoffRefusal(of: request) { return refuse(sequence, .failed(reason), now: now) }
        // An earlier attempt came to the end and could not say so.
        if let last = request.emitted.last, let reason = finish(sequence, after: last) { return refuse(sequence, reason, now: now) }
        byID[request.id] = sequence
        beginHandoff(of: sequence)
        enqueue(sequence)
    }

    /// A sequence arrived that cannot be served here, for this reason.
    package mutating func refuse(_ request: SequenceRequest, _ reason: String, now: MonotonicInstant) {
        refuse(ScheduledSequence(request: request, arrival: arrivals, now: now), .failed(reason), now: now)
    }

    /// Ends a sequence that is in no book yet.
    private mutating func refuse(_ sequence: ScheduledSequence, _ reason: FinishReason, now: MonotonicInstant) {
        sequence.phase = .local
        end(sequence, reason, now: now)
    }

    /// The client no longer wants it, nor the pages it left. Unknown and ended sequences are ignored.
    package mutating func cancel(_ id: SequenceID, now: MonotonicInstant) {
        guard let sequence = byID[id] else { return endLeases(of: id) }
        end(sequence, .cancelled, now: now)
    }

    /// The engine is going away: every sequence ends with `reason`.
    package mutating func endAll(_ reason: FinishReason, now: MonotonicInstant) {
        for sequence in running + receiving + waiting { end(sequence, reason, now: now) }
        for transfer in Array(leases.keys) { endLease(transfer, untold: true) }
    }

    private func refusal(of request: SequenceRequest) -> String? {
        if request.prompt.isEmpty { return "the prompt has no tokens" }
        if request.sampling.maxTokens < 1 { return "max_tokens is \(request.sampling.maxTokens), at least 1 was expected" }
        let count = request.prompt.count + request.emitted.count
        if request.prompt.count >= limits.sequenceTokens || count > limits.sequenceTokens {
            let repeated = request.emitted.isEmpty ? "" : " and \(request.emitted.count) generated"
            return "the prompt has \(request.prompt.count)\(repeated) tokens, this worker holds \(limits.sequenceTokens) of prompt and answer together"
        }
        if waiting.count >= limits.waitingSequences { return "\(waiting.count) sequences wait already" }
        if byID[request.id] != nil { return "the id \(request.id) is in use" }
        return nil
    }

    // MARK: Books

    mutating func end(_ sequence: ScheduledSequence, _ reason: FinishReason, now: MonotonicInstant) {
        leaveHandoff(of: sequence)
        release(sequence)
        conclude(sequence, reason, now: now)
    }

    /// Ends a sequence without touching its pages.
    mutating func conclude(_ sequence: ScheduledSequence, _ reason: FinishReason, now: MonotonicInstant) {
        running.removeAll { $0 === sequence }
        receiving.removeAll { $0 === sequence }
        waiting.removeAll { $0 === sequence }
        if byID[sequence.id] === sequence { byID[sequence.id] = nil }
        endings.append(
            SequenceEnding(
                sequence: sequence.id, reason: reason, promptTokens: sequence.request.prompt.count,
                cachedTokens: sequence.cachedTokens, generatedTokens: sequence.generated.count,
                timeline: sequence.timeline(until: now), transfer: sequence.transfer))
    }

    mutating func release(_ sequence: ScheduledSequence) {
        if let table = sequence.table.take() { cache.close(table) }
        sequence.computed = 0
    }

    mutating func enqueue(_ sequence: ScheduledSequence) { Self.insert(sequence, into: &waiting) }

    static func insert(_ sequence: ScheduledSequence, into queue: inout [ScheduledSequence]) {
        var low = 0
        var high = queue.count
        while low < high {
            let middle = (low + high) / 2
            if queue[middle].ranksBefore(sequence) { low = middle + 1 } else { high = middle }
        }
        queue.insert(sequence, at: low)
    }

    // MARK: Views

    package var load: WorkerLoad {
        var load = WorkerLoad()
        load.running = running.count
        load.waiting = waiting.count
        for sequence in waiting where sequence.intake == nil { load.pendingPrefill += sequence.count }
        for sequence in running {
            if sequence.missing > 1 { load.pendingPrefill += sequence.missing } else { load.decoding += 1 }
        }
        load.exports = outgoing.count
        load.imports = incoming.count
        load.pagesTotal = cache.total
        load.pagesAvailable = cache.available
        load.prefillTokens = prefillTokens
        load.generatedTokens = generatedTokens
        load.preemptions = preemptions
        load.prefixQueries = prefixQueries
        load.prefixHits = prefixHits
        return load
    }

    /// `checkInvariants` as an expression for `assert`: true, or a trap.
    package var integrity: Bool {
        checkInvariants()
        return true
    }

    /// Traps unless pages and sequences agree. O(pages + sequences); for tests and idle time.
    package func checkInvariants() {
        cache.checkInvariants()
        precondition(
            byID.count == running.count + waiting.count + receiving.count,
            "\(byID.count) known, \(running.count) running, \(receiving.count) receiving, \(waiting.count) waiting")
        for sequence in running { precondition(sequence.heldPages > 0 || sequence.computed == 0, "\(sequence.id) computed without pages") }
        for sequence in waiting { precondition(sequence.heldPages == 0 && sequence.computed == 0, "\(sequence.id) waits with pages") }
        checkHandoffs()
        if running.isEmpty, receiving.isEmpty, leases.isEmpty { precondition(cache.held == 0, "\(cache.held) pages are held by nobody") }
    }
}


extension ScheduledSequence {
    var heldPages: Int { table?.pages.count ?? 0 }
}
