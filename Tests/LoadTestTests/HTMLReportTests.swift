import TestSupport
import Testing

@testable import LoadTest

@Suite struct HTMLReportTests {
    /// A run of `count` requests with everything that a report can show.
    static func record(_ count: Int, rate: Double = 20, seed: UInt64 = 1) -> RunRecord {
        var settings = ArrivalSettings()
        settings.requestRate = rate
        var arrivals = try! Arrivals(settings, count: count, seed: seed)
        var draw = Draw(seed: seed, .text)
        var free = Duration.zero
        let requests = (0..<count).map { number in
            let due = arrivals.next()!
            var record = RequestRecord(number: number, due: due, outcome: .completed)
            record.sent = due + .microseconds(draw.integer(in: 50...900))
            if draw.uniform() < 0.03 {
                record.outcome = draw.uniform() < 0.7 ? .refused(code: "<queue & full>") : .failed(reason: "http://reset \"by\" peer\u{1}")
                record.status = 503
                record.ended = due + .milliseconds(2)
                return record
            }
            let queue = max(.zero, free - due)
            let prefill = Duration.milliseconds(draw.integer(in: 8...30))
            free = max(free, due) + prefill
            let exposed = Duration.microseconds(draw.integer(in: 500...9000))
            var at = record.sent! + queue + prefill
            for index in 0..<draw.integer(in: 2...24) {
                record.content.append(at: at, tokens: draw.uniform() < 0.1 ? 2 : 1)
                at += (index == 0 ? exposed : .zero) + .microseconds(Int(9000 * (0.6 + draw.exponential() * 0.4)))
            }
            record.ended = at
            record.status = 200
            record.inputTokens = draw.integer(in: 100...900)
            var server = ServerReport()
            server.queue = queue
            server.prefill = prefill
            server.transfer = ServerReport.Transfer()
            server.transfer?.profile = "lossless"
            server.transfer?.rawBytes = record.inputTokens! * 23_040
            server.transfer?.sentBytes = record.inputTokens! * 15_900 + draw.integer(in: 0...40_000)
            server.transfer?.exposed = exposed
            record.server = server
            return record
        }
        var run = RunRecord()
        run.date = "2026-11-30T20:40:00Z"
        run.requests = requests
        run.ended = requests.compactMap(\.ended).max()!
        run.settings = [
            ("label", .text("</title><script src='http://evil'>alert(1)</script>")), ("base_url", .text("https://127.0.0.1:8080/v1")),
            ("request_rate", .number(rate)), ("max_concurrency", .none), ("ignore_eos", .flag(true)),
        ]
        run.lagNanoseconds = (0..<5000).map { _ in Int64(40_000 * (0.2 + draw.exponential())) }
        run.processorTime = run.ended / 8
        let seconds = Int(run.ended.components.seconds)
        run.scrapes = (0...seconds).map { second in
            let now = requests.count { $0.due <= .seconds(second) && $0.ended! > .seconds(second) }
            return Scrape(
                at: .seconds(second),
                values: [
                    "ferry_sequences_running": Double(min(8, now)), "ferry_sequences_waiting": Double(max(0, now - 8)),
                    "ferry_kv_cache_usage_ratio": Double(now) / 20,
                ])
        }
        run.hooks = [HookRecord(at: .seconds(3), command: "kill -9 $(cat worker.pid) && echo <done>", status: 0)]
        return run
    }

    private static let objectives = try! Objectives(parsing: ["ttft:200", "tpot:30"])

    static var page: [UInt8] {
        let record = record(180)
        return HTMLReport.run(record, Figures(record, objectives: objectives))
    }

    static var longPage: [UInt8] {
        let record = record(6000, rate: 48)
        return HTMLReport.run(record, Figures(record, objectives: objectives))
    }

    static var sweep: [UInt8] {
        var search = try! Sweep(Sweep.Settings(lowest: 8, highest: 200))
        var runs: [(rate: Double, record: RunRecord, figures: Figures)] = []
        while let rate = search.next {
            let record = record(400, rate: rate)
            let figures = Figures(record, objectives: objectives)
            runs.append((rate, record, figures))
            search.add(Sweep.Observation(rate: rate, record, figures))
        }
        return HTMLReport.sweep(runs, knee: search.knee)
    }

    private static let pages: [(String, [UInt8])] = [("run", page), ("long", longPage), ("sweep", sweep)]

