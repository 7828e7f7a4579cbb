/// The result for a person at a terminal: 64 columns, the lines of `vllm bench serve` and what we have beside.
package struct TerminalSummary: Sendable {
    private static let width = 64
    private var lines: [String] = []

    package static func text(_ record: RunRecord, _ figures: Figures, _ options: ReportOptions = ReportOptions()) -> String {
        var summary = TerminalSummary()
        summary.heading("Serving Benchmark Result", "=")
        summary.counts(record, figures)
        for measure in options.percentileMetrics { summary.spread(measure, figures, options) }
        summary.server(figures)
        summary.harness(record, figures.harness)
        summary.lines.append(String(repeating: "=", count: width))
        return summary.lines.joined(separator: "\n") + "\n"
    }

    private mutating func heading(_ title: String, _ fill: String) {
        let left = (Self.width - title.count - 2) / 2
        let right = Self.width - title.count - 2 - left
        lines.append(String(repeating: fill, count: max(0, left)) + " " + title + " " + String(repeating: fill, count: max(0, right)))
    }

    private mutating func line(_ name: String, _ value: String) {
        let name = Self.harmless(name) + ":"
        guard name.count + 1 + value.count > Self.width else {
            return lines.append(name + String(repeating: " ", count: Self.width - name.count - value.count) + value)
        }
        // A reason that takes the whole line: its number stands below.
        lines.append(name)
        lines.append(String(repeating: " ", count: max(0, Self.width - value.count)) + value)
    }

    private mutating func counts(_ record: RunRecord, _ figures: Figures) {
        let counts = figures.counts
        line("Successful requests", Self.grouped(counts.completed))
        line("Failed requests", Self.grouped(counts.unsuccessful))
        for (refusal, count) in counts.refusals.sorted(by: { $0.value > $1.value }).prefix(5) {
            line("  refused with \(refusal.status) \(refusal.code)", Self.grouped(count))
        }
        for (reason, count) in counts.failures.sorted(by: { $0.value > $1.value }).prefix(5) {
            line("  failed: \(reason)", Self.grouped(count))
        }
        for (code, count) in counts.breaks.sorted(by: { $0.value > $1.value }).prefix(5) {
            line("  broken in the stream: \(code)", Self.grouped(count))
        }
        if counts.late > 0 { line("  given up at the deadline", Self.grouped(counts.late)) }
        if counts.unfinished > 0 { line("  unfinished at the end", Self.grouped(counts.unfinished)) }
        if counts.troubled > 0 { line("Ended by their clients on purpose", Self.grouped(counts.troubled)) }
        for (key, name) in [("max_concurrency", "Maximum request concurrency"), ("request_rate", "Request rate configured (RPS)")] {
            guard let setting = record.settings.first(where: { $0.key == key }), case .number(let value) = setting.value, value.isFinite
            else { continue }
            line(name, value.fixed(key == "request_rate" ? 2 : 0))
        }
        line("Benchmark duration (s)", figures.duration.fixed(2))
        line("Total input tokens", Self.grouped(figures.totals.inputTokens))
        if figures.totals.cachedTokens > 0 { line("  of them cached", Self.grouped(figures.totals.cachedTokens)) }
        line("Total generated tokens", Self.grouped(figures.totals.outputTokens))
        line("Request throughput (req/s)", figures.requestThroughput.fixed(2))
        if let goodput = figures.requestGoodput {
            let limits = figures.objectives.limits.map { "\($0.name) ≤ \($0.milliseconds.fixed(0))" }.joined(separator: ", ")
            line("Request goodput (req/s)", goodput.fixed(2))
            if let share = figures.goodputShare { line("  share with \(limits) ms", "\((100 * share).fixed(1)) %") }
        }
        line("Output token throughput (tok/s)", figures.outputThroughput.fixed(2))
        line("Peak output token throughput (tok/s)", Double(figures.mostTokensPerSecond).fixed(2))
        line("Peak concurrent requests", Self.grouped(figures.mostConcurrent))
        line("Total token throughput (tok/s)", figures.totalTokenThroughput.fixed(2))
        if let users = figures.spreads[.userThroughput] { line("Median output tokens per user (tok/s)", users.median.fixed(2)) }
        if let steady = figures.steady { line("Steady output token throughput (tok/s)", steady.outputThroughput.fixed(2)) }
    }

    private mutating func spread(_ measure: Measure, _ figures: Figures, _ options: ReportOptions) {
        guard let spread = figures.spreads[measure] else { return }
        heading(measure.title, "-")
        line("Mean \(measure.name) (\(measure.unit))", spread.mean.fixed(2))
        line("Median \(measure.name) (\(measure.unit))", spread.median.fixed(2))
        for percentile in options.metricPercentiles {
            guard let value = spread[percentile] else { continue }
            line("P\(Figures.percentileWord(percentile)) \(measure.name) (\(measure.unit))", value.fixed(2))
        }
    }

    private mutating func server(_ figures: Figures) {
        let measures: [Measure] = [.serverQueue, .serverPrefill, .serverDecode, .kvWire, .kvExposed, .kvWait]
        guard measures.contains(where: { figures.spreads[$0] != nil }) || figures.server.cancelToFree != nil else { return }
        heading("The server's own account", "-")
        for measure in measures {
            guard let spread = figures.spreads[measure], spread.most > 0 else { continue }
            line("\(measure.name), median / P99 (ms)", "\(spread.median.fixed(2)) / \((spread[99] ?? 0).fixed(2))")
        }
        if let ratio = figures.transfers.ratio {
            line("KV bytes raw / sent", "\(Self.grouped(figures.transfers.rawBytes)) / \(Self.grouped(figures.transfers.sentBytes))")
            line("KV ratio", ratio.fixed(3))
        }
        if let cancels = figures.server.cancelToFree { line("Mean cancel-to-free (ms)", (cancels.mean * 1e3).fixed(2)) }
    }

    private mutating func harness(_ record: RunRecord, _ harness: HarnessLoad) {
        heading("The harness itself", "-")
        if let lag = harness.lag {
            line("Lag, median / P99 / max (ms)", "\(lag.median.fixed(3)) / \((lag[99] ?? 0).fixed(3)) / \(lag.most.fixed(3))")
        }
        line("Processor share (cores)", harness.processorShare.fixed(2))
        for hook in record.hooks {
            line(
                "Hook at \((Double(hook.at.nanosecondCount) / 1e9).fixed(1)) s: \(hook.command)",
                hook.status.map { "exit \($0)" } ?? "killed")
        }
        guard harness.isBottleneck else { return }
        lines.append("WARNING: the harness may be what was measured:")
        for complaint in harness.complaints { lines.append("  " + complaint) }
    }

    /// Codes and reasons come from servers: what could move a terminal's cursor is replaced, and what no screen would hold is cut.
    private static func harmless(_ text: String) -> String {
        let scalars = text.unicodeScalars.prefix(240).map { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) ? "\u{FFFD}" : String($0) }
        return scalars.joined()
    }

    /// `1,234,567`
    static func grouped(_ value: Int) -> String {
        let digits = Array(String(value.magnitude))
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return value < 0 ? "-" + text : text
    }
}
