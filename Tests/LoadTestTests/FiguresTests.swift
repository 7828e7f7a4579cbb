import Testing

@testable import LoadTest

@Suite struct FiguresTests {
    private func close(_ a: Double?, _ b: Double, _ tolerance: Double = 1e-9) -> Bool {
        a.map { abs($0 - b) <= tolerance * max(1, abs(b)) } ?? false
    }

    @Test func everyFigureOfASmallRunIsWhatAHandFinds() throws {
        let figures = Figures(Records.small)
        #expect(figures.duration == 2)
        #expect(figures.counts.measured == 5 && figures.counts.completed == 2 && figures.counts.troubled == 1)
        #expect(figures.counts.unsuccessful == 2)
        #expect(figures.counts.refusals == [Counts.Refusal(status: 429, code: "queue_full"): 1])
        #expect(figures.counts.failures == ["connection reset": 1])
        // Tokens: 4 as the server says, and 2 + 1 as the chunks say.
        #expect(figures.totals == Figures.Totals(inputTokens: 30, outputTokens: 7, cachedTokens: 3, deliveredTokens: 8, bodyBytes: 150))
        #expect(figures.requestThroughput == 1 && figures.outputThroughput == 3.5 && figures.totalTokenThroughput == 18.5)
        #expect(figures.requestGoodput == nil && figures.goodputShare == nil)

        func spread(_ measure: Measure) throws -> Spread { try #require(figures.spreads[measure]) }
        // From when they were due: 101 and 150; from when they were sent: 100 and 100.
        #expect(try close(spread(.ttft).mean, 125.5) && close(spread(.ttft)[99], 101 + 0.99 * 49))
        #expect(try close(spread(.ttft).deviation, 24.5))
        #expect(try spread(.ttftFromSending).least == 100 && spread(.ttftFromSending).most == 100)
        // 160, 250; the first answer's last chunk came before its end.
        #expect(try close(spread(.e2el).mean, 205))
        // (160 − 101) / 3 and (250 − 150) / 2.
        #expect(try close(spread(.tpot).least, 59.0 / 3, 1e-6) && close(spread(.tpot).most, 50))
        // Gaps 20, 30 and 100.
        #expect(try spread(.itl).count == 3 && close(spread(.itl).mean, 50) && close(spread(.itl).median, 30))
        #expect(try close(spread(.clientQueueTime).least, 1) && close(spread(.clientQueueTime).most, 50))
        // 20 ms; 0, since its first chunk had two tokens.
        #expect(try spread(.ttst).most == 20 && spread(.ttst).least == 0)
        #expect(try close(spread(.userThroughput).least, 20) && close(spread(.userThroughput).most, 3000.0 / 59, 1e-6))
        // 4 tokens in 3 chunks, 3 in 2.
        #expect(try close(spread(.tokensPerChunk).least, 4.0 / 3, 1e-6) && close(spread(.tokensPerChunk).most, 1.5))
        #expect(figures.spreads[.kvWire] == nil && figures.spreads[.serverQueue] == nil)
        // All of the first second is the first answer's, as its chunks say.
        #expect(figures.mostTokensPerSecond == 4)
        #expect(figures.mostConcurrent == 1)
    }

    @Test func aStalledServerCountsFromTheIntendedTime() {
        // Ten requests due every 100 ms; a stall lets all be sent at 1 s, and each is answered 10 ms later.
        let requests = (0..<10).map { Records.request($0, due: Double($0) * 100, sent: 1000, chunks: [(1010, 1)]) }
        let ttft = Figures(Records.run(requests, to: 1010)).spreads[.ttft]!
        #expect(ttft.most == 1010 && ttft.least == 110 && ttft.mean == 560)
    }

    @Test func goodputAsksForEveryLimit() throws {
        func good(_ words: String...) throws -> Figures { Figures(Records.small, objectives: try Objectives(parsing: words)) }
        #expect(try good("ttft:101").good == 1)
        #expect(try good("ttft:150").good == 2)
        #expect(try good("ttft:150", "tpot:49.9").good == 1)
        #expect(try good("ttft:150", "tpot:50", "e2el:159").good == 0)
        let both = try good("e2el:250")
        #expect(both.requestGoodput == 1)
        // Of five requests one made trouble.
        #expect(both.goodputShare == 0.5)
        for word in ["ttft", "ttft:x", "itl:5", "ttft:-1"] {
            #expect(throws: PlanError("--goodput is \"\(word)\", ttft:MS, tpot:MS or e2el:MS was expected")) {
                try Objectives(parsing: [word])
            }
        }
    }

    @Test func aSingleTokenHasNoTimePerTokenAndIsGood() throws {
        let run = Records.run([Records.request(0, due: 0, chunks: [(5, 1)], ended: 6)], to: 10)
        let figures = Figures(run, objectives: try Objectives(parsing: ["tpot:0"]))
        #expect(figures.spreads[.tpot] == nil && figures.good == 1)
    }

