import Testing

@testable import LoadTest

/// A plan from a list.
struct ListedRequests: RequestSource {
    var requests: [PlannedRequest]
    var count: Int? { requests.count }

    init(_ requests: [PlannedRequest]) { self.requests = requests.reversed() }

    mutating func next() -> PlannedRequest? { requests.popLast() }

    /// Due at these milliseconds.
    static func open(_ due: [Int]) -> ListedRequests {
        ListedRequests(due.enumerated().map { PlannedRequest(number: $0, due: .milliseconds($1), prompt: .text("x"), maximumOutputTokens: 1) })
    }

    static func closed(_ count: Int) -> ListedRequests {
        ListedRequests((0..<count).map { PlannedRequest(number: $0, prompt: .text("x"), maximumOutputTokens: 1) })
    }
}

/// What a pacer said, in short.
enum Said: Equatable {
    case send(Int, due: Int)
    case drop(Int, due: Int, Outcome)
    case begin
    case wait(Int)
    case waitForEnd
    case over(Pacer.Ending)
}

/// A pacer and the requests it has sent, driven by milliseconds.
struct PacerTranscript {
    var pacer: Pacer
    var sent: [Int: PlannedRequest] = [:]

    init(_ source: some RequestSource, _ change: (inout Pacer.Rules) -> Void = { _ in }) {
        var rules = Pacer.Rules()
        change(&rules)
        pacer = Pacer(source, rules)
    }

    /// Everything up to the first wait, at `time`.
    mutating func at(_ time: Int) -> [Said] {
        var said: [Said] = []
        while true {
            switch pacer.next(at: .milliseconds(time)) {
            case .send(let request, let due):
                sent[request.number] = request
                said.append(.send(request.number, due: due.wholeMilliseconds))
            case .drop(let record): said.append(.drop(record.number, due: record.due.wholeMilliseconds, record.outcome))
            case .begin: said.append(.begin)
            case .wait(let until): return said + [.wait(until.wholeMilliseconds)]
            case .waitForEnd: return said + [.waitForEnd]
            case .over(let ending): return said + [.over(ending)]
            }
        }
    }

    mutating func ended(_ number: Int, at time: Int, failed: Bool = false) throws {
        let request = try #require(sent[number])
        sent[number] = nil
        pacer.ended(request, at: .milliseconds(time), failed ? .failed(reason: "test") : .completed)
    }
}

extension Duration {
    var wholeMilliseconds: Int { Int(components.seconds) * 1000 + Int(components.attoseconds / 1_000_000_000_000_000) }
}

@Suite struct PacerTests {
    @Test func anOpenLoopSendsWhenDueWhateverTheServerDoes() {
        var run = PacerTranscript(.open([0, 10, 10, 25]))
        #expect(run.at(0) == [.begin, .send(0, due: 0), .wait(10)])
        #expect(run.at(9) == [.wait(10)])
        #expect(run.at(11) == [.send(1, due: 10), .send(2, due: 10), .wait(25)])
        #expect(run.at(25) == [.send(3, due: 25), .waitForEnd])
    }

    @Test func whoHasNoPlaceAtItsDueTimeWaitsAndIsStillDueThen() throws {
        var run = PacerTranscript(.open([0, 10, 20])) { $0.places = 1 }
        #expect(run.at(0) == [.begin, .send(0, due: 0), .waitForEnd])
        #expect(run.at(30) == [.waitForEnd])
        try run.ended(0, at: 50)
        #expect(run.at(50) == [.send(1, due: 10), .waitForEnd])
        try run.ended(1, at: 60)
        #expect(run.at(60) == [.send(2, due: 20), .waitForEnd])
    }

    @Test func aClosedLoopIsDueWhenAPlaceBecameFree() throws {
        var run = PacerTranscript(.closed(4)) { $0.places = 2 }
        #expect(run.at(0) == [.begin, .send(0, due: 0), .send(1, due: 0), .waitForEnd])
        try run.ended(1, at: 7)
        // The harness came a little late to it.
        #expect(run.at(9) == [.send(2, due: 7), .waitForEnd])
        try run.ended(0, at: 12)
        try run.ended(2, at: 13)
        #expect(run.at(13) == [.send(3, due: 12), .waitForEnd])
        try run.ended(3, at: 20)
        #expect(run.at(20) == [.over(.planDone)])
    }

    @Test func theMeasurementBeginsWhenTheWarmUpHasEndedAndDueTimesCountFromThen() throws {
        var warm = PlannedRequest(number: 0, prompt: .text("x"), maximumOutputTokens: 1)
        warm.isWarmup = true
        let measured = PlannedRequest(number: 1, due: .milliseconds(5), prompt: .text("x"), maximumOutputTokens: 1)
        var run = PacerTranscript(ListedRequests([warm, measured]))
        #expect(run.at(0) == [.send(0, due: 0), .waitForEnd])
        try run.ended(0, at: 100)
        #expect(run.at(100) == [.begin, .wait(105)])
        #expect(run.at(105) == [.send(1, due: 105), .waitForEnd])
    }

    private func session(_ turns: Int, think: Int) -> [PlannedRequest] {
        (0..<turns).map { turn in
            var request = PlannedRequest(number: turn, prompt: .text("x"), maximumOutputTokens: 1)
            request.session = 7
            request.turn = turn
            request.thinkTime = .milliseconds(think)
            return request
        }
    }

