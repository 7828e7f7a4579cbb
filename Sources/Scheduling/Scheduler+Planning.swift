internal import Inference
internal import KVCache
package import Platform
internal import Wire

extension Scheduler {
    /// The next step. Empty when nothing can be computed now.
    package mutating func plan(now: MonotonicInstant) -> StepPlan {
        endLate(now: now)
        var plan = StepPlan()
        makeRoomForUrgent()
        let preemptedBefore = preemptions
        planDecodes(&plan)
        planPrefills(&plan)
        // A step that had to take pages from somebody admits nobody new, unless there would be no step.
        if preemptions == preemptedBefore || plan.isEmpty { admit(&plan, now: now) }
        return plan
    }

    private mutating func endLate(now: MonotonicInstant) {
        for sequence in running + receiving + waiting {
            if let deadline = sequence.request.deadline, deadline <= now { end(sequence, .deadlineExceeded, now: now) }
        }
    }

    /// Takes pages and places from running sequences of strictly worse priority when the first in line cannot be admitted otherwise.
    /// Never from equals, however late they came: two sequences could take turns in preempting each other.
    private mutating func makeRoomForUrgent() {
        guard let urgent = waiting.first(where: { isEligible($0) }) else { return }
        let victims = running.reversed().prefix { $0.request.priority > urgent.request.priority }.filter(\.isPreemptable)
        guard !victims.isEmpty else { return }
        // Without regard to prefixes it may find: rather one victim too many than a search of the cache in every step.
        let needed = Page.count(forTokens: urgent.room)
        let staying = promisedPages - victims.reduce(0) { $0 + promised(to: $1) }
        guard needed + staying <= cache.available + victims.reduce(0, { $0 + $1.heldPages }) else { return }
        for victim in victims where needed + promisedPages > cache.available || !hasPlace { preempt(victim) }
    }

    /// One token for each sequence that is past its prefill, best-ranked first; pages are taken from the worst-ranked.
    private mutating func planDecodes(_ plan: inout StepPlan) {
        var index = 0
        while index < running.count, plan.tokens.count < limits.stepTokens {
            let sequence = running[index]
            index += 1
            guard sequence.missing == 1 else { continue }
            while !append(sequence, tokens: 1, to: &plan) {
                // At the latest itself: an export has its pages.
                guard let victim = running.last(where: \.isPreemptable) else { preconditionFailure("\(sequence.id) lacks pages it took") }
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
                // Where there is none, exports may follow, which have their pages.
                guard let victim = running.last(where: { $0.missing > 1 && $0.isPreemptable }), victim !== sequence else { break }
                preempt(victim)
            }
        }
    }

    /// Waiting sequences, best-ranked first, while budget, places and pages for their whole prompt last.
    private mutating func admit(_ plan: inout StepPlan, now: MonotonicInstant) {
        var index = 0
        while index < waiting.count, hasPlace {
            let sequence = waiting[index]
            guard isEligible(sequence) else {
                index += 1
                continue
            }
            // What is received costs no step.
            guard sequence.intake != nil || plan.tokens.count < limits.stepTokens else { return }
            let table = cache.open(for: sequence.tokens, salt: sequence.request.prefixSalt)
            let needed = Page.count(forTokens: sequence.room) - table.pages.count
            guard needed + promisedPages <= cache.available else {
                cache.close(table)
                return
            }
            sequence.computed = table.sealed * Page.tokens
            sequence.table = consume table
            waiting.remove(at: index)
            note(admissionOf: sequence, &plan, now: now)
            guard sequence.intake == nil else {
                reserve(sequence)
                continue
            }
            Self.insert(sequence, into: &running)
            openOffer(of: sequence, &plan)
            let chunk = min(sequence.missing, limits.stepTokens - plan.tokens.count)
            guard append(sequence, tokens: chunk, to: &plan) else { return }
        }
    }

    private mutating func note(admissionOf sequence: ScheduledSequence, _ plan: inout StepPlan, now: MonotonicInstant) {
        // Once: what it finds after a preemption are its own pages.
        guard sequence.noteAdmission(now) else { return }
        sequence.cachedTokens = min(sequence.computed, sequence.request.prompt.count)
        prefixQueries += UInt64(sequence.request.prompt.count)
        prefixHits += UInt64(sequence.cachedTokens)
        if sequence.isExport { plan.began.append(sequence.id) }
    }

    private var hasPlace: Bool { running.count + receiving.count < limits.runningSequences }

    private func isEligible(_ sequence: ScheduledSequence) -> Bool {
        if sequence.isExport, offers >= limits.exports { return false }
        if sequence.intake != nil, receiving.count >= limits.imports { return false }
        return !waitsForSibling(sequence)
    }

    /// Pages that running prefills, and what is received, will still ask for.
    private var promisedPages: Int {
        running.reduce(0) { $0 + promised(to: $1) } + receiving.reduce(0) { $0 + lacking($1) }
    }

    private func promised(to sequence: ScheduledSequence) -> Int { sequence.missing > 1 ? lacking(sequence) : 0 }

    private func lacking(_ sequence: ScheduledSequence) -> Int { max(0, Page.count(forTokens: sequence.room) - sequence.heldPages) }

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
}
