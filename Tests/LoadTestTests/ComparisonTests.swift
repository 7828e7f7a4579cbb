import Platform
import TestSupport
import Testing

@testable import LoadTest

@Suite struct ComparisonTests {
    private let folder = ScratchFolder()

    /// 400 requests of 10 tokens, 100 a second, whose times are about `scale` times 100 ms to the first token and 10 ms between tokens.
    private func run(scale: Double, seed: UInt64) -> RunRecord {
        var draw = Draw(seed: seed, .text)
        let requests = (0..<400).map { number in
            let due = Double(number) * 10
            var at = due + scale * 100 * (0.5 + draw.uniform())
            var chunks: [(Double, Int)] = []
            for _ in 0..<10 {
                chunks.append((at, 1))
                at += scale * 10 * (0.5 + draw.uniform())
            }
            return Records.request(number, due: due, chunks: chunks) { $0.inputTokens = 5 }
        }
        return Records.run(requests, to: (requests.map { $0.ended! }.max()! / .milliseconds(1)))
    }

    private func write(_ name: String, _ record: RunRecord, detailed: Bool = true) -> String {
        var options = ReportOptions()
        options.saveDetailed = detailed
        let figures = Figures(record, objectives: try! Objectives(parsing: ["ttft:120"]))
        return folder.write(name, ResultJSON.bytes(record, figures, options) + [10])
    }

    private func compare(_ a: String, _ b: String) throws -> Comparison { Comparison(try ResultFile(path: a), try ResultFile(path: b)) }

    private func line(_ key: String, _ comparison: Comparison) throws -> Comparison.Line {
        try #require(comparison.lines.first { $0.key == key }, "\(key)")
    }

