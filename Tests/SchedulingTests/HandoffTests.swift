import Inference
import KVCache
import Platform
import Scheduling
import TestSupport
import Testing
import Wire

/// Two halves of a hand-off, each by transcript: what the scheduler asks for, and what becomes of pages and tokens.
@Suite struct HandoffTests {
    private static let source = WorkerAddress(worker: "p", incarnation: 1, endpoint: "p:1")

    private static func transfer(_ number: UInt64) -> TransferID { TransferID(high: 7, low: number) }

    /// What `Rig` does for sequences that have no transfers, with them.
    private struct Stage: ~Copyable {
        var scheduler: Scheduler
        var now = MonotonicInstant(nanoseconds: 0)
        var steps: [HandoffStep] = []
        var events: [TokenEvent] = []
        var endings: [SequenceID: SequenceEnding] = [:]
        var began: [SequenceID] = []

        init(pages: Int, stepTokens: Int = 128, running: Int = 64, exports: Int = 64, imports: Int = 64) {
            scheduler = Scheduler(
                limits: SchedulerLimits(
                    stepTokens: stepTokens, runningSequences: running, sequenceTokens: pages * Page.tokens, exports: exports, imports: imports),
                cache: PageCache(pages: pages, model: "m"))
        }

        mutating func start(
            _ id: UInt64, prompt: Int, generate: Int, seed: TokenID = 0, priority: Int = 0, deadline: UInt64? = nil, emitted: [TokenID] = [],
            stop: Set<TokenID> = [], _ handoff: Handoff = .none
        ) {
            var sampling = SamplingParameters()
            sampling.maxTokens = generate
            sampling.stopTokens = stop
            scheduler.start(
                SequenceRequest(
                    id: SequenceID(id), prompt: HandoffTests.prompt(prompt, seed), sampling: sampling, priority: priority,
                    deadline: deadline.map(MonotonicInstant.init(nanoseconds:)), emitted: emitted, handoff: handoff), now: now)
        }

        @discardableResult mutating func step() -> StepPlan {
            now.nanoseconds += 1
            let plan = scheduler.plan(now: now)
            began += plan.began
            steps += scheduler.takeHandoffSteps()
            scheduler.checkInvariants()
            let outcomes = plan.segments.map { segment -> SampleOutcome? in
                guard segment.samples else { return nil }
                let all = (0..<segment.sequence.count).map(segment.sequence.token(at:))
                return .token(HandoffTests.next(after: all), logprob: nil, alternatives: [])
            }
            take(scheduler.complete(plan, outcomes: outcomes, now: now))
            steps += scheduler.takeHandoffSteps()
            scheduler.checkInvariants()
            return plan
        }

        mutating func take(_ report: StepReport) {
            events += report.tokens
            for ending in report.endings {
                #expect(endings[ending.sequence] == nil, "\(ending.sequence) ended twice")
                endings[ending.sequence] = ending
            }
        }

        mutating func news(_ news: TransferNews) {
            scheduler.take(news, now: now)
            scheduler.checkInvariants()
        }

        /// Steps until nothing is computed any more.
        mutating func settle() {
            var left = 10_000
            while left > 0, !step().isEmpty { left -= 1 }
            #expect(left > 0, "no end")
        }

        func tokens(_ id: UInt64) -> [TokenID] { events.filter { $0.sequence == SequenceID(id) }.map(\.token) }
        func reason(_ id: UInt64) -> FinishReason? { endings[SequenceID(id)]?.reason }
        var free: Int { scheduler.load.pagesAvailable }
    }

    private static func prompt(_ count: Int, _ seed: TokenID = 0) -> [TokenID] { (0..<TokenID(count)).map { $0 + seed * 1000 } }

    private static func next(after tokens: [TokenID]) -> TokenID { TokenID(truncatingIfNeeded: Digest(of: tokens.span).low & 0xFFFF) }

    private static func answer(_ prompt: [TokenID], _ count: Int) -> [TokenID] {
        var all = prompt
        for _ in 0..<count { all.append(next(after: all)) }
        return Array(all[prompt.count...])
    }

