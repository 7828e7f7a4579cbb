import Inference
import KVCache
import Platform
import Scheduling
import TestSupport
import Testing
import Wire

/// A scheduler with a stand-in for the model: the next token is a hash of all tokens before it, so any loss, doubling or
/// reordering of tokens changes every later one.
private struct Rig: ~Copyable {
    var scheduler: Scheduler
    var now = MonotonicInstant(nanoseconds: 0)
    var outputs: [SequenceID: [TokenID]] = [:]
    var endings: [SequenceID: SequenceEnding] = [:]
    var steps = 0
    var largestStep = 0

    init(pages: Int, stepTokens: Int = 128, running: Int = 64, waiting: Int = 1000, sequenceTokens: Int? = nil) {
        scheduler = Scheduler(
            limits: SchedulerLimits(
                stepTokens: stepTokens, runningSequences: running, waitingSequences: waiting,
                sequenceTokens: sequenceTokens ?? pages * Page.tokens),
            cache: PageCache(pages: pages, model: "m"))
    }

    static func next(after tokens: [TokenID]) -> TokenID {
        TokenID(truncatingIfNeeded: Digest(of: tokens.span).low & 0xFFFF)
    }

    static func answer(to prompt: [TokenID], count: Int) -> [TokenID] {
        var all = prompt
        for _ in 0..<count { all.append(next(after: all)) }
        return Array(all[prompt.count...])
    }

    mutating func start(
        _ id: UInt64, prompt: Int, generate: Int, priority: Int = 0, seed: TokenID = 0, deadline: UInt64? = nil,
        sibling: UInt64? = nil, stop: Set<TokenID> = []
    ) {
        var sampling = SamplingParameters()
        sampling.maxTokens = generate
        sampling.stopTokens = stop
        scheduler.start(
            SequenceRequest(
                id: SequenceID(id), prompt: Rig.prompt(prompt, seed: seed), sampling: sampling, priority: priority,
                deadline: deadline.map(MonotonicInstant.init(nanoseconds:)), sibling: sibling.map { SequenceID($0) }),
            now: now)
    }

    static func prompt(_ count: Int, seed: TokenID = 0) -> [TokenID] { (0..<TokenID(count)).map { $0 + seed * 1000 } }

    @discardableResult mutating func step() -> StepPlan {
        now.nanoseconds += 1
        let plan = scheduler.plan(now: now)
        largestStep = max(largestStep, plan.tokens.count)
        let outcomes = plan.segments.map { segment -> SampleOutcome? in
            guard segment.samples else { return nil }
            let all = (0..<segment.sequence.count).map(segment.sequence.token(at:))
            return .token(Rig.next(after: all), logprob: nil, alternatives: [])
        }
        let report = scheduler.complete(plan, outcomes: outcomes, now: now)
        for event in report.tokens { outputs[event.sequence, default: []].append(event.token) }
        for ending in report.endings {
            #expect(endings[ending.sequence] == nil, "\(ending.sequence) ended twice")
            endings[ending.sequence] = ending
        }
        scheduler.checkInvariants()
        steps += 1
        return plan
    }

    mutating func runUntilIdle(limit: Int = 10_000) {
        while !scheduler.isIdle, steps < limit { step() }
        let idle = scheduler.isIdle
        #expect(idle, "no end after \(steps) steps")
    }
}

@Suite struct SchedulerTests {
    @Test func aPromptIsPrefilledInChunksAndThenDecodedTokenByToken() {
        var rig = Rig(pages: 16, stepTokens: 100)
        rig.start(1, prompt: 250, generate: 3)
        let chunks = (0..<5).map { _ in rig.step().segments.map { ($0.position, $0.rows.count, $0.samples) } }
        #expect(chunks.map { $0.map(\.0) } == [[0], [100], [200], [250], [251]])
        #expect(chunks.map { $0.map(\.1) } == [[100], [100], [50], [1], [1]])
        #expect(chunks.map { $0.map(\.2) } == [[false], [false], [true], [true], [true]])
        #expect(rig.endings[SequenceID(1)]?.reason == .length)
        #expect(rig.outputs[SequenceID(1)] == Rig.answer(to: Rig.prompt(250), count: 3))
        let idle = rig.scheduler.isIdle
        #expect(idle)
    }

    @Test func decodingSequencesGoOnWhileALongPromptIsPrefilled() {
        var rig = Rig(pages: 64, stepTokens: 64)
        rig.start(1, prompt: 10, generate: 50)
        rig.step()
        rig.start(2, prompt: 600, generate: 2, seed: 7)
        for _ in 0..<8 {
            let plan = rig.step()
            #expect(plan.segments.first?.sequence.id == SequenceID(1))
            #expect(plan.tokens.count == 64)
        }
        rig.runUntilIdle()
        #expect(rig.largestStep == 64)
    }

