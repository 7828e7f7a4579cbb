import Platform
import Testing

@testable import LoadTest

@Suite struct ResultJSONTests {
    private func result(_ record: RunRecord, _ words: [String] = [], _ options: ReportOptions = ReportOptions()) throws -> JSON {
        let figures = Figures(record, objectives: try Objectives(parsing: words), percentiles: options.metricPercentiles)
        return try JSON(parsing: ResultJSON.bytes(record, figures, options))
    }

    @Test func vLLMsKeysAreThereUnderTheirNames() throws {
        var record = Records.small
        record.settings = [
            ("backend", .text("openai-chat")), ("request_rate", .number(.infinity)), ("max_concurrency", .none),
            ("num_prompts", .number(5)),
            ("burstiness", .number(1.5)), ("completed", .text("a lie")), ("backend", .text("twice")),
        ]
        let json = try result(record)
        #expect(
            json.object?.keys == [
                "date", "backend", "request_rate", "max_concurrency", "num_prompts", "burstiness", "duration", "completed", "failed",
                "total_input_tokens", "total_output_tokens", "request_throughput", "request_goodput", "output_throughput",
                "total_token_throughput", "max_output_tokens_per_s", "max_concurrent_requests", "mean_ttft_ms", "median_ttft_ms",
                "std_ttft_ms",
                "p99_ttft_ms", "mean_tpot_ms", "median_tpot_ms", "std_tpot_ms", "p99_tpot_ms", "mean_itl_ms", "median_itl_ms", "std_itl_ms",
                "p99_itl_ms", "mean_e2el_ms", "median_e2el_ms", "std_e2el_ms", "p99_e2el_ms", "mean_client_queue_time_ms",
                "median_client_queue_time_ms", "std_client_queue_time_ms", "p99_client_queue_time_ms", "ferry_load",
            ])
        #expect(json["request_rate"] == "inf" && json["max_concurrency"] == .null && json["backend"] == "openai-chat")
        #expect(json["num_prompts"] == 5 && json["burstiness"] == 1.5)
        #expect(json["completed"] == 2 && json["failed"] == 2 && json["request_goodput"] == .null)
        #expect(json["output_throughput"]?.double == 3.5 && json["mean_ttft_ms"]?.double == 125.5)
    }

    @Test func detailsHaveAnEntryForEachMeasuredRequest() throws {
        var options = ReportOptions()
        options.saveDetailed = true
        let json = try result(Records.small, [], options)
        #expect(json["ttfts"] == [0.101, 0.15, 0.0, 0.0, 0.1])
        #expect(json["itls"]?.array?[0] == [0.02, 0.03])
        #expect(json["latencies"]?.array?.prefix(2) == [0.16, 0.25])
        #expect(json["start_times"] == [0.0, 1.0, 1.1, 1.2, 1.3])
        #expect(json["queue_times"]?.array?[1].double.map { abs($0 - 0.05) < 1e-12 } == true)
        #expect(json["input_lens"] == [10, 20, 0, 0, 0] && json["output_lens"] == [4, 3, 0, 0, 0])
        #expect(
            json["errors"] == ["", "", "refused with status 429: queue_full", "failed: connection reset", "ended by its client on purpose"])
        #expect(json["generated_texts"]?.array?.count == 5)
    }

    @Test func ourOwnObjectSaysHowItCounted() throws {
        let own = try #require(try result(Records.small, ["ttft:101", "e2el:500"])["ferry_load"])
        #expect(own["version"] == 1)
        #expect(own["goodput"]?["objectives_ms"] == ["ttft": 101.0, "e2el": 500.0])
        #expect(own["goodput"]?["share"] == 0.25)
        #expect(own["figures"]?["ttft"]?["percentiles"] == "exact")
        #expect(own["figures"]?["ttft"]?["p99.9"]?.double != nil)
        #expect(own["outcomes"]?["refusals"] == [["status": 429, "code": "queue_full", "count": 1]])
        #expect(own["outcomes"]?["failures"] == ["connection reset": 1])
        #expect(own["figures"]?["kv_wire"] == nil && own["kv"] == nil && own["server"] == nil)
        #expect(own["harness"]?["is_bottleneck"] == false)
    }

    @Test func percentilesAreThoseAskedFor() throws {
        let options = try ReportOptions(percentileMetrics: "ttft", metricPercentiles: "50,97.5", saveDetailed: false)
        let json = try result(Records.small, [], options)
        #expect(json["p50_ttft_ms"]?.double == 125.5 && json["p97.5_ttft_ms"]?.double != nil)
        #expect(json["p99_ttft_ms"] == nil && json["mean_itl_ms"] == nil)
        #expect(throws: PlanError.self) { try ReportOptions(percentileMetrics: "speed", metricPercentiles: nil, saveDetailed: false) }
        #expect(throws: PlanError("--metric-percentiles is \"100\", numbers between 0 and 100 was expected")) {
            try ReportOptions(percentileMetrics: nil, metricPercentiles: "100", saveDetailed: false)
        }
    }

    @Test func aRunWithoutAnAnswerIsStillAResult() throws {
        let json = try result(Records.run([], to: 0))
        #expect(json["completed"] == 0 && json["mean_ttft_ms"] == 0.0 && json["output_throughput"] == 0.0)
    }

    @Test func aRequestIsARowAndARunToo() {
        let lines = String(decoding: CSVText.requests(Records.small).bytes, as: UTF8.self).split(separator: "\n")
        #expect(lines.count == 7)
        let columns = lines[0].split(separator: ",").count
        #expect(lines.allSatisfy { $0.split(separator: ",", omittingEmptySubsequences: false).count == columns })
        #expect(lines[2].hasPrefix("1,,0,0,,completed,200,,,0.0,0.001,,0.101,0.151,0.16,101.0,19.666667,160.0,1.0,10,4,3,3,100,"))
        #expect(lines[4].hasPrefix("3,,0,0,,refused,429,queue_full,,1.1,1.1,"))

        var record = Records.small
        record.settings = [("label", .text("a \"b\"")), ("note", .text("=1+1")), ("list", .text("1,2"))]
        let runs = String(
            decoding: CSVText.runs([(record, Figures(record)), (Records.small, Figures(Records.small))]).bytes, as: UTF8.self
        )
        .split(separator: "\n")
        #expect(runs[0].hasPrefix("date,label,note,list,duration,completed,failed,"))
        #expect(runs[1].hasPrefix("2026-11-30T20:15:00Z,\"a \"\"b\"\"\",'=1+1,\"1,2\",2.0,2.0,2.0,"))
        #expect(runs[2].hasPrefix("2026-11-30T20:15:00Z,,,,2.0,2.0,2.0,"))
    }

    @Test func thePersonAtTheTerminalSeesVLLMsLines() throws {
        let record = Records.small
        let text = TerminalSummary.text(record, Figures(record, objectives: try! Objectives(parsing: ["ttft:101"])))
        let lines = text.split(separator: "\n").map(String.init)
        #expect(lines.allSatisfy { $0.count == 64 })
        func value(_ name: String) -> String? {
            lines.first { $0.hasPrefix(name + ":") }.map { String($0.dropFirst(name.count + 1).drop { $0 == " " }) }
        }
        #expect(value("Successful requests") == "2" && value("Failed requests") == "2")
        #expect(value("  refused with 429 queue_full") == "1" && value("  failed: connection reset") == "1")
        #expect(value("Output token throughput (tok/s)") == "3.50" && value("Mean TTFT (ms)") == "125.50")
        #expect(value("  share with ttft ≤ 101 ms") == "25.0 %")
        let late = Records.run([], to: 1000) { $0.lagNanoseconds = [9_000_000] }
        #expect(
            TerminalSummary.text(late, Figures(late)).contains("WARNING: the harness may be what was measured:\n  its lag reached 9.00 ms"))
        let hostile = Records.run(
            [Records.request(0, due: 0, outcome: .failed(reason: "\u{1B}[2J\n" + String(repeating: "x", count: 99)))], to: 1)
        let shown = TerminalSummary.text(hostile, Figures(hostile)).split(separator: "\n")
        #expect(shown.allSatisfy { !$0.unicodeScalars.contains("\u{1B}") })
        // A reason is told whole, its number below.
        let long = try #require(shown.firstIndex { $0.hasSuffix(String(repeating: "x", count: 99) + ":") })
        #expect(shown[long + 1].count == 64 && shown[long + 1].hasSuffix(" 1"))
        #expect(shown.enumerated().allSatisfy { $0 == long || $1.count == 64 })
        #expect(TerminalSummary.grouped(-1_234_567) == "-1,234,567" && TerminalSummary.grouped(12) == "12")
    }
}