    @Test func theServersReportIsSpread() throws {
        let figures = Figures(
            Records.run(
                [
                    Records.request(0, due: 0, chunks: [(50, 1), (60, 1)]) {
                        var server = ServerReport()
                        server.queue = .milliseconds(7)
                        server.attempts = 2
                        server.transfer = ServerReport.Transfer()
                        server.transfer?.profile = "lossless"
                        server.transfer?.rawBytes = 3000
                        server.transfer?.sentBytes = 2000
                        server.transfer?.exposed = .microseconds(1500)
                        $0.server = server
                    }
                ], to: 100))
        #expect(figures.spreads[.serverQueue]?.mean == 7)
        #expect(figures.spreads[.kvExposed]?.mean == 1.5)
        #expect(figures.transfers == Figures.Transfers(count: 1, rawBytes: 3000, sentBytes: 2000, byProfile: ["lossless": 1]))
        #expect(figures.transfers.ratio == 1.5)
        #expect(figures.counts.replayed == 1)
    }

    @Test func theSteadyPartIsBetweenTheFirstEndAndTheLastSending() throws {
        // Two at a time, each 100 ms long, 2 tokens: sent at 0, 0, 100, 100, 200, 200.
        let requests = (0..<6).map { number in
            let start = Double(number / 2) * 100
            return Records.request(number, due: start, chunks: [(start + 50, 1), (start + 100, 1)])
        }
        let steady = try #require(Figures(Records.run(requests, to: 300)).steady)
        #expect(steady.began == Records.ms(100) && steady.ended == Records.ms(200))
        // Ends at 100 ms, and tokens at 100 and 150 ms, of two each; the end of the window is not in it.
        #expect(steady.completed == 2 && steady.outputTokens == 4)
        #expect(steady.requestThroughput == 20 && steady.outputThroughput == 40)
        #expect(steady.spreads[.e2el]?.count == 2)
        let refusal = Records.request(9, due: 10, ended: 11, outcome: .refused(code: "full"))
        #expect(Figures(Records.run(requests + [refusal], to: 300)).steady?.began == Records.ms(100))
        let burst = (0..<3).map { Records.request($0, due: 0, chunks: [(50, 1)]) }
        #expect(Figures(Records.run(burst, to: 50)).steady == nil)
    }

    @Test func requestsInFlightTogetherAreCounted() {
        let requests = [
            Records.request(0, due: 0, chunks: [(100, 1)]), Records.request(1, due: 50, chunks: [(150, 1)]),
            // Begins as the first ends.
            Records.request(2, due: 100, chunks: [(120, 1)]), Records.request(3, due: 110, outcome: .failed(reason: "x")),
        ]
        #expect(InFlight.most(requests) == 2)
    }

    @Test func aLateOrBusyHarnessIsTheBottleneck() {
        let quiet = Figures(
            Records.run([], to: 1000) {
                $0.lagNanoseconds = Array(repeating: 100_000, count: 999) + [50_000_000]
                $0.processorTime = .milliseconds(500)
            }
        ).harness
        #expect(!quiet.isBottleneck && quiet.processorShare == 0.5)
        #expect(quiet.lag?.most == 50 && quiet.lag?.median == 0.1)
        let late = Figures(Records.run([], to: 1000) { $0.lagNanoseconds = [2_500_000] }).harness
        #expect(late.complaints == ["its lag reached 2.50 ms at p99, more than 2 ms"])
        let busy = Figures(Records.run([], to: 1000) { $0.processorTime = .milliseconds(950) }).harness
        #expect(busy.complaints == ["it used 95 % of a core, more than 90 %"])
    }

    @Test func cancelsAreFreedAsTheServersHistogramSays() throws {
        let name = "ferry_cancel_to_free_seconds"
        func scrape(_ at: Double, _ sum: Double, _ buckets: [Double], _ more: [String: Double] = [:]) -> Scrape {
            var values = more
            values[name + "_sum"] = sum
            values[name + "_count"] = buckets.last
            for (edge, count) in zip(["0.01", "0.1", "+Inf"], buckets) { values[name + "_bucket{le=\"\(edge)\"}"] = count }
            return Scrape(at: Records.ms(at), values: values)
        }
        let figures = Figures(
            Records.run([], to: 3000) {
                $0.scrapes = [
                    scrape(-900, 1, [0, 0, 1], ["ferry_sequences_running": 9, "a_total": 1, "b_total": 1]),
                    scrape(-100, 5, [2, 3, 4], ["ferry_sequences_running": 1, "a_total": 5, "b_total": 1]),
                    scrape(1000, 6, [2, 3, 4], ["ferry_sequences_running": 3]),
                    scrape(2000, 7, [6, 9, 14], ["ferry_sequences_running": 2, "a_total": 7, "b_total": 1]),
                ]
            })
        let cancels = try #require(figures.server.cancelToFree)
        #expect(cancels.count == 10 && close(cancels.mean, 0.2))
        // Growth by bucket 4, 6, 10: the fifth lies half-way into the second bucket, the last beyond every edge.
        #expect(close(cancels.median, 0.055) && cancels.p99 == 0.1)
        #expect(figures.server.grown == ["a_total": 2])
        #expect(figures.server.gauges == ["ferry_sequences_running": ServerFigures.Gauge(mean: 2, most: 3)])
    }
}

