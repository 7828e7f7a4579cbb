import Inference
import Platform
import Routing
import TestSupport
import Testing
import Wire

@Suite struct DispatcherTests {
    private func request(_ id: UInt64, prompt: Int = 200, generate: Int = 20, sibling: UInt64? = nil, salt: UInt64 = 0) -> SequenceRequest {
        var sampling = SamplingParameters()
        sampling.maxTokens = generate
        let tokens = (0..<TokenID(prompt)).map { $0 &* 31 &+ TokenID(truncatingIfNeeded: id + salt) }
        return SequenceRequest(id: SequenceID(id), prompt: tokens, sampling: sampling, sibling: sibling.map { SequenceID($0) })
    }

    private func expectAnswer(_ fleet: SimulatedFleet, _ request: SequenceRequest) {
        let endings = fleet.endings[request.id] ?? []
        #expect(endings.count == 1 && endings.first?.reason == .length, "\(request.id): \(endings)")
        #expect(fleet.tokens[request.id] == SimulatedFleet.answer(to: request.prompt, count: request.sampling.maxTokens))
        #expect(endings.first?.generatedTokens == request.sampling.maxTokens)
    }

    @Test func aLongPromptIsPrefilledOnOneWorkerAndDecodedOnAnother() throws {
        var fleet = SimulatedFleet(seed: 1)
        try fleet.join("d", .decode)
        try fleet.join("p", .prefill)
        try fleet.start([request(1)])
        fleet.run(steps: 10_000)
        expectAnswer(fleet, request(1))
        let service = try #require(fleet.endings[SequenceID(1)]?.first?.service)
        #expect(service.prefillWorker == "p" && service.decodeWorker == "d" && service.attempts == 1)
        #expect(fleet.isQuiet && fleet.dispatcher.totals.placedSplit == 1)
    }

    @Test func aShortPromptSkipsTheHopWhereNobodyHasToWaitForIt() throws {
        var fleet = SimulatedFleet(seed: 1)
        try fleet.join("d", .decode)
        try fleet.join("p", .prefill)
        try fleet.start([request(1, prompt: 40)])
        fleet.run(steps: 10_000)
        expectAnswer(fleet, request(1, prompt: 40))
        #expect(fleet.dispatcher.totals.placedWhole == 1 && fleet.dispatcher.totals.placedSplit == 0)
    }

    @Test func workersToWhichEachOthersBytesMeanSomethingElseHandNothingOver() throws {
        var fleet = SimulatedFleet(seed: 1)
        try fleet.join("d", .decode, fingerprint: 1)
        try fleet.join("p", .prefill, fingerprint: 2)
        try fleet.start([request(1)])
        fleet.run(steps: 10_000)
        expectAnswer(fleet, request(1))
        #expect(fleet.dispatcher.totals.placedSplit == 0)
        try fleet.join("e", .decode, fingerprint: 2)
        try fleet.start([request(2)])
        fleet.run(steps: 10_000)
        #expect(fleet.endings[SequenceID(2)]?.first?.service?.decodeWorker == "e")
    }

    @Test func choicesOfOnePromptStayTogether() throws {
        var fleet = SimulatedFleet(seed: 1)
        for name in ["d1", "d2"] { try fleet.join(name, .decode) }
        try fleet.join("p", .prefill)
        try fleet.start([request(1), request(2, sibling: 1), request(3, sibling: 1)])
        fleet.run(steps: 10_000)
        let workers = (1...3).compactMap { fleet.endings[SequenceID($0)]?.first?.service?.decodeWorker }
        #expect(Set(workers).count == 1 && workers.count == 3)
    }

    @Test func withoutWorkersNothingIsTaken() throws {
        var fleet = SimulatedFleet(seed: 1)
        #expect(throws: WireError.closed) { try fleet.start([request(1)]) }
        try fleet.join("w", [.prefill, .decode])
        let known = fleet.dispatcher.fleet.setDraining(true, "w")
        #expect(known)
        #expect(throws: WireError.closed) { try fleet.start([request(1)]) }
    }

    @Test func theOnlyWorkerOfAKindMayBeLost() throws {
        for victim in ["p", "d"] {
            var fleet = SimulatedFleet(seed: 3)
            try fleet.join("d", .decode)
            try fleet.join("p", .prefill)
            try fleet.start([request(1)])
            fleet.run(steps: 12)
            fleet.kill(victim)
            fleet.run(steps: 10_000)
            expectAnswer(fleet, request(1))
            #expect(fleet.isQuiet)
        }
    }