    @Test func aSlowerServerIsWorseAndTheIntervalHoldsTheTruth() throws {
        let comparison = try compare(write("a.json", run(scale: 1, seed: 1)), write("b.json", run(scale: 1.2, seed: 2)))
        for key in ["mean_ttft_ms", "median_ttft_ms", "p99_ttft_ms", "mean_tpot_ms", "mean_itl_ms", "p99_itl_ms", "mean_e2el_ms"] {
            let line = try line(key, comparison)
            #expect(line.verdict == .worse && line.method == .bootstrap, "\(key): \(line)")
            // One file's draws are within a few standard errors of the truth.
            let interval = try #require(line.interval)
            #expect(interval.lowerBound < 1.25 && interval.upperBound > 1.15 && interval.contains(line.ratio!), "\(key): \(line)")
        }
        #expect(try line("request_goodput", comparison).verdict == .worse)
        #expect(try line("mean_user_throughput", comparison).verdict == .worse)
        let keys = comparison.text(all: false).split(separator: "\n").compactMap { $0.split(separator: " ").first.map(String.init) }
        #expect(
            keys.contains("p99_ttft_ms") && !keys.contains("p5_ttft_ms") && !keys.contains("std_ttft_ms")
                && keys.contains("request_throughput"))
        #expect(comparison.text(all: true).split(separator: "\n").count == comparison.lines.count + 3)
        #expect(try line("completed", comparison).verdict == .unknown)
        #expect(comparison.onlyInA.isEmpty && comparison.onlyInB.isEmpty)
    }

    @Test func equalServersAreNotToldApart() throws {
        let comparison = try compare(write("a.json", run(scale: 1, seed: 1)), write("b.json", run(scale: 1, seed: 9)))
        for key in ["mean_ttft_ms", "mean_e2el_ms", "output_throughput", "request_throughput"] {
            let line = try line(key, comparison)
            #expect(line.verdict == .same, "\(line)")
        }
        #expect(comparison.text(all: false).contains("not told apart"))
    }

    @Test func theSameSeedResamplesTheSame() throws {
        let (a, b) = (write("a.json", run(scale: 1, seed: 1)), write("b.json", run(scale: 1.1, seed: 2)))
        #expect(try compare(a, b).json == compare(a, b).json)
    }

    @Test func withoutDetailsThereIsARatioAndANote() throws {
        let comparison = try compare(
            write("a.json", run(scale: 1, seed: 1), detailed: false), write("b.json", run(scale: 2, seed: 2), detailed: false))
        let line = try line("mean_itl_ms", comparison)
        #expect(line.verdict == .unknown && line.interval == nil && abs(line.ratio! - 2) < 0.05)
        #expect(comparison.text(all: false).contains("No intervals: run with --save-detailed"))
    }

    /// A: 10, 12; B: 20, 22: relative errors 1/11 and 1/21, so the ratio 21/11 ± t·21/11·√(1/121 + 1/441) with 1.54 degrees of freedom, of
    /// which 1 counts.
    @Test func repeatsGiveStudentsInterval() throws {
        func file(_ name: String, _ values: [Int]) -> String {
            folder.write(name, values.map { "{\"duration\": 1, \"completed\": 3, \"mean_ttft_ms\": \($0)}\n" }.joined())
        }
        let comparison = try compare(file("a.jsonl", [10, 12]), file("b.jsonl", [20, 22]))
        let line = try line("mean_ttft_ms", comparison)
        let half = 12.706 * 21 / 11 * (1.0 / 121 + 1.0 / 441).squareRoot()
        #expect(line.method == .repeats && line.a == 11 && line.b == 21)
        #expect(abs(line.interval!.upperBound - 21.0 / 11 - half) < 1e-9 && abs(line.interval!.lowerBound - 21.0 / 11 + half) < 1e-9)
        #expect(line.verdict == .same)
        let four = try compare(file("a.jsonl", [10, 11, 10, 11]), file("b.jsonl", [5, 6, 5, 6]))
        #expect(try self.line("mean_ttft_ms", four).verdict == .better)
        #expect(try self.line("completed", four).interval == 1...1)
    }

    @Test func vLLMsFilesAreRead() throws {
        // As vllm bench serve writes it with --save-detailed, without latencies in older ones; a failed request has an error.
        let text = """
            {"date": "20260101-000000", "endpoint_type": "openai", "label": null, "request_rate": "inf", "duration": 2.0, "completed": 2,
             "failed": 1, "total_input_tokens": 30, "request_goodput": null, "output_throughput": 3.5, "input_lens": [10, 20, 5],
             "output_lens": [3, 1, 0], "ttfts": [0.1, 0.2, 0.0], "itls": [[0.01, 0.03], [], []], "start_times": [100.0, 101.0, 102.0],
             "errors": ["", "", "boom"], "mean_ttft_ms": 150.0, "p99.9_ttft_ms": 199.9, "rtfx": 0.0}
            """
        let run = try ResultFile(text.utf8.span, path: "v.json").runs[0]
        #expect(
            run.figures.map(\.key) == [
                "duration", "completed", "failed", "total_input_tokens", "output_throughput", "mean_ttft_ms", "p99.9_ttft_ms",
            ])
        let requests = try #require(run.details?.requests)
        #expect(requests.count == 2)
        #expect(abs(requests[0].latency - 0.14) < 1e-12 && abs(requests[0].tpot! - 0.02) < 1e-12)
        #expect(requests[1].tpot == nil && abs(requests[1].end - 1.2) < 1e-12)
    }

    @Test func keysThatOneFileLacksAreNamed() throws {
        let a = folder.write("a", "{\"duration\": 1, \"completed\": 3, \"mean_ttft_ms\": 1}")
        let b = folder.write("b", "{\"duration\": 1, \"completed\": 0, \"mean_itl_ms\": 1}")
        let comparison = try compare(a, b)
        #expect(comparison.onlyInA == ["mean_ttft_ms"] && comparison.onlyInB == ["mean_itl_ms"])
        #expect(comparison.text(all: false).contains("Only in A: mean_ttft_ms\nOnly in B: mean_itl_ms\n"))
        let json = try JSON(parsing: comparison.json)
        #expect(json["only_in_a"] == ["mean_ttft_ms"])
        #expect(try compare(b, a).lines.first { $0.key == "completed" }?.ratio == nil)
    }

    @Test(arguments: [
        ("", "is empty, a result was expected"), ("[]", "is an array, an object with a result was expected"),
        ("{\"duration\": 1}", "`completed` is missing, a number was expected"),
        ("{\"duration\": \"x\", \"completed\": 1}", "`duration` is \"x\", a number was expected"),
        ("{\"duration\": 1, \"completed\": 1, \"p99_itl_ms\": []}", "`p99_itl_ms` is [], a number was expected"),
        ("{\"duration\": 1, \"completed\": 1, \"ferry_load\": {\"version\": 2}}", "`ferry_load.version` is 2, 1 was expected"),
        (
            "{\"duration\": 1, \"completed\": 1, \"ferry_load\": {\"version\": 1, \"figures\": {\"ttft\": {\"mean\": null}}}}",
            "`ferry_load.figures.ttft.mean` is null, a number was expected"
        ),
        (
            "{\"duration\": 1, \"completed\": 1, \"ttfts\": [1], \"itls\": [], \"input_lens\": [1]}",
            "`itls` has 0 entries, 1 as in `ttfts` were expected"
        ),
        ("{\"duration\": 1, \"completed\": 1, \"ttfts\": [-1], \"itls\": [[]]}", "`ttfts` is -1, a number from 0 to 10¹⁵ was expected"),
        ("{\"duration\": 1,", "invalid JSON at byte 15: a key was expected"),
        (
            "{\"duration\": 1, \"completed\": 1, \"request_rate\": 2}\n{\"duration\": 1, \"completed\": 1, \"request_rate\": \"inf\"}\n",
            "has runs whose `request_rate` is 2, \"inf\", repeats of one were expected"
        ),
        ("{\"duration\": 1, \"completed\": 1}\n{\"duration\": 1", "line 2: invalid JSON at byte 14: ',' or '}' was expected"),
    ]) func aWrongFileIsNamed(text: String, message: String) {
        let path = folder.write("wrong.json", text)
        let error = #expect(throws: ResultError.self) { try ResultFile(path: path) }
        let description = error?.description ?? ""
        #expect(["\(path) \(message)", "\(path): \(message)"].contains(description), "\(description)")
    }

    @Test func resamplingDrawsWithinTheValues() throws {
        var draw = Draw(seed: 3, .resample)
        let resampling = Resampling([[1, 2], [3], [10]])
        for _ in 0..<200 {
            let found = try #require(resampling.resample(&draw, percentiles: [0, 50, 100]))
            #expect(found.percentiles[0] >= 1 && found.percentiles[2] <= 10 && found.percentiles == found.percentiles.sorted())
            #expect(found.mean >= found.percentiles[0] && found.mean <= found.percentiles[2])
        }
        // One request: every resample is the run itself.
        let same = try #require(Resampling([[4, 1, 3, 2]]).resample(&draw, percentiles: [25, 50]))
        #expect(same.percentiles == [1.75, 2.5] && same.mean == 2.5 && abs(same.deviation - 1.25.squareRoot()) < 1e-12)
    }
}
