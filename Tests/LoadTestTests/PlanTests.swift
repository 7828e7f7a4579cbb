import TestSupport
import Testing

@testable import LoadTest

@Suite struct PlanTests {
    private func plan(
        seed: UInt64 = 1, arrivals: (inout ArrivalSettings) -> Void = { _ in }, _ change: (inout WorkloadSettings) -> Void
    ) throws -> [PlannedRequest] {
        var workload = WorkloadSettings()
        var times = ArrivalSettings()
        change(&workload)
        arrivals(&times)
        var plan = try Plan(workload, times, seed: seed)
        var requests: [PlannedRequest] = []
        while let request = plan.next() { requests.append(request) }
        if let count = plan.count { #expect(requests.count == count) }
        #expect(requests.map(\.number) == Array(requests.indices))
        return requests
    }

    private func text(_ request: PlannedRequest) -> String {
        switch request.prompt {
        case .text(let text): text
        case .tokens(let ids): ids.map { "\($0)" }.joined(separator: " ")
        case .chat(let messages): messages.map(\.text).joined(separator: "\n")
        }
    }

    private func words(_ request: PlannedRequest) -> [Substring] { text(request).split(separator: " ") }

    @Test func randomLengthsStayInTheirRange() throws {
        let requests = try plan {
            $0.numPrompts = 300
            $0.promptForm = .text
            $0.randomInputLen = 10
            $0.randomOutputLen = 20
            $0.randomRangeRatio = 0.25
        }
        // ⌊7.5⌋…⌈12.5⌉ and 15…25, each met.
        #expect(Set(requests.map { words($0).count }) == Set(7...13))
        #expect(Set(requests.map(\.maximumOutputTokens)) == Set(15...25))
        #expect(requests.allSatisfy { $0.expectedInputTokens == words($0).count && $0.due == .zero })
    }

    @Test func theSameSeedGivesTheSamePlanAndAnotherSeedAnother() throws {
        let change: (inout WorkloadSettings) -> Void = {
            $0.numPrompts = 5
            $0.randomRangeRatio = 0.5
            $0.troubles = [try! TroubleShare(parsing: "cancel:0.5:10-20ms")]
        }
        #expect(try plan(seed: 4, change) == plan(seed: 4, change))
        #expect(try plan(seed: 4, change).map(text) != plan(seed: 5, change).map(text))
    }

    @Test func normalLengthsHaveTheirMeanAndDeviation() throws {
        let requests = try plan {
            $0.numPrompts = 4000
            $0.promptForm = .tokens(100...200)
            $0.randomInputLen = 50
            $0.islStddev = 10
        }
        let lengths = requests.map { Double($0.expectedInputTokens!) }
        let mean = lengths.reduce(0, +) / 4000
        let deviation = (lengths.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 4000).squareRoot()
        #expect(abs(mean - 50) < 0.6)
        #expect(abs(deviation - 10) < 0.5)
        guard case .tokens(let ids) = requests[0].prompt else { return #expect(Bool(false), "token ids were asked for") }
        #expect(ids.count == requests[0].expectedInputTokens)
        #expect(ids.allSatisfy { (100...200).contains($0) })
    }

    @Test func tokensPerWordMakesFewerWords() throws {
        let requests = try plan {
            $0.numPrompts = 1
            $0.randomInputLen = 100
            $0.tokensPerWord = 1.25
        }
        #expect(words(requests[0]).count == 80)
        #expect(requests[0].expectedInputTokens == 100)
    }

    @Test func aSharedPrefixIsEqualAndTheRestIsNot() throws {
        let requests = try plan {
            $0.numPrompts = 60
            $0.datasetName = .prefixRepetition
            $0.prefixRepetitionNumPrefixes = 3
            $0.prefixRepetitionPrefixLen = 40
            $0.prefixRepetitionSuffixLen = 10
            $0.prefixRepetitionOutputLen = 7
        }
        #expect(Set(requests.map { words($0).prefix(40) }).count == 3)
        #expect(Set(requests.map { words($0).suffix(10) }).count == 60)
        #expect(requests.allSatisfy { words($0).count == 50 && $0.maximumOutputTokens == 7 })
        let common = try plan {
            $0.numPrompts = 5
            $0.randomPrefixLen = 30
            $0.randomInputLen = 10
        }
        #expect(Set(common.map { words($0).prefix(30) }).count == 1)
        #expect(common[0].expectedInputTokens == 40)
    }

    @Test func sessionsGoTurnByTurn() throws {
        let requests = try plan(arrivals: { $0.requestRate = 10 }) {
            $0.numPrompts = 50
            $0.turns = 2...4
            $0.thinkTime = .milliseconds(100) ... .milliseconds(200)
        }
        let sessions = Dictionary(grouping: requests, by: \.session)
        for (session, turns) in sessions {
            #expect(turns.map(\.turn) == Array(turns.indices))
            #expect(turns[0].due != nil && turns[0].thinkTime == .zero)
            #expect(
                turns.dropFirst().allSatisfy { $0.due == nil && $0.thinkTime >= .milliseconds(100) && $0.thinkTime <= .milliseconds(200) })
            if session != sessions.count - 1 { #expect((2...4).contains(turns.count)) }
        }
        #expect(Set(sessions.values.map(\.count)).isSuperset(of: [2, 3, 4]))
        // As many first turns a second as asked for, exactly.
        #expect(requests.compactMap(\.due).max() == .milliseconds(100 * sessions.count))
    }

    @Test func warmupsComeFirstAndShareNothing() throws {
        let requests = try plan(arrivals: { $0.requestRate = 5 }) {
            $0.numPrompts = 2
            $0.numWarmups = 3
            $0.randomInputLen = 20
            $0.randomPrefixLen = 10
            $0.troubles = [try! TroubleShare(parsing: "vanish:1:5ms")]
        }
        #expect(requests.map(\.isWarmup) == [true, true, true, false, false])
        #expect(requests.prefix(3).allSatisfy { $0.due == nil && $0.trouble == nil && words($0).count == 30 })
        #expect(Set(requests.map { words($0).prefix(10) }).count == 4)
        #expect(requests.last?.due == .milliseconds(400))
        #expect(requests.last?.trouble == .vanish(after: .milliseconds(5)))
    }

    @Test func warmupsChangeNothingOfWhatIsMeasured() throws {
        let change: (inout WorkloadSettings) -> Void = {
            $0.numPrompts = 30
            $0.randomInputLen = 5
            $0.images.share = 0.5
            $0.images.sizes = [.init(width: 4, height: 4)]
            $0.deadline = .seconds(1) ... .seconds(2)
            $0.troubles = [try! TroubleShare(parsing: "cancel:0.5:10-20ms")]
        }
        let cold = try plan(change)
        var warm = try plan {
            change(&$0)
            $0.numWarmups = 7
        }.filter { !$0.isWarmup }
        for index in warm.indices { warm[index].number -= 7 }
        #expect(warm == cold)
    }

    @Test func troublesHaveTheirShares() throws {
        let requests = try plan {
            $0.numPrompts = 4000
            $0.randomInputLen = 1
            $0.troubles = [
                try! TroubleShare(parsing: "cancel:0.1:200-2000ms"), try! TroubleShare(parsing: "slow:0.2:1000"),
                try! TroubleShare(parsing: "stop:0.05:0-10ms"),
            ]
        }
        var counts = [0, 0, 0, 0]
        for request in requests {
            switch request.trouble {
            case .cancel(let delay):
                counts[0] += 1
                #expect(delay >= .milliseconds(200) && delay <= .milliseconds(2000))
            case .readSlowly(let rate):
                counts[1] += 1
                #expect(rate == 1000)
            case .stopReading: counts[2] += 1
            case .vanish: counts[3] += 1
            case nil: break
            }
        }
        #expect(abs(counts[0] - 400) < 60 && abs(counts[1] - 800) < 80 && abs(counts[2] - 200) < 45 && counts[3] == 0, "\(counts)")
    }

    @Test func deadlinesAreDrawnFromTheirRange() throws {
        let requests = try plan {
            $0.numPrompts = 20
            $0.deadline = .seconds(1) ... .seconds(2)
        }
        #expect(requests.allSatisfy { $0.deadline! >= .seconds(1) && $0.deadline! <= .seconds(2) })
        #expect(Set(requests.map(\.deadline)).count == 20)
    }

    @Test func picturesComeInTheirShareAndNoTwoAreAlike() throws {
        let requests = try plan {
            $0.numPrompts = 200
            $0.randomInputLen = 2
            $0.images.share = 0.25
            $0.images.perRequest = 1...3
            $0.images.sizes = [.init(width: 9, height: 5), .init(width: 16, height: 16)]
        }
        let pictures = requests.map { request -> [String] in
            guard case .chat(let messages) = request.prompt else { return [] }
            return messages.flatMap(\.images)
        }
        #expect(abs(pictures.count { !$0.isEmpty } - 50) < 20)
        #expect(Set(pictures.map(\.count)) == [0, 1, 2, 3])
        let all = pictures.flatMap { $0 }
        #expect(Set(all).count == all.count)
        #expect(all.allSatisfy { $0.hasPrefix("data:image/png;base64,iVBORw0KGgo") })
    }

    @Test func impossibleSettingsAreNamed() {
        let wrong: [((inout WorkloadSettings) -> Void, String)] = [
            ({ $0.numPrompts = 0 }, "--num-prompts is 0, 1 or more was expected"),
            ({ $0.randomRangeRatio = 1 }, "--random-range-ratio is 1.0, 0 or more and below 1 was expected"),
            ({ $0.datasetName = .mooncake }, "--dataset-path is missing, --dataset-name mooncake asks for it"),
            ({ $0.datasetPath = "x" }, "--dataset-path is x, but --dataset-name random reads no file"),
            (
                {
                    $0.promptForm = .text
                    $0.turns = 1...2
                }, "sessions and pictures ask for the chat endpoint"
            ),
            ({ $0.images.sizes = [.init(width: 0, height: 4)] }, "a picture's size is 0x4, 1 to 8192 each way was expected"),
        ]
        for (change, message) in wrong {
            #expect(throws: PlanError(message)) { _ = try plan(change) }
        }
        #expect(throws: PlanError("--self-timed asks for timestamps, and --dataset-name random has none")) {
            _ = try plan(arrivals: { $0.selfTimed = true }) { _ in }
        }
        for text in ["cancel:2:5ms", "cancel:0.5", "jump:0.5:5ms", "cancel:0.5:20-10ms", "slow:0.1:-3", "stop:0.1:xms"] {
            #expect(throws: PlanError.self) { _ = try TroubleShare(parsing: text) }
        }
    }

    @Test(arguments: [
        ("200", 200, 200), ("200ms", 200, 200), ("200-2000ms", 200, 2000), ("15s", 15_000, 15_000), ("0.5-3s", 500, 3000), ("0", 0, 0),
    ])
    func `delays are milliseconds unless they say seconds`(text: String, low: Int, high: Int) throws {
        #expect(try DelayRange.parse(text, setting: "x") == .milliseconds(low) ... .milliseconds(high))
    }

    @Test(arguments: ["", "s", "ms", "-1s", "2-1s", "1-2-3s", "x", "3601s", "1e99"])
    func `delays that are none are refused by name`(text: String) {
        #expect { try DelayRange.parse(text, setting: "--deadline") } throws: { "\($0)".contains("--deadline") }
    }
}