@Suite struct TallyTests {
    /// numpy.percentile([15, 20, 35, 40, 50], [1, 5, 30, 40, 99.9]), numpy.std([2, 4, 4, 4, 5, 5, 7, 9]) = 2.
    @Test func percentilesAndDeviationAreNumpys() throws {
        let spread = try #require(Tally([50, 15, 40, 20, 35]).spread(percentiles: [1, 5, 30, 40, 99.9]))
        let expected = [15.2, 16, 23, 29, 49.96]
        for (found, value) in zip(spread.percentiles, expected) { #expect(abs(found.value - value) < 1e-9) }
        #expect(spread.median == 35 && spread.isExact)
        #expect(Tally([2, 4, 4, 4, 5, 5, 7, 9]).spread(percentiles: [])?.deviation == 2)
        #expect(Tally().spread(percentiles: [50]) == nil)
    }

    @Test func sumsStayExactForLongTimes() throws {
        // 100,000 hours in nanoseconds and one more nanosecond each second time.
        let hour: Int64 = 3_600_000_000_000
        let spread = try #require(Tally((0..<100_000).map { hour + Int64($0 % 2) * 2 }).spread(percentiles: []))
        #expect(spread.mean == Double(hour + 1) && spread.deviation == 1)
    }

    @Test func manyValuesAreAHistogramsWithinItsError() throws {
        let values = (1...200_001).map { Int64($0) * 1000 }
        let spread = try #require(Tally(values).spread(percentiles: [1, 50, 99, 99.9]))
        #expect(!spread.isExact && spread.count == 200_001)
        for (percentile, value) in spread.percentiles {
            let exact = Tally.percentile(percentile, ofSorted: values)
            #expect(
                value >= exact * 0.9999 && value <= exact * (1 + Tally.histogramError) + 1000, "p\(percentile): \(value), exactly \(exact)")
        }
        #expect(spread.mean == 100_001_000 && spread.least == 1000 && spread.most == 200_001_000)
    }

    @Test func oneValueMoreThanTheExactOnesChangesTheWay() {
        #expect(Tally(repeatElement(5, count: Tally.mostExact)).spread(percentiles: [])?.isExact == true)
        #expect(Tally(repeatElement(5, count: Tally.mostExact + 1)).spread(percentiles: [])?.isExact == false)
    }

    @Test func aTimeBeforeItsBeginningIsNone() {
        #expect(Tally([-5]).spread(percentiles: [])?.mean == 0)
    }
}

@Suite struct RepeatsTests {
    /// Mean 5, sample deviation √(10/3)… of 3, 4, 6, 7: squares 4 + 1 + 1 + 4 = 10; standard error √(10/3/4); t(3) = 3.182.
    @Test func theIntervalIsStudents() {
        let repeats = Repeats([3, 4, 6, 7].map { [Figure(key: "a", value: $0), Figure(key: "b\($0)", value: 1)] })
        #expect(repeats.estimates.map(\.key) == ["a"])
        let estimate = repeats.estimates[0]
        #expect(estimate.mean == 5)
        #expect(abs(estimate.halfWidth - 3.182 * (10.0 / 12).squareRoot()) < 1e-12)
        #expect(Repeats([[Figure(key: "a", value: 1)]]).estimates[0].halfWidth == .infinity)
        #expect(
            String(decoding: Repeats([[Figure(key: "a", value: 2)], [Figure(key: "a", value: 4)]]).json, as: UTF8.self)
                == "{\"runs\":2,\"figures\":{\"a\":{\"mean\":3.0,\"half_width_95\":12.706,\"values\":[2.0,4.0]}}}")
        #expect(repeats.text(keys: ["a", "none"]) == "Means of 4 runs, with 95 % intervals\na  5.00 ± 2.90 (58.1 %)\n")
        #expect(abs(StudentT.quantile95(degrees: 100) - 1.984) < 1e-3)
    }

    @Test func numbersAreRoundedToTheirDecimals() {
        for (value, decimals, text) in [
            (0.005, 2, "0.01"), (1.995, 1, "2.0"), (-0.4, 0, "0"), (-1.25, 2, "-1.25"), (12345.678, 2, "12345.68"), (9.999, 2, "10.00"),
            (.nan, 2, "–"),
        ] as [(Double, Int, String)] {
            #expect(value.fixed(decimals) == text)
        }
    }
}