    // MARK: Replay

    @Test(arguments: [1, 2, 7, 39]) func aReplayGoesOnWhereTheFirstAttemptStopped(known: Int) {
        let answer = Self.answer(Self.prompt(150), 40)
        var stage = Stage(pages: 8, stepTokens: 50)
        stage.start(1, prompt: 150, generate: 40, emitted: Array(answer[..<known]))
        stage.settle()
        #expect(stage.events.map(\.index) == Array(known..<40))
        #expect(stage.tokens(1) == Array(answer[known...]))
        #expect(stage.endings[SequenceID(1)]?.generatedTokens == 40)
        #expect(stage.reason(1) == .length)
        #expect(stage.free == 8)
    }

    @Test func aReplayOfWhatWasOverIsOver() {
        var stage = Stage(pages: 4)
        stage.start(1, prompt: 10, generate: 3, emitted: [1, 2, 3])
        stage.start(2, prompt: 10, generate: 30, emitted: [1, 2, 3], stop: [3])
        stage.start(3, prompt: 200, generate: 300, emitted: Array(repeating: 1, count: 57))
        stage.step()
        #expect(stage.reason(1) == .length && stage.reason(2) == .stop(3))
        #expect(
            stage.reason(3) == .failed("the prompt has 200 and 57 generated tokens, this worker holds 256 of prompt and answer together"))
        #expect(stage.events.isEmpty)
    }

    // MARK: Sending

    @Test func anExportTakesItsPagesAtOnceAndKeepsThemUntilReleased() {
        let transfer = Self.transfer(1)
        var stage = Stage(pages: 8, stepTokens: 100)
        stage.start(1, prompt: 250, generate: 5, .send(transfer))
        let first = stage.step()
        #expect(stage.began == [SequenceID(1)])
        #expect(first.freshPages.count == 4)
        #expect(stage.steps == [.open(transfer, pages: first.segments[0].pages, known: 0, tokens: 250)])
        #expect(stage.scheduler.load.exports == 1 && stage.scheduler.load.pendingPrefill == 150)
        stage.step()
        #expect(stage.step().segments.map(\.samples) == [true])
        let answer = Self.answer(Self.prompt(250), 1)
        #expect(stage.tokens(1) == answer && stage.reason(1) == .handedOff)
        #expect(stage.steps.last == .finish(transfer, chosen: answer[0]))
        #expect(stage.step().isEmpty)
        #expect(stage.free == 4 && stage.scheduler.load.exports == 1)
        let isIdle = stage.scheduler.isIdle
        #expect(!isIdle)
        stage.news(.released(transfer))
        stage.news(.released(transfer))
        stage.news(.expired(transfer))
        stage.step()
        #expect(stage.steps.last == .withdraw(transfer, untold: false) && stage.steps.count == 3)
        #expect(stage.free == 8 && stage.scheduler.load.exports == 0)
        #expect(stage.began == [SequenceID(1)])
    }

    @Test func anExportThatItsFirstTokenEndsIsOrdinary() {
        let transfer = Self.transfer(1)
        var stage = Stage(pages: 8)
        stage.start(1, prompt: 100, generate: 1, .send(transfer))
        stage.start(2, prompt: 90, generate: 9, seed: 1, stop: Set(Self.answer(Self.prompt(90, 1), 1)), .send(Self.transfer(2)))
        stage.settle()
        #expect(stage.reason(1) == .length && stage.reason(2) == .stop(Self.answer(Self.prompt(90, 1), 1)[0]))
        #expect(stage.steps.contains(.withdraw(transfer, untold: true)))
        #expect(stage.free == 8)
        let isIdle = stage.scheduler.isIdle
        #expect(isIdle)
    }

    @Test func anExportIsNeverPreemptedAndOthersWaitForItsPages() {
        var stage = Stage(pages: 8, stepTokens: 64)
        stage.start(1, prompt: 10, generate: 200)
        stage.step()
        stage.start(2, prompt: 300, generate: 5, seed: 1, priority: 5, .send(Self.transfer(2)))
        stage.step()
        // Neither what is urgent nor who decodes gets them.
        stage.start(3, prompt: 200, generate: 100, seed: 2, priority: -1)
        stage.settle()
        #expect(stage.reason(2) == .handedOff && stage.reason(1) == nil && stage.reason(3) == nil)
        #expect(stage.free == 3)
        stage.news(.expired(Self.transfer(2)))
        stage.settle()
        #expect(stage.tokens(1) == Self.answer(Self.prompt(10), 200))
        #expect(stage.tokens(2) == Self.answer(Self.prompt(300, 1), 1))
        #expect(stage.tokens(3) == Self.answer(Self.prompt(200, 2), 100))
        #expect(stage.free == 8)
    }

    @Test func moreOffersThanAgreedWaitAndOthersPassThem() {
        var stage = Stage(pages: 16, stepTokens: 512, exports: 1)
        stage.start(1, prompt: 10, generate: 5, .send(Self.transfer(1)))
        stage.start(2, prompt: 10, generate: 5, seed: 1, .send(Self.transfer(2)))
        stage.start(3, prompt: 10, generate: 5, seed: 2)
        #expect(stage.step().segments.map(\.sequence.id.value) == [1, 3])
        stage.settle()
        #expect(stage.reason(2) == nil && stage.reason(3) == .length)
        stage.news(.released(Self.transfer(1)))
        stage.settle()
        #expect(stage.reason(2) == .handedOff)
        stage.news(.released(Self.transfer(2)))
        stage.step()
        #expect(stage.free == 16)
    }

    @Test func anOfferNobodyWantsEndsWithoutALease() {
        let transfer = Self.transfer(1)
        var stage = Stage(pages: 8, stepTokens: 64)
        stage.start(1, prompt: 250, generate: 5, .send(transfer))
        stage.step()
        stage.news(.expired(transfer))
        stage.settle()
        #expect(stage.reason(1) == .handedOff && stage.tokens(1) == Self.answer(Self.prompt(250), 1))
        #expect(stage.free == 8)
        let isIdle = stage.scheduler.isIdle
        #expect(isIdle)
    }

    @Test func aTransferInUseIsRefusedByName() {
        let transfer = Self.transfer(1)
        var stage = Stage(pages: 8)
        stage.start(1, prompt: 10, generate: 5, .send(transfer))
        stage.start(2, prompt: 10, generate: 5, .send(transfer))
        stage.start(3, prompt: 10, generate: 5, .receive(transfer, from: Self.source))
        stage.start(4, prompt: 10, generate: 5, .receive(transfer, from: Self.source))
        stage.step()
        #expect(stage.reason(2) == .failed("the transfer \(transfer) is being sent for another sequence"))
        #expect(stage.reason(4) == .failed("the transfer \(transfer) is being received for another sequence"))
        #expect(stage.reason(1) == .handedOff && stage.reason(3) == nil)
        stage.scheduler.endAll(.cancelled, now: stage.now)
        #expect(stage.free == 8)
    }

    // MARK: Receiving

    @Test func whatArrivesIsDecodedFromThere() {
        let transfer = Self.transfer(1)
        let answer = Self.answer(Self.prompt(200), 6)
        var stage = Stage(pages: 8)
        stage.start(1, prompt: 200, generate: 6, .receive(transfer, from: Self.source))
        #expect(stage.step().isEmpty)
        #expect(stage.steps.first == .announce(transfer, from: Self.source))
        guard case .fetch(transfer, from: Self.source, pages: let pages, known: 0, tokens: 200)? = stage.steps.last else {
            Issue.record("\(stage.steps)")
            return
        }
        #expect(pages.count == 4 && stage.free == 4 && stage.scheduler.load.imports == 1)
        #expect(stage.step().isEmpty)
        var summary = TransferSummary()
        summary.blocks = 9
        stage.news(.arrived(transfer, token: answer[0], summary))
        stage.news(.arrived(transfer, token: 3, summary))
        stage.news(.failed(transfer, "too late"))
        let plan = stage.step()
        #expect(plan.segments.map(\.rows.count) == [1] && plan.segments[0].position == 200 && plan.freshPages.isEmpty)
        stage.settle()
        #expect(stage.events.map(\.index) == [1, 2, 3, 4, 5])
        #expect(stage.tokens(1) == Array(answer[1...]))
        #expect(stage.endings[SequenceID(1)]?.generatedTokens == 6)
        #expect(stage.endings[SequenceID(1)]?.transfer?.blocks == 9)
        // Its pages are a prefix for others now.
        stage.start(2, prompt: 200, generate: 6, .receive(Self.transfer(2), from: Self.source))
        stage.step()
        guard case .fetch(_, from: _, pages: let more, known: 192, tokens: 200)? = stage.steps.last else {
            Issue.record("\(stage.steps)")
            return
        }
        #expect(Array(more[..<3]) == Array(pages[..<3]))
        stage.news(.arrived(Self.transfer(2), token: answer[0], summary))
        stage.settle()
        #expect(stage.endings[SequenceID(2)]?.transfer?.cachedTokens == 192)
        #expect(stage.tokens(2) == Array(answer[1...]) && stage.free == 8)
    }

    @Test func whatFailsIsComputedHere() {
        let answer = Self.answer(Self.prompt(200), 6)
        for isReserved in [false, true] {
            var stage = Stage(pages: 8, imports: 1)
            stage.start(1, prompt: 200, generate: 6, .receive(Self.transfer(1), from: Self.source))
            if isReserved { stage.step() }
            stage.news(.failed(Self.transfer(1), "gone"))
            stage.news(.failed(Self.transfer(1), "gone"))
            stage.settle()
            #expect(stage.events.map(\.index) == Array(0..<6) && stage.tokens(1) == answer)
            #expect(stage.endings[SequenceID(1)]?.transfer == nil && stage.free == 8)
        }
    }

    @Test func importsBeyondTheLimitWaitAndUnknownNewsIsIgnored() {
        var stage = Stage(pages: 16, imports: 1)
        stage.start(1, prompt: 100, generate: 2, .receive(Self.transfer(1), from: Self.source))
        stage.start(2, prompt: 100, generate: 2, seed: 1, .receive(Self.transfer(2), from: Self.source))
        stage.step()
        // Nobody asked for it yet.
        stage.news(.arrived(Self.transfer(2), token: 1, TransferSummary()))
        stage.news(.arrived(Self.transfer(9), token: 1, TransferSummary()))
        stage.news(.released(Self.transfer(1)))
        stage.step()
        #expect(stage.steps.count == 3 && stage.free == 14)
        stage.news(.arrived(Self.transfer(1), token: Self.answer(Self.prompt(100), 1)[0], TransferSummary()))
        stage.settle()
        #expect(stage.steps.count == 4 && stage.reason(1) == .length)
        stage.scheduler.cancel(SequenceID(2), now: stage.now)
        stage.step()
        #expect(stage.steps.last == .abandon(Self.transfer(2)) && stage.free == 16)
    }

    // MARK: Ends

    enum Phase: CaseIterable { case waiting, prefilling, leased, announced, receiving, decoding, late }

    @Test(arguments: Phase.allCases) func aCancelFreesEverythingWithinAStep(phase: Phase) {
        let transfer = Self.transfer(1)
        var stage = Stage(pages: 8, stepTokens: 64, running: phase == .waiting || phase == .announced ? 1 : 8)
        let isSent = phase == .waiting || phase == .prefilling || phase == .leased
        if phase == .waiting || phase == .announced { stage.start(9, prompt: 10, generate: 100, seed: 5) }
        stage.step()
        stage.start(
            1, prompt: 200, generate: 50, deadline: phase == .late ? 3 : nil, isSent ? .send(transfer) : .receive(transfer, from: Self.source))
        stage.step()
        if phase == .leased { stage.settle() }
        if phase == .decoding { stage.news(.arrived(transfer, token: 4, TransferSummary())) }
        if phase == .decoding { stage.step() }
        for id in phase == .late ? [] : [1, 9, 1] as [UInt64] { stage.scheduler.cancel(SequenceID(id), now: stage.now) }
        stage.step()
        #expect(stage.free == 8)
        #expect(stage.reason(1) == (phase == .leased ? .handedOff : phase == .late ? .deadlineExceeded : .cancelled))
        let isIdle = stage.scheduler.isIdle
        #expect(isIdle)
        switch phase {
        case .waiting: #expect(stage.steps.isEmpty)
        case .prefilling, .leased: #expect(stage.steps.last == .withdraw(transfer, untold: true))
        case .announced, .receiving, .late: #expect(stage.steps.last == .abandon(transfer))
        case .decoding: #expect(stage.steps.count == 2)
        }
    }

    @Test func arbitraryTrafficLosesNothing() {
        var random = SeededGenerator(seed: 1871)
        for round in 0..<40 {
            let pages = Int.random(in: 6...24, using: &random)
            var stage = Stage(
                pages: pages, stepTokens: Int.random(in: 8...200, using: &random), running: Int.random(in: 2...12, using: &random),
                exports: Int.random(in: 1...4, using: &random), imports: Int.random(in: 1...4, using: &random))
            var wanted: [UInt64: (prompt: [TokenID], generate: Int, known: Int)] = [:]
            var open: Set<UInt64> = []
            for id in 0..<24 as Range<UInt64> {
                let (count, generate, seed) = (Int.random(in: 1...200, using: &random), Int.random(in: 2...40, using: &random), TokenID(id % 5))
                let answer = Self.answer(Self.prompt(count, seed), generate)
                let known = Bool.random(using: &random) ? 0 : Int.random(in: 0..<generate - 1, using: &random)
                let handoff: Handoff =
                    switch id % 3 {
                    case 0: .none
                    case 1: .send(Self.transfer(id))
                    default: .receive(Self.transfer(id), from: Self.source)
                    }
                wanted[id] = (Self.prompt(count, seed), generate, known)
                stage.start(
                    id, prompt: count, generate: generate, seed: seed, priority: Int.random(in: 0...2, using: &random),
                    emitted: Array(answer[..<known]), handoff)
                if Bool.random(using: &random) { stage.step() }
            }
            for _ in 0..<20_000 {
                let plan = stage.step()
                let isIdle = stage.scheduler.isIdle
                if isIdle { break }
                for step in stage.steps {
                    switch step {
                    case .fetch(let transfer, _, _, _, _), .finish(let transfer, _): open.insert(transfer.low)
                    // Before it is computed.
                    case .open(let transfer, _, _, _, _) where Int.random(in: 0..<4, using: &random) == 0: stage.news(.expired(transfer))
                    default: break
                    }
                }
                stage.steps = []
                guard plan.isEmpty || Int.random(in: 0..<20, using: &random) == 0, let id = open.sorted().first, let want = wanted[id] else { continue }
                open.remove(id)
                if id % 3 == 1 {
                    stage.news(Bool.random(using: &random) ? .released(Self.transfer(id)) : .expired(Self.transfer(id)))
                } else if Bool.random(using: &random) {
                    stage.news(.failed(Self.transfer(id), "chance"))
                } else {
                    stage.news(.arrived(Self.transfer(id), token: Self.answer(want.prompt, want.known + 1)[want.known], TransferSummary()))
                }
            }
            #expect(stage.endings.count == 24 && stage.free == pages, "round \(round)")
            for (id, want) in wanted {
                let answer = Self.answer(want.prompt, want.generate)
                let events = stage.events.filter { $0.sequence == SequenceID(id) }
                for event in events { #expect(answer[event.index] == event.token) }
                let indices = events.map(\.index)
                if id % 3 == 1 {
                    #expect(indices == [want.known])
                } else {
                    #expect(indices == Array(want.known..<want.generate) || (id % 3 == 2 && indices == Array((want.known + 1)..<want.generate)))
                }
            }
        }
    }
}