    @Test func aFrozenWorkerIsFoundOutByTheClock() throws {
        var fleet = SimulatedFleet(seed: 3)
        try fleet.join("d", .decode)
        try fleet.join("p", .prefill)
        try fleet.start([request(1)])
        fleet.run(steps: 30)
        fleet.freeze("d")
        fleet.run(steps: 1000)
        #expect(fleet.endings.isEmpty)
        fleet.advance(.seconds(2))
        #expect(fleet.dispatcher.fleet.members["d"]?.state == .suspect)
        fleet.advance(.seconds(3))
        fleet.run(steps: 10_000)
        expectAnswer(fleet, request(1))
        #expect(fleet.dispatcher.totals.replays == 1)
    }

    @Test func sequencesThatLoseAllWorkersWaitForNewOnes() throws {
        var fleet = SimulatedFleet(seed: 3)
        try fleet.join("w", [.prefill, .decode])
        try fleet.start([request(1)])
        fleet.run(steps: 15)
        fleet.kill("w")
        fleet.advance(.seconds(10))
        #expect(fleet.endings.isEmpty)
        try fleet.join("w", [.prefill, .decode])
        fleet.run(steps: 10_000)
        expectAnswer(fleet, request(1))
    }

    @Test func whatComesWhileTheOnlyWorkerIsStartedAgainWaitsForIt() throws {
        var fleet = SimulatedFleet(seed: 3)
        try fleet.join("w", [.prefill, .decode])
        fleet.kill("w")
        try fleet.start([request(1)])
        #expect(fleet.endings.isEmpty)
        fleet.advance(.seconds(5))
        #expect(throws: WireError.closed) { try fleet.start([request(2)]) }
        try fleet.join("w", [.prefill, .decode])
        fleet.run(steps: 10_000)
        expectAnswer(fleet, request(1))
    }

    @Test func andEndWithTheReasonWhenNoneComes() throws {
        var fleet = SimulatedFleet(seed: 3)
        try fleet.join("w", [.prefill, .decode])
        try fleet.start([request(1)])
        fleet.kill("w")
        fleet.advance(.seconds(31))
        #expect(fleet.endings[SequenceID(1)]?.first?.reason == .interrupted("worker w was lost: killed"))
        #expect(fleet.isQuiet)
    }

    @Test func attemptsAreCounted() throws {
        var fleet = SimulatedFleet(seed: 3)
        for number in 0..<4 {
            try fleet.join("w\(number)", [.prefill, .decode])
            if number == 0 { try fleet.start([request(1)]) }
            fleet.run(steps: 3)
            fleet.kill("w\(number)")
        }
        #expect(fleet.endings[SequenceID(1)]?.first?.reason == .interrupted("begun 4 times; the last time worker w3 was lost: killed"))
    }

    @Test func aWorkerThatDoesNotFitIsRefusedByName() throws {
        var fleet = Fleet(limits: FleetLimits())
        let now = MonotonicInstant(nanoseconds: 0)
        _ = try fleet.join(SimulatedFleet.registration("a"), roles: [.prefill, .decode], now: now)
        func refusal(_ change: (inout WorkerRegistration) -> Void) -> Fleet.Refusal? {
            var registration = SimulatedFleet.registration("b")
            change(&registration)
            do throws(Fleet.Refusal) { _ = try fleet.join(registration, roles: [.prefill, .decode], now: now) } catch { return error }
            return nil
        }
        #expect(refusal { $0.hello.modelDigest = "1" }?.reason == "worker b has the model 1, this fleet 0")
        #expect(refusal { $0.hello.dtype = "f32" }?.code == "fingerprint_mismatch")
        let otherDtype = refusal {
            $0.hello.dtype = "f32"
            // Which is that of the weights as they are computed with.
            $0.hello.modelDigest = "1"
        }
        #expect(otherDtype?.reason.contains("the dtype f32") == true)
        #expect(refusal { $0.hello.shape.layers = 2 }?.code == "fingerprint_mismatch")
        #expect(refusal { $0.tokenizerDigest = "u" }?.code == "fingerprint_mismatch")
        #expect(refusal { $0.pageTokens = 16 }?.reason == "worker b has tokens of a page: 16, this fleet 64")
        #expect(refusal { $0.version = 9 }?.code == "version_mismatch")
        #expect(refusal { $0.name = "a" }?.code == "name_in_use")
        #expect(refusal { _ in } == nil)
    }

    @Test func whatTheGatewayKnowsOfTheModelCountsFromTheFirstWorkerOn() throws {
        let now = MonotonicInstant(nanoseconds: 0)
        var fleet = Fleet(limits: FleetLimits(), standard: FleetStandard(tokenizerDigest: "own"))
        let stranger = SimulatedFleet.registration("a")
        let refusal = #expect(throws: Fleet.Refusal.self) { _ = try fleet.join(stranger, roles: .prefill, now: now) }
        #expect(refusal?.reason == "worker a has the tokenizer t, this fleet own")
        // What the first one brought is forgotten with the last one.
        var open = Fleet(limits: FleetLimits())
        _ = try open.join(stranger, roles: .prefill, now: now)
        let gone = open.remove("a")
        #expect(gone != nil)
        var other = SimulatedFleet.registration("b")
        other.hello.modelDigest = "1"
        _ = try open.join(other, roles: .prefill, now: now)
    }