    @Test func aPageNeedsNothingElseAndHostileTextStaysText() throws {
        for (name, bytes) in Self.pages {
            let text = String(decoding: bytes, as: UTF8.self)
            for word in ["http://", "https://", "src=", "<script", "href", "url(", "@import", "javascript:"] {
                #expect(!text.contains(word), "\(name) contains \(word)")
            }
            #expect(text.contains("&lt;script src&#61;"), "\(name) shows the label")
        }
        #expect(String(decoding: Self.page, as: UTF8.self).contains("refused, status 503 &lt;queue &amp; full&gt;"))
    }

    @Test(.enabled(if: Command.exists("python3"))) func anIndependentReaderTakesPagesForXML() async {
        let folder = ScratchFolder()
        for (name, bytes) in Self.pages {
            let path = folder.write(name + ".html", bytes)
            let script = """
                import sys, collections, xml.etree.ElementTree as tree
                page = tree.parse(sys.argv[1]).getroot()
                print(page.tag, max(sum(1 for _ in svg.iter()) - 2 * sum(1 for g in svg.iter() if g.tag in ("title", "line", "text")) for svg in page.iter("svg")) <= 4000,
                      len([f for f in page.iter("figure")]))
                """
            let result = await Command.run("python3", ["-c", script, path])
            #expect(result.text == "html True \(name == "sweep" ? 11 : 9)\n", "\(name): \(result.text) \(result.complaints)")
        }
    }

    @Test func marksAreBoundedAndPeaksStay() throws {
        let points = (0..<50_000).map { Series.Point(x: Double($0), y: $0 == 31_234 ? 99 : 1) }
        let thin = Series("a", colour: 1, .dots, points).thinned(to: Plot.mostMarks)
        #expect(thin.points.count <= Plot.mostMarks && thin.points.contains { $0.y == 99 })
        #expect(thin.total == 50_000)
        let plot = Plot(
            title: "t", x: .linear("x", points.map(\.x)), y: .linear("y", points.map(\.y)), series: [Series("a", colour: 1, .dots, points)])
        #expect(plot.figure.split(separator: "<circle").count - 1 <= Plot.mostMarks + 1)
        #expect(plot.figure.contains("of 50,000 points are shown"))
        var mixed = plot
        mixed.series.append(Series("refused", colour: 5, .crosses, (0..<300).map { .init(x: Double($0) * 100, y: 1) }))
        #expect(mixed.figure.split(separator: "<path class=\"s5\"").count - 1 == 301)
    }

    @Test func stagesAddUpToTheWholeTime() throws {
        let record = try #require(Self.record(40).requests.first { $0.outcome == .completed && $0.server!.queue > .zero })
        let stages = StageTimeline.stages(record)
        #expect(stages.map(\.stage) == [.clientQueue, .serverQueue, .prefill, .exposed, .decode])
        #expect(abs(stages.reduce(0) { $0 + $1.seconds } - Double((record.ended! - record.due).nanosecondCount) / 1e9) < 1e-9)
        var silent = record
        silent.server = nil
        #expect(StageTimeline.stages(silent).map(\.stage) == [.clientQueue, .firstToken, .decode])
        // A server that claims more than there was is cut short.
        silent.server = ServerReport()
        silent.server?.prefill = .seconds(1000)
        #expect(StageTimeline.stages(silent).map(\.stage) == [.clientQueue, .prefill])
    }

    @Test func ticksAreRoundAndWithinTheAxis() {
        #expect(Axis.linear("", [0.0, 9.2]).ticks == [0, 2, 4, 6, 8, 10])
        #expect(Axis.linear("", [0.0, 4.5]).ticks == [0, 1, 2, 3, 4, 5])
        #expect(Axis.linear("", [0.0, 0.0]).ticks.count > 1)
        #expect(Axis.logarithmic("", [3.0, 700]).ticks == [2, 5, 10, 20, 50, 100, 200, 500, 1000])
        let wide = Axis.logarithmic("", [0.001, 90_000])
        #expect(wide.lower == 0.001 && wide.upper == 100_000 && wide.ticks.count == 9)
        #expect(wide.place(10) == 0.5 && wide.place(-1) == 0 && wide.place(1e9) == 1)
        #expect(Axis.logarithmic("", []).ticks.count > 1)
    }

    @Test func textAndNumbersAreFitForAPage() {
        #expect(Markup.escaped("a<b>&\"'\u{0}") == "a&lt;b&gt;&amp;&quot;&#39;\u{FFFD}")
        #expect(
            Markup.short(1500) == "1.5k" && Markup.short(0.002) == "0.002" && Markup.short(20_000_000) == "20M" && Markup.short(0) == "0")
        #expect(
            Markup.number(1234.5) == "1,235" && Markup.number(12.3456) == "12.35" && Markup.number(0.0123) == "0.012"
                && Markup.number(123.45) == "123.5")
    }
}
