package import Inference
package import KVCache
package import Platform
package import Wire

/// Decides what each step of a worker computes: continuous batching, chunked prefill under a token budget, priorities,
/// preemption by recompute when pages run out.
///
/// A pure machine: events in, plans and endings out, no clock, no thread, no floats. Owned by the engine.
///
/// Progress: a decoding sequence takes pages from any that ranks worse, a prefill from other prefills, and `sequenceTokens` fits all
/// pages, so some sequence finishes whatever the load. Nothing is truncated for memory: a preempted sequence keeps its tokens and
/// is computed again, bit for bit, because the kernels do not depend on the batch.
package struct Scheduler: ~Copyable {
    package let limits: SchedulerLimits
    private var cache: PageCache
    /// Best-ranked first.
    private var waiting: [ScheduledSequence] = []
    /// Best-ranked first; each holds a page table.
    private var running: [ScheduledSequence] = []
    private var byID: [SequenceID: ScheduledSequence] = [:]
    private var arrivals: UInt64 = 0
    private var endings: [SequenceEnding] = []
    private var preemptions: UInt64 = 0
    private var prefillTokens: UInt64 = 0
    private var generatedTokens: UInt64 = 0
    private var prefixQueries: UInt64 = 0
    private var prefixHits: UInt64 = 0

    package init(limits: SchedulerLimits, cache: consuming PageCache) {
        precondition(
            Page.count(forTokens: limits.sequenceTokens) <= cache.total,
            "a sequence of \(limits.sequenceTokens) tokens does not fit \(cache.total) pages")
        self.limits = limits
        self.cache = cache
    }

    deinit { precondition(running.isEmpty, "a scheduler with \(running.count) running sequences was dropped") }

    /// True when there is nothing to compute and nothing to report.
    package var isIdle: Bool { waiting.isEmpty && running.isEmpty && endings.isEmpty }

    // MARK: Events

    /// A sequence arrived. It ends at once if it can never be served.
    package mutating func start(_ request: SequenceRequest, now: MonotonicInstant) {
        let sequence = ScheduledSequence(request: request, arrival: arrivals, now: now)
        arrivals += 1
        if let reason = refusal(of: request) {
            end(sequence, .failed(reason), now: now)
            return
        }
        byID[request.id] = sequence
        enqueue(sequence)
    }

    /// The client no longer wants it. Unknown and ended sequences are ignored.
    package mutating func cancel(_ id: SequenceID, now: MonotonicInstant) {
        guard let sequence = byID[id] else { return }
        end(sequence, .cancelled, now: now)
    }

    /// The engine is going away: every sequence ends with `reason`.
    package mutating func endAll(_ reason: FinishReason, now: MonotonicInstant) {
        for sequence in running + waiting { end(sequence, reason, now: now) }
    }

    private func refusal(of request: SequenceRequest) -> String? {
        if request.prompt.isEmpty { return "the prompt has no tokens" }
        if request.sampling.maxTokens < 1 { return "max_tokens is \(request.sampling.maxTokens), at least 1 was expected" }
        if request.prompt.count >= limits.sequenceTokens {
            return "the prompt has \(request.prompt.count) tokens, this worker holds \(limits.sequenceTokens) of prompt and answer together"
        }
        if waiting.count >= limits.waitingSequences { return "\(waiting.count) sequences wait already" }
        if byID[request.id] != nil { return "the id \(request.id) is in use" }
        return nil
    }

    // MARK: Planning

    /// The next step. Empty when nothing can be computed now.
    package mutating func plan(now: MonotonicInstant) -> StepPlan {
        endLate(now: now)
        var plan = StepPlan()
        makeRoomForUrgent()
        let preemptedBefore = preemptions
        planDecodes(&plan)
        planPrefills(&plan)
        // A step that had to take pages from somebody admits nobody new.
        if preemptions == preemptedBefore { admit(&plan, now: now) }
        return plan
    }

    private mutating func endLate(now: MonotonicInstant) {
        for sequence in running + waiting {
            if let deadline = sequence.request.deadline, deadline <= now { end(sequence, .deadlineExceeded, now: now) }
        }
    }

    /// Takes pages and places from running sequences of strictly worse priority when the first in line cannot be admitted otherwise.
    /// Never from equals, however late they came: two sequences could take turns in preempting each other.
    private mutating func makeRoomForUrgent() {
        guard let urgent = waiting.first(where: { !waitsForSibling($0) }) else { return }
        let victims = running.reversed().prefix { $0.request.priority > urgent.request.priority }
        guard !victims.isEmpty else { return }
        // Without regard to prefixes it may find: rather one victim too many than a search of the cache in every step.
        let needed = Page.count(forTokens: urgent.count + 1)
        let staying = running.dropLast(victims.count).reduce(0) { $0 + promised(to: $1) }
        guard needed + staying <= cache.available + victims.reduce(0, { $0 + $1.heldPages }) else { return }
        for victim in victims where needed + promisedPages > cache.available || running.count >= limits.runningSequences {
            preempt(victim)
        }
    }

    /// One token for each sequence that is past its prefill, best-ranked first; pages are taken from the worst-ranked.
    private mutating func planDecodes(_ plan: inout StepPlan) {
        var index = 0
        while index < running.count, plan.tokens.count < limits.stepTokens {
            let sequence = running[index]
            index += 1
            guard sequence.missing == 1 else { continue }
            while !append(sequence, tokens: 1, to: &plan) {
                let victim = running[running.count - 1]
                preempt(victim)
                if victim === sequence { break }
            }
        }
    }

    /// Further chunks of prefills that are under way. They take pages only from sequences that are not in the plan yet.
    private mutating func planPrefills(_ plan: inout StepPlan) {
        var index = 0
        while index < running.count, plan.tokens.count < limits.stepTokens {
            let sequence = running[index]
            index += 1
            guard sequence.missing > 1 else { continue }
            let chunk = min(sequence.missing, limits.stepTokens - plan.tokens.count)
            while !append(sequence, tokens: chunk, to: &plan) {
                guard let victim = running.last(where: { $0.missing > 1 }), victim !== sequence else { return }
                preempt(victim)
            }
        }
    }

    /// Waiting sequences, best-ranked first, while budget, places and pages for their whole prompt last.
    private mutating func admit(_ plan: inout StepPlan, now: MonotonicInstant) {
        var index = 0
        while index < waiting.count, running.count < limits.runningSequences, plan.tokens.count < limits.stepTokens {
            let sequence = waiting[index]
            if waitsForSibling(sequence) {
                index += 1
                continue
            }
            let table = cache.open(for: sequence.tokens, salt: sequence.request.cacheSalt)
            // Room for everything it has and the token it will choose: fewer would mean preempting it at once.
            let needed = Page.count(forTokens: sequence.count + 1) - table.pages.count
            guard needed + promisedPages <= cache.available || running.isEmpty else {
                cache.close(table)
                return
            }
            sequence.computed = table.sealed * Page.tokens
            sequence.table = consume table
            if sequence.noteAdmission(now) {
                // Once: what it finds after a preemption are its own pages.
                sequence.cachedTokens = sequence.computed
                prefixQueries += UInt64(sequence.request.prompt.count)
                prefixHits += UInt64(sequence.computed)
            }
            waiting.remove(at: index)
            Self.insert(sequence, into: &running)
            let chunk = min(sequence.missing, limits.stepTokens - plan.tokens.count)
            guard append(sequence, tokens: chunk, to: &plan) else { return }
        }
    }

    /// Pages that running prefills will still ask for.
    private var promisedPages: Int {
        running.reduce(0) { $0 + promised(to: $1) }
    }

    private func promised(to sequence: ScheduledSequence) -> Int {
        sequence.missing > 1 ? max(0, Page.count(forTokens: sequence.count + 1) - sequence.heldPages) : 0
    }

    /// True while the sequence whose prompt this one repeats is still computing that prompt.
    private func waitsForSibling(_ sequence: ScheduledSequence) -> Bool {
        guard let sibling = sequence.request.sibling, let other = byID[sibling] else { return false }
        return !other.prefilled
    }

    /// Adds the next `count` tokens of `sequence`; false, with nothing changed, when there are no pages for them.
    private mutating func append(_ sequence: ScheduledSequence, tokens count: Int, to plan: inout StepPlan) -> Bool {
        guard var table = sequence.table.take() else { preconditionFailure("\(sequence.id) runs without pages") }
        let fresh = cache.extend(&table, toHold: sequence.computed + count)
        let pages = table.pages
        sequence.table = consume table
        guard let fresh else { return false }
        plan.freshPages.append(contentsOf: fresh)
        let first = plan.tokens.count
        for index in sequence.computed..<(sequence.computed + count) { plan.tokens.append(sequence.token(at: index)) }
        plan.segments.append(
            PlannedSegment(
                sequence: sequence, rows: first..<plan.tokens.count, position: sequence.computed, pages: pages,
                samples: count == sequence.missing))
        return true
    }

    /// Takes the pages of `sequence` and puts it back in line; its tokens stay.
    private mutating func preempt(_ sequence: ScheduledSequence) {
        release(sequence)
        running.removeAll { $0 === sequence }
        enqueue(sequence)
        preemptions += 1
    }

    // MARK: Results

    /// Takes in what the step chose: `outcomes[i]` belongs to `plan.segments[i]` and is nil where it does not sample.
    ///
    /// - Returns: the tokens and endings to report, in the order of the plan.
    package mutating func complete(_ plan: StepPlan, outcomes: [SampleOutcome?], now: MonotonicInstant) -> StepReport {
        precondition(outcomes.count == plan.segments.count, "\(outcomes.count) outcomes for \(plan.segments.count) segments")
        var report = StepReport()
        for (segment, outcome) in zip(plan.segments, outcomes) {
            let sequence = segment.sequence
            let decoded = segment.rows.count == 1 && !sequence.generated.isEmpty
            if !decoded { prefillTokens += UInt64(segment.rows.count) }
            if case .failed(let reason) = outcome {
                // What such logits came from must not become somebody's prefix.
                if let table = sequence.table.take() { cache.discard(table) }
                end(sequence, .failed(reason), now: now)
                continue
            }
            advance(sequence, by: segment.rows.count)
            guard segment.samples else { continue }
            switch outcome {
            case .token(let token, let logprob, let alternatives):
                sequence.append(token, now: now)
                generatedTokens += 1
                report.tokens.append(
                    TokenEvent(sequence: sequence.id, token: token, logprob: logprob, alternatives: alternatives))
                if let reason = finish(sequence, after: token) { end(sequence, reason, now: now) }
            case .failed, nil: preconditionFailure("\(sequence.id) was to choose a token and did not")
            }
        }
        report.endings = takeEndings()
        report.load = load
        return report
    }

    /// Endings that have not been reported yet: refusals, cancels, late requests.
    package mutating func takeEndings() -> [SequenceEnding] {
        defer { endings.removeAll(keepingCapacity: true) }
        return endings
    }

    private mutating func advance(_ sequence: ScheduledSequence, by count: Int) {
        sequence.computed += count
        guard var table = sequence.table.take() else { preconditionFailure("\(sequence.id) was computed without pages") }
        cache.seal(&table, tokens: sequence.token(at:), computed: sequence.computed)
        sequence.table = consume table
    }

    private func finish(_ sequence: ScheduledSequence, after token: TokenID) -> FinishReason? {
        if sequence.request.sampling.stopTokens.contains(token) { return .stop(token) }
        if sequence.generated.count >= sequence.request.sampling.maxTokens { return .length }
        if sequence.count >= limits.sequenceTokens { return .length }
        return nil
    }

    private mutating func end(_ sequence: ScheduledSequence, _ reason: FinishReason, now: MonotonicInstant) {
        release(sequence)
        running.removeAll { $0 === sequence }
        waiting.removeAll { $0 === sequence }
        if byID[sequence.id] === sequence { byID[sequence.id] = nil }
        endings.append(
            SequenceEnding(
                sequence: sequence.id, reason: reason, promptTokens: sequence.request.prompt.count,
                cachedTokens: sequence.cachedTokens, generatedTokens: sequence.generated.count,
                timeline: sequence.timeline(until: now)))
    }

    private mutating func release(_ sequence: ScheduledSequence) {
        if let table = sequence.table.take() { cache.close(table) }
        sequence.computed = 0
    }

    private mutating func enqueue(_ sequence: ScheduledSequence) { Self.insert(sequence, into: &waiting) }

    private static func insert(_ sequence: ScheduledSequence, into queue: inout [ScheduledSequence]) {
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
        precondition(byID.count == running.count + waiting.count, "\(byID.count) known, \(running.count) running, \(waiting.count) waiting")
        for sequence in running { precondition(sequence.heldPages > 0 || sequence.computed == 0, "\(sequence.id) computed without pages") }
        for sequence in waiting { precondition(sequence.heldPages == 0 && sequence.computed == 0, "\(sequence.id) waits with pages") }
        if running.isEmpty { precondition(cache.held == 0, "\(cache.held) pages are held by nobody") }
    }
}

extension ScheduledSequence {
    var heldPages: Int { table?.pages.count ?? 0 }
}
