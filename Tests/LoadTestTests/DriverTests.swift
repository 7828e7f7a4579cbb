import Dispatch
import HTTP
import Platform
import Reactor
import Server
import Synchronization
import TestSupport
import Testing

@testable import LoadTest

@Suite(.timeLimit(.minutes(2))) struct DriverTests {
    @Test(arguments: WireVersion.allCases) func whatTheServerSentIsWhatIsRecordedAndNoEarlier(version: WireVersion) async throws {
        let service = try await FakeService { .answer(tokens: 3 + $0 % 4, every: .milliseconds(2)) }
        let record = try await service.run(.numbered(24, due: .zero, every: .milliseconds(1)), version)
        let logs = await service.fake.logs
        #expect(record.requests.count == 24)
        for request in record.requests {
            let log = try #require(logs[request.number])
            #expect(request.outcome == .completed)
            #expect(request.content.count == 3 + request.number % 4 && log.tokens.count == request.content.count)
            #expect(request.outputTokens == request.content.count && request.inputTokens == 3 && request.finishReason == "stop")
            #expect(request.due == record.began + .milliseconds(request.number))
            let sent = try #require(request.sent), head = try #require(request.head)
            #expect(request.due <= sent && service.instant(sent) <= log.arrived && log.arrived <= service.instant(head))
            for (mine, theirs) in zip(request.content.nanoseconds, log.tokens) { #expect(service.instant(.nanoseconds(mine)) >= theirs) }
            #expect(request.content.nanoseconds == request.content.nanoseconds.sorted())
        }
        #expect(!record.lagNanoseconds.isEmpty && record.lagNanoseconds.allSatisfy { $0 >= 0 })
        await service.end()
    }

    @Test(arguments: WireVersion.allCases) func wholeAnswersAreOneChunk(version: WireVersion) async throws {
        let service = try await FakeService { _ in .answer(tokens: 5) }
        let record = try await service.run(.numbered(3), version) { $0.body.streams = false }
        for request in record.requests {
            #expect(request.outcome == .completed && request.content.tokens == [5] && request.outputTokens == 5)
        }
        await service.end()
    }

    @Test(arguments: WireVersion.allCases) func refusedBrokenAndAbortedAnswersAreToldApart(version: WireVersion) async throws {
        let script: [Behaviour] = [
            .refuse(status: 429, code: "server_overloaded"), .breakOff(tokens: 2, code: "worker_lost"), .abort(tokens: 1), .answer(tokens: 1),
        ]
        let service = try await FakeService { script[$0] }
        let record = try await service.run(.numbered(4), version) { $0.rules.places = 1 }
        let requests = record.requests
        #expect(requests[0].outcome == .refused(code: "server_overloaded") && requests[0].status == 429)
        #expect(requests[1].outcome == .broken(code: "worker_lost") && requests[1].content.count == 2)
        if case .failed = requests[2].outcome {} else { Issue.record("aborted: \(requests[2].outcome)") }
        #expect(requests[3].outcome == .completed)
        await service.end()
    }

    @Test(arguments: WireVersion.allCases) func aServerThatIsNotThereIsAnOutcomeOfEachRequest(version: WireVersion) async throws {
        let service = try await FakeService { _ in .hold }
        // Its port was free a moment ago, and now nobody listens there.
        await service.server.drain(within: .zero)
        await service.serverReactor.shutdown()
        let record = try await service.run(.numbered(5), version) { $0.rules.places = 2 }
        #expect(record.requests.count == 5 && record.connectionsOpened == 0 && record.connectionsFailed > 0)
        for request in record.requests {
            guard case .failed(let reason) = request.outcome else {
                Issue.record("\(request.outcome)")
                continue
            }
            #expect(reason.contains("ECONNREFUSED") && request.sent == nil)
        }
        await service.reactor.shutdown()
    }

    @Test func aConnectionIsKeptForTheNextRequest() async throws {
        let service = try await FakeService { _ in .answer(tokens: 1) }
        let record = try await service.run(.numbered(10)) { $0.rules.places = 1 }
        #expect(record.connectionsOpened == 1 && record.requests.allSatisfy { $0.outcome == .completed && $0.connection == 0 })
        await service.end()
    }

    @Test func connectionsAreBoundedAndRequestsWaitForOne() async throws {
        let service = try await FakeService { _ in .answer(tokens: 2, every: .milliseconds(1)) }
        let record = try await service.run(.numbered(12)) { $0.connections = 3 }
        #expect(record.connectionsOpened == 3 && record.peakInFlight == 12)
        #expect(record.requests.allSatisfy { $0.outcome == .completed })
        await service.end()
    }

    @Test func streamsShareAConnectionUpToTheChosenNumber() async throws {
        let service = try await FakeService { _ in .holdUntil(40) }
        let record = try await service.run(.numbered(40), .http2) { $0.streamsPerConnection = 10 }
        #expect(record.connectionsOpened == 4 && record.peakInFlight == 40)
        #expect(Set(record.requests.map(\.connection)).count == 4)
        #expect(record.requests.allSatisfy { $0.outcome == .completed })
        await service.end()
    }

    /// More than the 100 that a client takes for granted before it has heard from the server.
    @Test func aConnectionCarriesAsManyStreamsAsTheServerAllows() async throws {
        let service = try await FakeService { _ in .holdUntil(120) }
        let record = try await service.run(.numbered(120), .http2) {
            $0.streamsPerConnection = 120
            $0.connections = 1
        }
        #expect(record.connectionsOpened == 1 && record.requests.allSatisfy { $0.outcome == .completed })
        await service.end()
    }

    @Test(arguments: WireVersion.allCases) func clientsThatCancelAndVanishAreGoneForTheServer(version: WireVersion) async throws {
        let service = try await FakeService { $0 < 2 ? .hang(tokens: 1) : .hold }
        let source = ListedRequests.numbered(4) { (request: inout PlannedRequest) in
            let delay = Duration.milliseconds(20)
            request.trouble = request.number % 2 == 0 ? .cancel(after: delay) : .vanish(after: delay)
        }
        // Each on a connection of its own: who vanishes takes the others with it.
        let record = try await service.run(source, version) { $0.streamsPerConnection = 1 }
        #expect(record.requests.allSatisfy { $0.outcome == .troubled })
        // Who was gone before the server read the request was never there.
        await service.noConnections()
        for log in await service.fake.logs.values {
            guard case .clientGone = log.end else {
                Issue.record("\(log)")
                continue
            }
        }
        await service.end()
    }

    @Test func whoVanishesOverHTTP2TakesTheOtherStreamsAlong() async throws {
        let service = try await FakeService { _ in .hold }
        let record = try await service.run(.numbered(3) { if $0.number == 1 { $0.trouble = .vanish(after: .milliseconds(2)) } }, .http2)
        #expect(record.requests.allSatisfy { $0.outcome == .troubled })
        await service.end()
    }

    @Test(arguments: WireVersion.allCases) func whoStopsReadingHoldsOnUntilTheDeadlineAndOthersGoOn(version: WireVersion) async throws {
        let service = try await FakeService { $0 == 0 ? .hang(tokens: 200) : .answer(tokens: 3) }
        let record = try await service.run(
            .numbered(6) { request in
                if request.number == 0 {
                    request.trouble = .stopReading(after: .zero)
                    request.deadline = .milliseconds(60)
                }
            }, version
        ) { $0.rules.places = 2 }
        #expect(record.requests[0].outcome == .troubled)
        #expect(try #require(record.requests[0].ended) >= record.requests[0].due + .milliseconds(60))
        #expect(record.requests.dropFirst().allSatisfy { $0.outcome == .completed })
        await service.end()
    }

    /// The server's stream has more than the window; a slow reader gets all of it in the end.
    @Test(arguments: WireVersion.allCases) func aSlowReaderReadsNoFasterThanItsPaceAndToTheEnd(version: WireVersion) async throws {
        let service = try await FakeService { _ in .answer(tokens: 400) }
        let record = try await service.run(.numbered(1) { $0.trouble = .readSlowly(bytesPerSecond: 400_000) }, version) { $0.streamWindow = 2048 }
        let request = record.requests[0]
        #expect(request.outcome == .completed && request.content.count == 400)
        if version == .http2 {
            // All but the windows must have been read at the pace.
            let least = Duration.nanoseconds(Int64(request.bodyBytes - 4096) * 1_000_000_000 / 400_000)
            #expect(try #require(request.ended) - #require(request.head) >= least)
        }
        await service.end()
    }

    @Test(arguments: WireVersion.allCases) func whoGetsNoAnswerGivesUpAtTheDeadline(version: WireVersion) async throws {
        let service = try await FakeService { _ in .hold }
        let record = try await service.run(.numbered(3), version) { $0.rules.deadline = .milliseconds(30) }
        await service.noConnections()
        for log in await service.fake.logs.values { #expect(log.end == .clientGone(.cancel)) }
        #expect(record.requests.allSatisfy { $0.outcome == .late && $0.ended.map { $0 >= .milliseconds(30) } ?? false })
        await service.end()
    }

    @Test func anAnswerBeyondTheLimitIsGivenUp() async throws {
        let service = try await FakeService { _ in .flood(bytes: 300_000) }
        let record = try await service.run(.numbered(2)) { $0.limits.answer = 100_000 }
        #expect(record.requests.allSatisfy { $0.outcome == .failed(reason: "the answer exceeds 100000 bytes") })
        await service.end()
    }

    @Test func atTheEndOfTheDurationWhatIsInFlightHasItsGrace() async throws {
        let service = try await FakeService { $0 == 0 ? .answer(tokens: 30, every: .milliseconds(2)) : .hold }
        let record = try await service.run(.numbered(2)) {
            $0.rules.duration = .milliseconds(20)
            $0.grace = .milliseconds(400)
        }
        #expect(record.requests[0].outcome == .completed)
        #expect(record.requests[1].outcome == .unfinished)
        #expect(try #require(record.requests[1].ended) >= .milliseconds(420))
        await service.end()
    }

    @Test func aSessionSendsTheConversationSoFar() async throws {
        let service = try await FakeService { _ in .answer(tokens: 2) }
        let record = try await service.run(
            .numbered(3) { request in
                request.session = 1
                request.turn = request.number
            })
        #expect(record.requests.allSatisfy { $0.outcome == .completed && $0.text.isEmpty })
        let logs = await service.fake.logs
        let last = try #require(logs[2]?.body["messages"]?.array)
        #expect(last.map { $0["content"]?.string } == ["0", "t0 t0 ", "1", "t1 t1 ", "2"])
        #expect(last.map { $0["role"]?.string } == ["user", "assistant", "user", "assistant", "user"])
        await service.end()
    }

    @Test func warmUpsAreMarkedAndTheMeasurementBeginsAfterThem() async throws {
        let service = try await FakeService { _ in .answer(tokens: 1) }
        let record = try await service.run(.numbered(4) { $0.isWarmup = $0.number < 2 })
        #expect(record.requests.map(\.isWarmup) == [true, true, false, false])
        for warm in record.requests[..<2] { #expect(try #require(warm.ended) <= record.began) }
        for measured in record.requests[2...] { #expect(measured.due >= record.began) }
        await service.end()
    }

    @Test func hooksRunAndMetricsAreReadBesideTheLoad() async throws {
        let service = try await FakeService { _ in .answer(tokens: 20, every: .milliseconds(5)) }
        let record = try await service.run(.numbered(1)) { settings in
            settings.metrics = try? Target(service.url + "/metrics")
            settings.hooks = [
                try? Hook(command: "0s:exit 3"), try? Hook(post: "1ms:\(service.url)/links:{\"rate\":1}"), try? Hook(command: "2ms:exec cat"),
            ].compactMap { $0 }
        }
        #expect(record.hooks.map(\.status) == [3, 200, nil])
        #expect(await service.fake.posts == ["{\"rate\":1}"])
        #expect(record.scrapes.first?.values == ["a_total": 5.5])
        await service.end()
    }

    @Test(arguments: WireVersion.allCases) func unixSocketsCarryBothVersions(version: WireVersion) async throws {
        let folder = ScratchFolder()
        let service = try await FakeService(on: "unix:\(folder.path)/s") { _ in .answer(tokens: 1) }
        let record = try await service.run(.numbered(2), version)
        #expect(record.requests.allSatisfy { $0.outcome == .completed })
        await service.end()
    }

    @Test(.enabled(if: Command.exists("openssl")), arguments: WireVersion.allCases)
    func tlsCarriesBothVersionsToServersThatAreTrusted(version: WireVersion) async throws {
        let folder = ScratchFolder()
        let (chain, key) = (folder.path + "/c.pem", folder.path + "/k.pem")
        let made = await Command.run("openssl", [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", chain,
        ])
        try #require(made.status == 0)
        let context = try TLSContext(server: TLSFiles(certificateChain: chain, privateKey: key), protocols: .http2OrHTTP1)
        let service = try await FakeService(tls: context) { _ in .answer(tokens: 2) }
        let url = "https://\(service.endpoint)"
        let protocols: ApplicationProtocols = version == .http2 ? .http2 : .http1
        for (tls, good) in [
            (try TLSContext(authorities: chain, protocols: protocols), true), (try TLSContext(protocols: protocols, verifies: false), true),
            (try TLSContext(protocols: protocols), false),
        ] {
            let record = try await service.run(.numbered(2), version, url: url) { $0.tls = tls }
            #expect(record.requests.allSatisfy { ($0.outcome == .completed) == good })
        }
        await service.end()
    }

    /// No coordinated omission over real sockets: the server stands still from the arrival of request 5 until the plan has come 35 requests further,
    /// and each of those is charged for the rest of the stall, though all of them were sent in it.
    @Test(arguments: WireVersion.allCases) func aStalledServerIsChargedForEveryRequestDueInTheStall(version: WireVersion) async throws {
        let stall = Stall(length: 35)
        let service = try await FakeService(whenArrived: { if $0 == 5 { stall.holdOn() } }) { _ in .answer(tokens: 2) }
        let record = try await service.run(StallingPlan(.numbered(1000, due: .zero, every: .milliseconds(2)), stall), version)
        let (first, end) = try #require(stall.over)
        for request in record.requests {
            #expect(request.outcome == .completed)
            guard request.number >= first, request.number < first + 35 else { continue }
            let waited = try #require(request.content.first) - request.due
            #expect(waited >= end.since(service.instant(request.due)), "request \(request.number)")
        }
        #expect(record.requests.count >= first + 35)
        await service.end()
    }
}

/// A server that stands still until the plan has come so many requests further.
final class Stall: Sendable {
    private struct State {
        var lastRead = -1
        /// The first request that is read in the stall.
        var first: Int?
        var end: MonotonicInstant?
    }

    private let state = Mutex(State())
    private let goOn = DispatchSemaphore(value: 0)
    private let length: Int

    init(length: Int) { self.length = length }

    /// On the server.
    func holdOn() {
        state.withLock { $0.first = $0.lastRead + 1 }
        goOn.wait()
        state.withLock { $0.end = SystemClock().now }
    }

    /// On the driver: a request is read from the plan.
    ///
    /// - Returns: whether it is still wanted.
    func read(_ number: Int) -> Bool {
        state.withLock { state in
            state.lastRead = number
            guard let first = state.first else { return true }
            // All of the stall have been handed on before the next one is read.
            if number == first + length { goOn.signal() }
            return number <= first + length
        }
    }

    var over: (first: Int, end: MonotonicInstant)? { state.withLock { state in state.first.flatMap { first in state.end.map { (first, $0) } } } }
}

struct StallingPlan: RequestSource {
    var source: ListedRequests
    let stall: Stall
    var count: Int? { nil }

    init(_ source: ListedRequests, _ stall: Stall) {
        self.source = source
        self.stall = stall
    }

    mutating func next() -> PlannedRequest? { source.next().flatMap { stall.read($0.number) ? $0 : nil } }
}

@Suite struct SmallPartsTests {
    @Test func targetsAreTakenApart() throws {
        let plain = try Target("http://127.0.0.1:8000/v1/")
        #expect(plain.endpoint == .tcp(host: "127.0.0.1", port: 8000) && plain.authority == "127.0.0.1:8000")
        #expect(plain.path("/v1/models") == "/v1/models" && plain.path("/tokenize") == "/v1/tokenize")
        #expect(try Target("http://localhost").path("") == "/" && Target("http://localhost/metrics").path("") == "/metrics")
        let secure = try Target("https://[::1]")
        #expect(secure.endpoint == .tcp(host: "::1", port: 443) && secure.isEncrypted)
        #expect(try Target("unix:/run/x.sock").endpoint == .unix(path: "/run/x.sock"))
        for wrong in ["127.0.0.1:80", "http://", "http://u@h", "ftp://h", "http://h:99999", "http://h/a b"] {
            #expect(throws: TargetError.self) { try Target(wrong) }
        }
    }

    @Test func hooksAreParsed() throws {
        let kill = try Hook(command: "1500ms:kill -9 1:2")
        #expect(kill.at == .milliseconds(1500) && kill.action == .command("kill -9 1:2"))
        let links = try Target("http://127.0.0.1:9090/links")
        let post = try Hook(post: "5s:http://127.0.0.1:9090/links:{\"a\":1}")
        #expect(post.at == .seconds(5) && post.action == .post(links, body: "{\"a\":1}"))
        #expect(try Hook(post: "5:http://127.0.0.1:9090/links").action == .post(links, body: ""))
        for wrong in ["5s", "5s:", "x:ls", "-1s:ls", "5d:ls"] { #expect(throws: HookError.self) { try Hook(command: wrong) } }
    }

    @Test func metricsAreSummedOverLabelsAndOtherLinesSkipped() {
        let text = """
            # TYPE a counter
            a{x="1",y="}\\""} 1
            a{x="2"} 2 1700000000
            b_sum 4.5e1
            b_bucket{x="1",le="1"} 7
            b_bucket{x="2",le="1"} 8
            b_bucket{x="1",le="+Inf"} 9
            b_bucket{x="le=1"} 9
            c{quantile="0.5"} 8
            d NaN
            e
            {x="1"} 2
            f{x="1 3
            """
        #expect(PrometheusReader.values(Array(text.utf8)) == ["a": 3, "b_sum": 45, "b_bucket{le=\"1\"}": 15, "b_bucket{le=\"+Inf\"}": 9])
    }

    @Test func aLongDelayIsAsManySamplesAsItCoversIntervals() {
        var samples = LagSamples()
        var probe = LagProbe(from: .zero, every: .milliseconds(1))
        probe.ran(at: .microseconds(1100), into: &samples)
        probe.ran(at: .microseconds(5000), into: &samples)
        #expect(samples.nanoseconds == [100_000, 3_000_000, 2_000_000, 1_000_000, 0])
        probe.ran(at: .microseconds(5900), into: &samples)
        #expect(samples.seen == 5)
    }

    @Test func samplesAreBounded() {
        var samples = LagSamples(limit: 100)
        for value in 0..<10_000 { samples.record(.nanoseconds(value)) }
        #expect(samples.nanoseconds.count == 100 && samples.seen == 10_000)
        // A fair choice has about half of its samples in the upper half.
        #expect((25...75).contains(samples.nanoseconds.filter { $0 >= 5000 }.count))
    }

    @Test func timesComeOutInOrder() {
        var queue = TimeQueue<Int>()
        var draw = SeededGenerator(seed: 1)
        for number in 0..<500 { queue.insert(number, at: .milliseconds(Int.random(in: 0..<50, using: &draw))) }
        var before: (time: Duration, element: Int)?
        while let next = queue.pop(by: .seconds(1)) {
            if let before { #expect((before.time, before.element) < next) }
            before = next
        }
        #expect(queue.isEmpty)
    }

    @Test func bodiesSayWhatTheRunWasAskedFor() throws {
        var request = PlannedRequest(number: 0, prompt: .chat([ChatMessage(role: "user", text: "see", images: ["data:x"])]), maximumOutputTokens: 9)
        var options = BodyOptions()
        options.asksFerry = true
        options.extra = JSONObject([(key: "max_tokens", value: 4), (key: "top_k", value: 1)])
        let chat = String(
            decoding: RequestBody.json(
                for: request, endpoint: .chat, model: "m", conversation: [ChatMessage(role: "assistant", text: "a\"b")], options: options), as: UTF8.self)
        #expect(
            chat == """
                {"model":"m","messages":[{"role":"assistant","content":"a\\"b"},{"role":"user","content":[{"type":"image_url","image_url":\
                {"url":"data:x"}},{"type":"text","text":"see"}]}],"stream":true,"stream_options":{"include_usage":true},"ferry":true,\
                "max_tokens":4,"top_k":1}
                """)
        request.prompt = .tokens([1, 2])
        options = BodyOptions()
        options.streams = false
        options.ignoresEnd = true
        options.temperature = 0
        let completion = String(decoding: RequestBody.json(for: request, endpoint: .completions, model: "m", options: options), as: UTF8.self)
        #expect(completion == #"{"model":"m","prompt":[1,2],"max_tokens":9,"temperature":0.0,"ignore_eos":true,"stream":false}"#)
    }
}
