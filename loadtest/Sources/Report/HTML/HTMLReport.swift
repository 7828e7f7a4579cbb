/// The report of a run, or of a sweep, as one file that needs nothing else: no script, no network, no other file. It is HTML and
/// well-formed XML; what comes from servers and settings is escaped.
package enum HTMLReport {
    package static func run(_ record: RunRecord, _ figures: Figures) -> [UInt8] {
        page(title(record), summary(record, figures) + RunPlots(record, figures).all.joined() + settings(record))
    }

    /// `runs` with the rate that each was asked for; the details are those of the last run at or below the knee.
    package static func sweep(_ runs: [(rate: Double, record: RunRecord, figures: Figures)], knee: Sweep.Knee?) -> [UInt8] {
        let plots = SweepPlots(runs.map { ($0.rate, $0.figures) }, knee: knee).all.joined()
        let limit: Double =
            switch knee {
            case .between(let rate, _, _): rate
            case .above, .below, nil: .infinity
            }
        guard let shown = runs.filter({ $0.rate <= limit }).max(by: { $0.rate < $1.rate }) ?? runs.first else {
            return page("Sweep", plots)
        }
        let heading = "<h2>The run at \(Markup.number(shown.rate)) requests a second</h2>"
        let rest = RunPlots(shown.record, shown.figures).all.joined() + settings(shown.record)
        return page(
            "Sweep, " + title(shown.record),
            table(runs.map { ($0.rate, $0.figures) }) + plots + heading + summary(shown.record, shown.figures) + rest)
    }

    private static func title(_ record: RunRecord) -> String {
        func text(_ key: String) -> String? {
            guard case .text(let text)? = record.settings.first(where: { $0.key == key })?.value, !text.isEmpty else { return nil }
            return text
        }
        let parts = [text("label"), text("model_id"), record.date.isEmpty ? nil : record.date].compactMap { $0 }
        return parts.isEmpty ? "Load test" : parts.joined(separator: " · ")
    }

    private static func page(_ title: String, _ body: String) -> [UInt8] {
        let head = """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"/><meta name="viewport" content="width=device-width"/>
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>
            <title>\(Markup.escaped(title))</title><style>
            \(PageStyle.text)
            </style></head><body><main><h1>\(Markup.escaped(title))</h1>

            """
        return Array((head + body + "</main></body></html>\n").utf8)
    }

    private static func summary(_ record: RunRecord, _ figures: Figures) -> String {
        var html = "<div class=\"tiles\">"
        func tile(_ name: String, _ value: String, _ unit: String) {
            html += "<div><b>\(Markup.escaped(value))</b> <i>\(Markup.escaped(unit))</i><span>\(Markup.escaped(name))</span></div>"
        }
        tile("output tokens", Markup.number(figures.outputThroughput), "tok/s")
        tile("requests", Markup.number(figures.requestThroughput), "req/s")
        if let share = figures.goodputShare, let goodput = figures.requestGoodput {
            tile("goodput, \((100 * share).fixed(1)) % of requests", Markup.number(goodput), "req/s")
        }
        if let ttft = figures.spreads[.ttft] { tile("TTFT, median", Markup.number(ttft.median), "ms") }
        if let itl = figures.spreads[.itl] { tile("ITL, median", Markup.number(itl.median), "ms") }
        tile("of \(TerminalSummary.grouped(figures.counts.measured)) completed", TerminalSummary.grouped(figures.counts.completed), "")
        html += "</div>"
        if figures.harness.isBottleneck {
            let complaints = figures.harness.complaints.joined(separator: "; ")
            html += "<p class=\"warning\">The harness may be what was measured: \(Markup.escaped(complaints)).</p>"
        }
        return html + spreads(figures) + ends(figures)
    }

    private static func row(_ cells: [String], _ tag: String = "td") -> String {
        "<tr>" + cells.map { "<\(tag)>\(Markup.escaped($0))</\(tag)>" }.joined() + "</tr>"
    }

    private static func spreads(_ figures: Figures) -> String {
        var html = "<table><thead>" + row(["", "unit", "mean", "p50", "p90", "p99", "p99.9", "max", "values"], "th") + "</thead><tbody>"
        for measure in Measure.allCases {
            // A server that reports a stage as 0 throughout has nothing to say of it.
            guard let spread = figures.spreads[measure], spread.most > 0 else { continue }
            let percentiles = [50, 90, 99, 99.9].map { spread[$0].map(Markup.number) ?? "–" }
            html += row(
                [measure.name, measure.unit, Markup.number(spread.mean)] + percentiles + [
                    Markup.number(spread.most), TerminalSummary.grouped(spread.count),
                ])
        }
        return html + "</tbody></table>"
    }

    /// How requests ended, where not all ended well.
    private static func ends(_ figures: Figures) -> String {
        let counts = figures.counts
        var rows: [(String, Int)] = counts.refusals.map { ("refused, status \($0.key.status) \($0.key.code)", $0.value) }
        rows +=
            counts.breaks.map { ("broken in the stream: \($0.key)", $0.value) } + counts.failures.map { ("failed: \($0.key)", $0.value) }
        rows += [
            ("given up at the deadline", counts.late), ("unfinished at the end of the run", counts.unfinished),
            ("ended by their clients on purpose", counts.troubled),
        ]
        rows = rows.filter { $0.1 > 0 }.sorted { ($1.1, $0.0) < ($0.1, $1.0) }
        guard !rows.isEmpty else { return "" }
        var html = "<table><thead>" + row(["not completed", "requests"], "th") + "</thead><tbody>"
        for (name, count) in rows.prefix(50) { html += row([name, TerminalSummary.grouped(count)]) }
        return html + "</tbody></table>"
    }

    private static func table(_ runs: [(rate: Double, figures: Figures)]) -> String {
        var html =
            "<table><thead>"
            + row(["asked for, req/s", "completed, req/s", "good", "output tok/s", "TTFT p50, ms", "TTFT p99, ms", "TPOT p50, ms"], "th")
            + "</thead><tbody>"
        for (rate, figures) in runs.sorted(by: { $0.rate < $1.rate }) {
            html += row([
                Markup.number(rate), Markup.number(figures.requestThroughput),
                figures.goodputShare.map { "\((100 * $0).fixed(1)) %" } ?? "–",
                Markup.number(figures.outputThroughput), figures.spreads[.ttft].map { Markup.number($0.median) } ?? "–",
                figures.spreads[.ttft]?[99].map(Markup.number) ?? "–", figures.spreads[.tpot].map { Markup.number($0.median) } ?? "–",
            ])
        }
        return html + "</tbody></table>"
    }

    private static func settings(_ record: RunRecord) -> String {
        var html = "<details><summary>Settings</summary><table><tbody>"
        for setting in record.settings {
            let value =
                switch setting.value {
                case .text(let text): text
                case .number(let number): Markup.number(number)
                case .flag(let flag): flag ? "yes" : "no"
                case .none: "–"
                }
            html += row([setting.key, value])
        }
        for hook in record.hooks {
            html += row([
                "hook at \((Double(hook.at.nanosecondCount) / 1e9).fixed(1)) s",
                hook.command + (hook.status.map { " (exit \($0))" } ?? " (ended with the run)"),
            ])
        }
        html += row(["connections opened, failed", "\(record.connectionsOpened), \(record.connectionsFailed)"])
        html += row(["most in flight", "\(record.peakInFlight)"])
        return html + "</tbody></table></details>"
    }
}