    @Test func aLivelyWorkerWhoseEngineHangsIsGivenUp() throws {
        var fleet = Fleet(limits: FleetLimits())
        func pulse(_ seconds: UInt64, age: Duration, hasWork: Bool) -> [String] {
            let now = MonotonicInstant(nanoseconds: seconds * 1_000_000_000)
            let pulse = WorkerPulse(
                number: seconds, steps: 1, sinceProgress: age, hasWork: hasWork, load: WorkerLoad(), roles: .prefill, epoch: 1)
            fleet.pulse(pulse, from: "a", now: now)
            return fleet.tick(now: now).map(\.reason)
        }
        _ = try fleet.join(SimulatedFleet.registration("a"), roles: .prefill, now: MonotonicInstant(nanoseconds: 0))
        #expect(pulse(1, age: .seconds(29), hasWork: true) == [])
        #expect(pulse(2, age: .seconds(1000), hasWork: false) == [])
        #expect(pulse(3, age: .seconds(30), hasWork: true) == ["has work and finished no step for 30.0 s"])
    }

    @Test func aGatewayThatStoodStillBlamesNobody() throws {
        var fleet = Fleet(limits: FleetLimits())
        _ = try fleet.join(SimulatedFleet.registration("a"), roles: .prefill, now: MonotonicInstant(nanoseconds: 0))
        fleet.wasAway(.seconds(60))
        let lost = fleet.tick(now: MonotonicInstant(nanoseconds: 61_000_000_000))
        #expect(lost.isEmpty && fleet.members["a"]?.state == .ready)
        let later = fleet.tick(now: MonotonicInstant(nanoseconds: 65_000_000_000))
        #expect(later.map(\.name) == ["a"])
    }

    /// Everything at once, many times: kills, new workers, frozen ones, cancels, transfers that fail.
    @Test(arguments: 0..<60) func whateverHappensEveryAnswerIsWholeAndNothingIsLeft(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed &* 77 &+ 5)
        var limits = Dispatcher.Limits()
        limits.attempts = 1000
        var fleet = SimulatedFleet(seed: seed, limits: limits)
        fleet.transferFailures = Int.random(in: 0...40, using: &random)
        var next = 0
        func join(_ fleet: inout SimulatedFleet) throws {
            let roles: [WorkerRole] = [.prefill, .decode, [.prefill, .decode]]
            try fleet.join("w\(next)", roles[next % 3])
            next += 1
        }
        for _ in 0..<4 { try join(&fleet) }
        var requests: [SequenceRequest] = []
        var cancelled: Set<SequenceID> = []
        for round in 0..<300 {
            if requests.count < 60, !fleet.names.isEmpty, Int.random(in: 0..<3, using: &random) == 0 {
                let new = request(
                    UInt64(requests.count + 1), prompt: Int.random(in: 1...400, using: &random), generate: Int.random(in: 1...30, using: &random),
                    salt: seed)
                requests.append(new)
                try fleet.start([new])
            }
            fleet.run(steps: Int.random(in: 0...40, using: &random))
            switch Int.random(in: 0..<20, using: &random) {
            case 0: if let name = fleet.names.randomElement(using: &random) { fleet.kill(name) }
            case 1: if let name = fleet.names.randomElement(using: &random) { fleet.freeze(name) }
            case 2: fleet.advance(.seconds(1))
            case 3:
                if let victim = requests.randomElement(using: &random) {
                    if fleet.endings[victim.id] == nil { cancelled.insert(victim.id) }
                    fleet.cancel(victim.id)
                }
            default: break
            }
            if fleet.names.count < 4, round % 5 == 0 { try join(&fleet) }
        }
        for _ in 0..<10 { fleet.advance(.seconds(1)) }
        if fleet.names.isEmpty { try join(&fleet) }
        fleet.run(steps: 1_000_000)
        #expect(fleet.isQuiet)
        for request in requests {
            if cancelled.contains(request.id) {
                let answer = SimulatedFleet.answer(to: request.prompt, count: request.sampling.maxTokens)
                #expect(fleet.endings[request.id]?.count == 1)
                #expect(answer.starts(with: fleet.tokens[request.id] ?? []))
            } else {
                expectAnswer(fleet, request)
            }
        }
        #expect(fleet.dispatcher.totals.divergences == 0)
        #expect(fleet.dispatcher.load.waiting == 0)
    }
}
