import Gateway
import Platform
import Testing

private func instant(_ seconds: Double) -> MonotonicInstant { MonotonicInstant(nanoseconds: UInt64(seconds * 1e9)) }

private func bounds(_ sequences: Int, _ tokens: Int) -> AdmissionControl.Bounds {
    var bounds = AdmissionControl.Bounds()
    bounds.sequences = sequences
    bounds.queuedTokens = tokens
    return bounds
}

@Suite struct AdmissionTests {
    @Test("beyond either bound a request is refused, and admitted once others have left")
    func refuses() throws {
        var control = AdmissionControl(bounds(3, 100))
        try control.admit(sequences: 2, tokens: 60)
        #expect(throws: AdmissionControl.Refusal.self) { try control.admit(sequences: 2, tokens: 1) }
        #expect(throws: AdmissionControl.Refusal.self) { try control.admit(sequences: 1, tokens: 41) }
        try control.admit(sequences: 1, tokens: 40)
        #expect(control.refused == 2)
        control.leaveQueue(tokens: 60)
        control.release(sequences: 2)
        try control.admit(sequences: 2, tokens: 60)
        #expect(control.sequences == 3 && control.queuedTokens == 100)
    }

    @Test("one request larger than the bounds is served when it is alone")
    func alone() throws {
        var control = AdmissionControl(bounds(2, 10))
        try control.admit(sequences: 5, tokens: 1000)
        #expect(throws: AdmissionControl.Refusal.self) { try control.admit(sequences: 1, tokens: 0) }
        try control.adjust(from: (5, 1000), to: (6, 2000))
        #expect(control.queuedTokens == 2000)
    }

    @Test("the time to come back follows from the measured rate")
    func drainRate() throws {
        var control = AdmissionControl(bounds(1, 1000))
        try control.admit(sequences: 1, tokens: 0)
        func retryAfter(_ wanted: Int) -> Duration? {
            var copy = control
            do throws(AdmissionControl.Refusal) {
                try copy.admit(sequences: wanted, tokens: 0)
                return nil
            } catch { return error.retryAfter }
        }
        #expect(retryAfter(1) == .seconds(1))
        control.observe(completed: 0, prefilled: 0, at: instant(1))
        control.observe(completed: 20, prefilled: 0, at: instant(11))
        #expect(retryAfter(4) == .seconds(2))
        #expect(retryAfter(1) == .milliseconds(500))
        #expect(retryAfter(10_000) == .seconds(60))
    }

    @Test("old rates are forgotten")
    func forgets() {
        var rate = RateEstimator()
        rate.observe(0, at: instant(0))
        for second in 1...100 { rate.observe(10, at: instant(Double(second))) }
        #expect(abs(rate.rate! - 10) < 0.01)
        for second in 101...300 { rate.observe(1, at: instant(Double(second))) }
        #expect(abs(rate.rate! - 1) < 0.01)
    }

    @Test("a time without work says nothing of the rate", arguments: [60, 3600, 100_000])
    func idle(gap: Double) {
        var rate = RateEstimator()
        rate.skip(to: instant(0))
        for second in 1...100 { rate.observe(10, at: instant(Double(second))) }
        rate.skip(to: instant(100 + gap))
        #expect(abs(rate.rate! - 10) < 0.01)
        for second in 1...100 { rate.observe(30, at: instant(100 + gap + Double(second))) }
        #expect(abs(rate.rate! - 30) < 0.2)
        #expect(rate.time(for: 60) >= .milliseconds(1990) && rate.time(for: 60) <= .milliseconds(2020))
    }

    @Test("a long interval with work counts with its own rate, and is forgotten like any other")
    func longInterval() {
        var rate = RateEstimator()
        rate.skip(to: instant(0))
        rate.observe(7200, at: instant(3600))
        #expect(abs(rate.rate! - 2) < 0.01)
        for second in 1...100 { rate.observe(10, at: instant(3600 + Double(second))) }
        #expect(abs(rate.rate! - 10) < 0.1)
        // Many events at one moment are all counted.
        for _ in 0..<5 { rate.observe(10, at: instant(3701)) }
        #expect(rate.rate! > 11)
    }

    @Test("a permit gives everything back when it dies, whatever happened before")
    func permit() throws {
        let gate = AdmissionGate(bounds(4, 100))
        do {
            var permit = try gate.admit(sequences: 2, tokens: 50)
            #expect(gate.snapshot.sequences == 2 && gate.snapshot.queuedTokens == 50)
            try permit.settle(sequences: 3, tokens: 80)
            let refused = #expect(throws: AdmissionControl.Refusal.self) { _ = try gate.admit(sequences: 1, tokens: 30) }
            #expect(refused?.reason == "80 prompt tokens are waiting and at most 100 may")
            #expect(gate.snapshot.sequences == 3)
            permit.leaveQueue()
            permit.leaveQueue()
            #expect(gate.snapshot.queuedTokens == 0)
        }
        #expect(gate.snapshot.sequences == 0)
        do { _ = try gate.admit(sequences: 1, tokens: 7) }
        #expect(gate.snapshot.sequences == 0 && gate.snapshot.queuedTokens == 0)
    }
}

@Suite struct APIKeyTests {
    @Test("keys are read one a line or with commas, without comments")
    func parsing() throws {
        let keys = try APIKeys(APIKeys.texts(in: "# keys\nalpha, beta\n\n  gamma \r\n"))
        for key in ["alpha", "beta", "gamma"] { #expect(keys.contains(Array(key.utf8))) }
        for key in ["", "alph", "alphaa", "delta", "# keys", "alpha,", String(repeating: "a", count: 5000)] {
            #expect(!keys.contains(Array(key.utf8)), "\(key)")
        }
        #expect(APIKeys.texts(in: "\n#x").isEmpty)
    }

    @Test("a key that cannot be sent is refused by number, without repeating it")
    func invalid() {
        let error = #expect(throws: APIKeyError.self) { try APIKeys(["ok", "two words"]) }
        #expect(error?.number == 2)
        #expect(error?.description.contains("words") == false)
    }

    @Test(
        "a key is presented as a bearer or as x-api-key",
        arguments: [
            ("Bearer k", nil, "k"), ("bearer  k", nil, "k"), (nil, "k", "k"), ("Basic k", "x", "x"), ("Bearer k", "x", "k"), ("Basic k", nil, nil),
            ("Bearer", nil, nil), (nil, nil, nil),
        ] as [(String?, String?, String?)])
    func presented(authorization: String?, apiKey: String?, key: String?) {
        let presented = APIKeys.presented(authorization: authorization, apiKey: apiKey)
        #expect(presented.map { Array($0) } == key.map { Array($0.utf8) })
    }

    @Test("a request id is the client's own if it is harmless")
    func requestIDs() {
        #expect(RequestID.accept("abc-1") == "abc-1")
        for hostile in ["", "a b", "a\nb", "a\"b", String(repeating: "a", count: 129), "é"] {
            let id = RequestID.accept(hostile)
            #expect(id != hostile && id.utf8.count == 32)
        }
        #expect(RequestID.fresh() != RequestID.fresh())
    }
}