    @Test func tenTimesMoreThanFitsIsServedWithoutLosingAToken() {
        var rig = Rig(pages: 12, stepTokens: 96)
        for id in 0..<40 as Range<UInt64> { rig.start(id, prompt: 20 + Int(id) * 7, generate: 150, seed: TokenID(id)) }
        rig.runUntilIdle()
        #expect(rig.scheduler.load.preemptions > 0, "the test must cause preemption")
        for id in 0..<40 as Range<UInt64> {
            let prompt = Rig.prompt(20 + Int(id) * 7, seed: TokenID(id))
            #expect(rig.outputs[SequenceID(id)] == Rig.answer(to: prompt, count: 150))
            #expect(rig.endings[SequenceID(id)]?.reason == .length)
        }
        #expect(rig.scheduler.load.pagesAvailable == 12)
    }

    @Test func betterPriorityIsServedFirstAndPreemptedLast() {
        var rig = Rig(pages: 4, stepTokens: 512, running: 1)
        rig.start(1, prompt: 10, generate: 2, priority: 5)
        rig.start(2, prompt: 10, generate: 2, priority: 0, seed: 1)
        rig.start(3, prompt: 10, generate: 2, priority: 0, seed: 2)
        let order = (0..<6).map { _ in rig.step().segments.first?.sequence.id.value }
        #expect(order == [2, 2, 3, 3, 1, 1])
    }

    @Test func anUrgentArrivalTakesPagesFromTheLeastUrgent() {
        var rig = Rig(pages: 4, stepTokens: 512)
        rig.start(1, prompt: 60, generate: 150, priority: 3)
        rig.start(2, prompt: 120, generate: 100, priority: 5, seed: 1)
        rig.step()
        rig.start(3, prompt: 100, generate: 20, priority: 0, seed: 3)
        // Both pages of the least urgent are free for the first chunk of the urgent one; the middle one is not touched.
        #expect(rig.step().segments.map(\.sequence.id.value) == [1, 3])
        while rig.endings[SequenceID(3)] == nil { rig.step() }
        #expect(rig.endings.count == 1)
        rig.runUntilIdle()
        #expect(rig.outputs[SequenceID(1)] == Rig.answer(to: Rig.prompt(60), count: 150))
        #expect(rig.outputs[SequenceID(2)] == Rig.answer(to: Rig.prompt(120, seed: 1), count: 100))
        #expect(rig.outputs[SequenceID(3)] == Rig.answer(to: Rig.prompt(100, seed: 3), count: 20))
    }

    @Test func anUrgentArrivalTakesAPlaceButNotFromItsEquals() {
        var rig = Rig(pages: 16, running: 2)
        rig.start(1, prompt: 10, generate: 20, priority: 1)
        rig.start(2, prompt: 10, generate: 20, priority: 2, seed: 1)
        rig.step()
        rig.start(3, prompt: 10, generate: 5, priority: 1, seed: 2)
        #expect(rig.step().segments.map(\.sequence.id.value) == [1, 3])
        rig.start(4, prompt: 10, generate: 5, priority: 1, seed: 3)
        #expect(rig.step().segments.map(\.sequence.id.value) == [1, 3])
        rig.runUntilIdle()
        #expect(rig.scheduler.load.preemptions == 1)
    }

    @Test func prefixesAreCountedOnceAndNeverOnesOwn() {
        var rig = Rig(pages: 5, stepTokens: 16)
        for (id, prompt) in [(1, 56), (2, 10), (3, 170)] as [(UInt64, Int)] { rig.start(id, prompt: prompt, generate: 60, seed: TokenID(id)) }
        rig.runUntilIdle()
        #expect(rig.scheduler.load.preemptions > 0, "the test must cause preemption")
        #expect(rig.scheduler.load.prefixQueries == 236)
        #expect(rig.scheduler.load.prefixHits == 0)
        #expect(rig.endings.values.allSatisfy { $0.cachedTokens == 0 })
    }

    @Test func whatCannotFitAtAllIsRefusedWithItsSize() {
        var rig = Rig(pages: 4)
        rig.start(1, prompt: 256, generate: 1)
        rig.step()
        guard case .failed(let reason)? = rig.endings[SequenceID(1)]?.reason else {
            Issue.record("not refused")
            return
        }
        #expect(reason.contains("256 tokens"))
    }

    @Test func anAnswerMayFillTheMemoryToTheLastToken() {
        var rig = Rig(pages: 2)
        rig.start(1, prompt: 100, generate: 1000)
        rig.runUntilIdle()
        #expect(rig.endings[SequenceID(1)]?.reason == .length)
        #expect(rig.outputs[SequenceID(1)]?.count == 28)
    }

    @Test func aSiblingWaitsForThePromptAndSharesItsPages() {
        var rig = Rig(pages: 16, stepTokens: 512)
        rig.start(1, prompt: 200, generate: 4)
        rig.start(2, prompt: 200, generate: 4, sibling: 1)
        #expect(rig.step().segments.count == 1)
        let second = rig.step()
        #expect(second.segments.map(\.rows.count) == [1, 200 - 192])
        rig.runUntilIdle()
        #expect(rig.endings[SequenceID(2)]?.cachedTokens == 192)
        #expect(rig.outputs[SequenceID(1)] == rig.outputs[SequenceID(2)])
    }