    @Test func aSessionsNextTurnIsDueItsThinkTimeAfterTheTurnBeforeEnded() throws {
        var run = PacerTranscript(ListedRequests(session(3, think: 30)))
        #expect(run.at(0) == [.begin, .send(0, due: 0), .waitForEnd])
        try run.ended(0, at: 10)
        #expect(run.at(10) == [.wait(40)])
        #expect(run.at(41) == [.send(1, due: 40), .waitForEnd])
        try run.ended(1, at: 50)
        #expect(run.at(90) == [.send(2, due: 80), .waitForEnd])
        try run.ended(2, at: 95)
        #expect(run.at(95) == [.over(.planDone)])
    }

    @Test func anotherSessionGoesWhileOneThinks() throws {
        var other = PlannedRequest(number: 3, prompt: .text("x"), maximumOutputTokens: 1)
        other.session = 8
        var run = PacerTranscript(ListedRequests(session(3, think: 30) + [other])) { $0.places = 1 }
        #expect(run.at(0) == [.begin, .send(0, due: 0), .waitForEnd])
        try run.ended(0, at: 10)
        #expect(run.at(10) == [.send(3, due: 10), .waitForEnd])
    }

    @Test func aTurnThatFailsEndsItsSession() throws {
        var run = PacerTranscript(ListedRequests(session(3, think: 30)))
        #expect(run.at(0) == [.begin, .send(0, due: 0), .waitForEnd])
        try run.ended(0, at: 10, failed: true)
        let reason = Outcome.failed(reason: "an earlier turn of its session failed")
        #expect(run.at(10) == [.drop(2, due: 10, reason), .drop(1, due: 10, reason), .over(.planDone)])
    }

    @Test func whatIsDueAfterTheDurationIsNotSentAndWhatWaitedIsUnfinished() throws {
        var run = PacerTranscript(.open([0, 10, 20, 300])) {
            $0.places = 1
            $0.duration = .milliseconds(100)
        }
        #expect(run.at(0) == [.begin, .send(0, due: 0), .waitForEnd])
        #expect(run.at(101) == [.drop(2, due: 20, .unfinished), .drop(1, due: 10, .unfinished), .over(.durationOver)])
        try run.ended(0, at: 110)
        #expect(run.at(111) == [.over(.durationOver)])
    }

    @Test func whoseDeadlinePassesBeforeItHasAPlaceIsLate() throws {
        var run = PacerTranscript(.open([0, 10, 60])) {
            $0.places = 1
            $0.deadline = .milliseconds(50)
        }
        #expect(run.at(0) == [.begin, .send(0, due: 0), .waitForEnd])
        try run.ended(0, at: 70)
        #expect(run.at(70) == [.drop(1, due: 10, .late), .send(2, due: 60), .waitForEnd])
    }

    @Test func theRunIsBoundedInRequestsAndErrors() throws {
        var run = PacerTranscript(.open([0, 0, 0, 0])) { $0.requests = 2 }
        #expect(run.at(0) == [.begin, .send(0, due: 0), .send(1, due: 0), .waitForEnd])
        var failing = PacerTranscript(.open([0, 0, 5, 5])) { $0.errors = 2 }
        #expect(failing.at(0) == [.begin, .send(0, due: 0), .send(1, due: 0), .wait(5)])
        try failing.ended(0, at: 1, failed: true)
        try failing.ended(1, at: 2, failed: true)
        #expect(failing.at(2) == [.over(.tooManyErrors)])
    }

    @Test func aStopLeavesWhatWasDueUnfinished() {
        var run = PacerTranscript(.open([0, 10, 500])) { $0.places = 1 }
        #expect(run.at(0) == [.begin, .send(0, due: 0), .waitForEnd])
        run.pacer.stop(at: .milliseconds(20))
        #expect(run.at(20) == [.drop(1, due: 10, .unfinished), .over(.stopped)])
    }

    /// The proof that nothing is omitted: a server that stands still for k intervals of an open loop is charged for all k requests.
    @Test func aStalledServerIsChargedForEveryRequestDueInTheStall() throws {
        let interval = 10, stall = 200...400
        let count = 60
        for places in [nil, 4] as [Int?] {
            var run = PacerTranscript(.open((0..<count).map { $0 * interval })) { $0.places = places }
            var records: [Int: RequestRecord] = [:]
            var answers: [(at: Int, number: Int)] = []
            var time = 0
            while records.count < count || !answers.isEmpty {
                for answer in answers where answer.at == time {
                    records[answer.number]?.ended = .milliseconds(time)
                    records[answer.number]?.content.append(at: .milliseconds(time), tokens: 1)
                    try run.ended(answer.number, at: time)
                }
                answers.removeAll { $0.at == time }
                for case .send(let number, let due) in run.at(time) {
                    records[number] = RequestRecord(number: number, due: .milliseconds(due), outcome: .completed)
                    // The server answers a millisecond after it has read a request; in the stall it reads nothing.
                    answers.append((at: (stall.contains(time) ? stall.upperBound : time) + 1, number: number))
                }
                time += 1
            }
            for number in 0..<count {
                let due = number * interval
                let remaining = stall.contains(due) ? stall.upperBound - due : 0
                let first = try #require(records[number]?.content.first).wholeMilliseconds
                #expect(records[number]?.due == .milliseconds(due), "request \(number), places \(places ?? 0)")
                #expect(first - due >= remaining + 1, "request \(number), places \(places ?? 0)")
                if places == nil { #expect(first - due == remaining + 1) }
            }
        }
    }
}

extension RequestSource where Self == ListedRequests {
    static func open(_ due: [Int]) -> ListedRequests { ListedRequests.open(due) }
    static func closed(_ count: Int) -> ListedRequests { ListedRequests.closed(count) }
}
