import Testing

@testable import LoadTest

@Suite struct SweepTests {
    /// Runs a sweep against `server`, which says throughput, good share and growth for a rate.
    private func transcript(
        _ lowest: Double, _ highest: Double, _ change: (inout Sweep.Settings) -> Void = { _ in },
        server: (Double) -> (throughput: Double, good: Double, growth: Double)
    ) throws -> (rates: [Double], knee: Sweep.Knee?) {
        var settings = Sweep.Settings(lowest: lowest, highest: highest)
        change(&settings)
        var sweep = try Sweep(settings)
        var rates: [Double] = []
        while let rate = sweep.next {
            rates.append(rate)
            let seen = server(rate)
            sweep.add(.init(rate: rate, throughput: seen.throughput, goodShare: seen.good, queueGrowth: seen.growth))
        }
        return (rates, sweep.knee)
    }

    @Test func ratesDoubleUntilGoodputFallsAndThenCloseIn() throws {
        let (rates, knee) = try transcript(1, 100) { ($0, $0 <= 10 ? 1 : 0.5, 0) }
        // 8 is good and 16 is not; then the geometric middle of what is left.
        #expect(rates == [1, 2, 4, 8, 16, 11.3, 9.51, 10.4, 9.95])
        #expect(knee == .between(rate: 9.95, saturated: 10.4, .goodShare(0.5)))
        #expect(knee?.description == "9.95 req/s: at 10.4 only 50.0 % of the requests were good")
    }

    @Test func throughputThatGainsLittleIsSaturation() throws {
        let (_, knee) = try transcript(10, 1000) { (min($0, 100), 1, 0) }
        guard case .between(let rate, let saturated, .gain(let gain)) = knee else {
            return #expect(Bool(false), "\(String(describing: knee))")
        }
        #expect(rate >= 95 && rate <= 105 && saturated > rate && gain < 0.7)
    }

    @Test func aGrowingQueueIsSaturation() throws {
        let (rates, knee) = try transcript(4, 64, { $0.width = 0.5 }) { ($0, 1, $0 > 30 ? 0.25 : 0) }
        #expect(rates == [4, 8, 16, 32, 22.6])
        #expect(knee == .between(rate: 22.6, saturated: 32, .queueGrowth(0.25)))
    }

    @Test func theRangeMayHoldNoKnee() throws {
        let fast = try transcript(1, 6) { ($0, 1, 0) }
        #expect(fast.rates == [1, 2, 4, 6] && fast.knee == .above(rate: 6))
        let slow = try transcript(5, 50) { _ in (1, 0.2, 0) }
        #expect(slow.rates == [5] && slow.knee == .below(rate: 5, .goodShare(0.2)))
        #expect(slow.knee?.description == "below 5.00 req/s, the lowest rate tried: only 20.0 % of the requests were good")
    }

    @Test func aSweepIsWrittenDown() throws {
        var sweep = try Sweep(Sweep.Settings(lowest: 1, highest: 1))
        sweep.add(.init(rate: 1, throughput: 0.5, goodShare: 0.25, queueGrowth: 0))
        #expect(
            String(decoding: sweep.json, as: UTF8.self)
                == """
                {"steps":[{"rate":1.0,"throughput":0.5,"good_share":0.25,"queue_growth":0.0,"saturated":true,"reason":"only 25.0 % of the \
                requests were good"}],"knee":{"rate":null,"saturated_rate":1.0,"text":"below 1.00 req/s, the lowest rate tried: only 25.0 % of \
                the requests were good"}}
                """)
        #expect(sweep.text.hasPrefix("1.00 req/s: 0.50 completed, 25.0 % good, saturated: only 25.0 %"))
        #expect(sweep.text.hasSuffix("\nKnee: below 1.00 req/s, the lowest rate tried: only 25.0 % of the requests were good\n"))
    }

    @Test func theNumberOfStepsIsBounded() throws {
        #expect(try transcript(1, 1e6, { $0.mostSteps = 3 }) { ($0, 1, 0) }.rates == [1, 2, 4])
        #expect(throws: PlanError.self) { try Sweep(Sweep.Settings(lowest: 5, highest: 1)) }
    }

    /// One server that takes exactly 10 ms a request, one after the other: 100 requests a second.
    private func queue(rate: Double, count: Int = 3000) throws -> RunRecord {
        var settings = ArrivalSettings()
        settings.requestRate = rate
        var arrivals = try Arrivals(settings, count: count, seed: 5)
        var free = Duration.zero
        let requests = (0..<count).map { number in
            let due = arrivals.next()!
            free = max(free, due) + .milliseconds(10)
            var record = RequestRecord(number: number, due: due, outcome: .completed)
            record.sent = due
            record.content.append(at: free, tokens: 1)
            record.ended = free
            return record
        }
        var run = RunRecord()
        run.requests = requests
        run.ended = free
        return run
    }

    /// Mean time in an M/D/1 system by Pollaczek and Khinchine: service · (1 + ρ / (2 (1 − ρ))).
    @Test(arguments: [0.3, 0.7]) func theSyntheticQueueIsTheTextbooks(load: Double) throws {
        let mean = try #require(Figures(try queue(rate: 100 * load, count: 40_000)).spreads[.e2el]).mean
        let expected = 10 * (1 + load / (2 * (1 - load)))
        #expect(abs(mean / expected - 1) < 0.04, "\(mean), \(expected) by the book")
    }

    @Test func theKneeOfASyntheticQueueIsBelowItsCapacity() throws {
        var sweep = try Sweep(Sweep.Settings(lowest: 5, highest: 1000))
        while let rate = sweep.next {
            let record = try queue(rate: rate)
            let figures = Figures(record, objectives: try Objectives(parsing: ["ttft:100"]))
            sweep.add(Sweep.Observation(rate: rate, record, figures))
        }
        guard case .between(let rate, let saturated, _) = sweep.knee else { return #expect(Bool(false), "\(sweep.steps)") }
        #expect(rate > 80 && rate < 100 && saturated <= 105, "\(sweep.steps)")
    }

    @Test func aQueueGrowsOnlyAboveTheCapacity() throws {
        #expect(QueueGrowth.slope(try queue(rate: 50).requests) == 0)
        #expect(QueueGrowth.slope(try queue(rate: 90).requests) == 0)
        // 125/100 − 1.
        #expect(abs(QueueGrowth.slope(try queue(rate: 125).requests) - 0.25) < 0.02)
    }
}