    @Test func aSiblingOfACancelledSequenceStillRuns() {
        var rig = Rig(pages: 16)
        rig.start(1, prompt: 200, generate: 4)
        rig.start(2, prompt: 200, generate: 4, sibling: 1)
        rig.step()
        rig.scheduler.cancel(SequenceID(1), now: rig.now)
        rig.runUntilIdle()
        #expect(rig.endings[SequenceID(1)]?.reason == .cancelled)
        #expect(rig.endings[SequenceID(2)]?.reason == .length)
    }

    @Test func cancellingFreesThePagesAtOnceWhereverTheSequenceIs() {
        var rig = Rig(pages: 8, stepTokens: 64, running: 2)
        for id in 1...3 as ClosedRange<UInt64> { rig.start(id, prompt: 150, generate: 50, seed: TokenID(id)) }
        rig.step()
        for id in 1...3 as ClosedRange<UInt64> { rig.scheduler.cancel(SequenceID(id), now: rig.now) }
        rig.scheduler.cancel(SequenceID(99), now: rig.now)
        #expect(rig.scheduler.load.pagesAvailable == 8)
        #expect(rig.scheduler.takeEndings().map(\.reason) == [.cancelled, .cancelled, .cancelled])
        let idle = rig.scheduler.isIdle
        #expect(idle)
    }

    @Test func aPassedDeadlineEndsTheSequence() {
        var rig = Rig(pages: 8)
        rig.start(1, prompt: 10, generate: 1000, deadline: 5)
        rig.start(2, prompt: 10, generate: 3, seed: 1)
        rig.runUntilIdle()
        #expect(rig.endings[SequenceID(1)]?.reason == .deadlineExceeded)
        #expect(rig.outputs[SequenceID(1)]?.count == 4)
        #expect(rig.endings[SequenceID(2)]?.reason == .length)
    }

    @Test func aStopTokenEndsTheSequenceAndIsNamed() {
        let answer = Rig.answer(to: Rig.prompt(10), count: 5)
        var rig = Rig(pages: 8)
        rig.start(1, prompt: 10, generate: 50, stop: [answer[4]])
        rig.runUntilIdle()
        #expect(rig.outputs[SequenceID(1)] == answer)
        #expect(rig.endings[SequenceID(1)]?.reason == .stop(answer[4]))
    }

    @Test func failedLogitsEndOnlyTheirSequence() {
        var rig = Rig(pages: 8)
        rig.start(1, prompt: 10, generate: 5)
        rig.start(2, prompt: 10, generate: 5, seed: 1)
        let plan = rig.scheduler.plan(now: rig.now)
        let report = rig.scheduler.complete(
            plan, outcomes: [.failed("not a number"), .token(3, logprob: nil, alternatives: [])], now: rig.now)
        #expect(report.endings.map(\.reason) == [.failed("not a number")])
        rig.runUntilIdle()
        // Nobody finds what was computed there.
        rig.start(3, prompt: 100, generate: 1, seed: 4)
        let damaged = rig.scheduler.plan(now: rig.now)
        _ = rig.scheduler.complete(damaged, outcomes: [.failed("not a number")], now: rig.now)
        rig.start(4, prompt: 100, generate: 1, seed: 4)
        rig.runUntilIdle()
        #expect(rig.endings[SequenceID(4)]?.cachedTokens == 0)
        #expect(rig.endings[SequenceID(2)]?.reason == .length)
    }

    @Test func theWaitingLineIsBounded() {
        var rig = Rig(pages: 4, running: 1, waiting: 2)
        for id in 1...3 as ClosedRange<UInt64> { rig.start(id, prompt: 10, generate: 2, seed: TokenID(id)) }
        rig.step()
        #expect(rig.endings[SequenceID(3)]?.reason == .failed("2 sequences wait already"))
        rig.runUntilIdle()
    }

    @Test func arbitraryTrafficLosesNothing() {
        var random = SeededGenerator(seed: 20260)
        for _ in 0..<20 {
            var rig = Rig(pages: Int.random(in: 5...30, using: &random), stepTokens: Int.random(in: 8...300, using: &random))
            var expected: [UInt64: (prompt: Int, generate: Int, seed: TokenID)] = [:]
            var cancelled: Set<UInt64> = []
            for id in 0..<30 as Range<UInt64> {
                let prompt = Int.random(in: 1...250, using: &random)
                let generate = Int.random(in: 1...60, using: &random)
                let seed = TokenID.random(in: 0...3, using: &random)
                expected[id] = (prompt, generate, seed)
                rig.start(id, prompt: prompt, generate: generate, priority: Int.random(in: 0...2, using: &random), seed: seed)
                if Bool.random(using: &random) { rig.step() }
                if id % 7 == 6 {
                    rig.scheduler.cancel(SequenceID(id - 3), now: rig.now)
                    cancelled.insert(id - 3)
                }
            }
            rig.runUntilIdle()
            let room = rig.scheduler.limits.sequenceTokens
            for (id, want) in expected where !cancelled.contains(id) {
                let count = min(want.generate, room - want.prompt)
                #expect(rig.outputs[SequenceID(id)] == Rig.answer(to: Rig.prompt(want.prompt, seed: want.seed), count: count))
            }
            #expect(rig.endings.count == 30)
        }
    }
}
