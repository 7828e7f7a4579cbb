internal import Platform

/// A run's result: the keys of `vllm bench serve`, so that what reads its files reads ours, and beside them the object `ferry_load` with
/// everything else. vLLM counts from the actual sending; here `ttfts`, `latencies` and `start_times`, and all figures made of them, count
/// from the intended one, and `queue_times` is what lies between.
package enum ResultJSON {
    /// Of the object `ferry_load`; raised when a key changes its meaning.
    static let version = 1

    package static func bytes(_ record: RunRecord, _ figures: Figures, _ options: ReportOptions = ReportOptions()) -> [UInt8] {
        var writer = JSONWriter(capacity: 16 << 10)
        writer.beginObject()
        writer.field("date", record.date)
        var taken = reserved(options)
        for setting in record.settings where taken.insert(setting.key).inserted { write(setting, to: &writer) }
        counts(figures, to: &writer)
        if options.saveDetailed { details(record, to: &writer) }
        for measure in options.percentileMetrics { top(measure, figures, options, to: &writer) }
        writer.key("ferry_load")
        own(record, figures, to: &writer)
        writer.endObject()
        return writer.bytes
    }

    private static let detailKeys = [
        "input_lens", "output_lens", "ttfts", "itls", "latencies", "start_times", "queue_times", "errors", "generated_texts",
    ]

    /// Names of figures, which a setting or a `--metadata` of the same name does not take.
    private static func reserved(_ options: ReportOptions) -> Set<String> {
        let words = ["mean", "median", "std"] + options.metricPercentiles.map { "p" + Figures.percentileWord($0) }
        let stems = options.percentileMetrics.map { $0.rawValue + $0.suffix }
        return Set(
            [
                "date", "duration", "completed", "failed", "total_input_tokens", "total_output_tokens", "request_throughput",
                "request_goodput",
                "output_throughput", "total_token_throughput", "max_output_tokens_per_s", "max_concurrent_requests", "ferry_load",
            ] + detailKeys + stems.flatMap { stem in words.map { $0 + "_" + stem } })
    }

    private static func write(_ setting: (key: String, value: SettingValue), to writer: inout JSONWriter) {
        switch setting.value {
        case .text(let text): writer.field(setting.key, text)
        case .number(.infinity): writer.field(setting.key, "inf")
        case .number(let number):
            if let whole = Int(exactly: number) { writer.field(setting.key, whole) } else { writer.field(setting.key, number) }
        case .flag(let flag): writer.field(setting.key, flag)
        case .none: writer.field(setting.key, JSON.null)
        }
    }

    private static func counts(_ figures: Figures, to writer: inout JSONWriter) {
        writer.field("duration", figures.duration)
        writer.field("completed", figures.counts.completed)
        writer.field("failed", figures.counts.unsuccessful)
        writer.field("total_input_tokens", figures.totals.inputTokens)
        writer.field("total_output_tokens", figures.totals.outputTokens)
        writer.field("request_throughput", figures.requestThroughput)
        writer.key("request_goodput")
        if let goodput = figures.requestGoodput { writer.number(goodput) } else { writer.null() }
        writer.field("output_throughput", figures.outputThroughput)
        writer.field("total_token_throughput", figures.totalTokenThroughput)
        writer.field("max_output_tokens_per_s", figures.mostTokensPerSecond)
        writer.field("max_concurrent_requests", figures.mostConcurrent)
    }

    private static func top(_ measure: Measure, _ figures: Figures, _ options: ReportOptions, to writer: inout JSONWriter) {
        // vLLM has zeros where nothing was measured.
        let spread = figures.spreads[measure]
        let stem = measure.rawValue + measure.suffix
        writer.field("mean_" + stem, spread?.mean ?? 0)
        writer.field("median_" + stem, spread?.median ?? 0)
        writer.field("std_" + stem, spread?.deviation ?? 0)
        for percentile in options.metricPercentiles {
            writer.field("p\(Figures.percentileWord(percentile))_" + stem, spread?[percentile] ?? 0)
        }
    }

    /// One entry for each measured request, whatever its end.
    private static func details(_ record: RunRecord, to writer: inout JSONWriter) {
        let requests = record.requests.filter { !$0.isWarmup }
        func list(_ key: String, _ write: (RequestRecord, inout JSONWriter) -> Void) {
            writer.key(key)
            writer.beginArray()
            for request in requests { write(request, &writer) }
            writer.endArray()
        }
        func seconds(_ duration: Duration?) -> Double { Double(duration?.nanosecondCount ?? 0) / 1e9 }
        list("input_lens") { $1.integer($0.inputTokens ?? 0) }
        list("output_lens") { $1.integer($0.outcome == .completed ? RequestMeasures($0).outputTokens : 0) }
        list("ttfts") { $1.number(Double(RequestMeasures($0).ttft ?? 0) / 1e9) }
        list("itls") { request, writer in
            writer.beginArray()
            for gap in RequestMeasures(request).gaps { writer.number(Double(gap) / 1e9) }
            writer.endArray()
        }
        list("latencies") { $1.number(Double(RequestMeasures($0).e2el) / 1e9) }
        list("start_times") { $1.number(seconds($0.due)) }
        list("queue_times") { request, writer in writer.number(request.sent.map { max(0, seconds($0) - seconds(request.due)) } ?? 0) }
        list("errors") { $1.string(OutcomeText.error($0) ?? "") }
        list("generated_texts") { $1.string($0.text) }
    }

    private static func own(_ record: RunRecord, _ figures: Figures, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.field("version", version)
        writer.field("clock", "intended sending")
        writer.key("outcomes")
        outcomes(figures.counts, to: &writer)
        writer.key("figures")
        writer.beginObject()
        for measure in Measure.allCases {
            guard let spread = figures.spreads[measure] else { continue }
            writer.key(measure.rawValue)
            Self.spread(spread, unit: measure.unit, to: &writer)
        }
        writer.endObject()
        goodput(figures, to: &writer)
        steady(figures, to: &writer)
        writer.field("cached_input_tokens", figures.totals.cachedTokens)
        writer.field("delivered_tokens", figures.totals.deliveredTokens)
        writer.field("body_bytes", figures.totals.bodyBytes)
        transfers(figures, to: &writer)
        server(record, figures.server, to: &writer)
        harness(record, figures.harness, to: &writer)
        writer.endObject()
    }

    static func spread(_ spread: Spread, unit: String, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.field("unit", unit)
        writer.field("count", spread.count)
        writer.field("mean", spread.mean)
        writer.field("std", spread.deviation)
        writer.field("min", spread.least)
        writer.field("max", spread.most)
        writer.field("median", spread.median)
        for (percentile, value) in spread.percentiles { writer.field("p\(Figures.percentileWord(percentile))", value) }
        writer.field("percentiles", spread.isExact ? "exact" : "hdr")
        if !spread.isExact { writer.field("percentile_error", Tally.histogramError) }
        writer.endObject()
    }

    private static func outcomes(_ counts: Counts, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.field("completed", counts.completed)
        writer.field("refused", counts.refused)
        writer.field("broken", counts.broken)
        writer.field("failed", counts.failed)
        writer.field("troubled", counts.troubled)
        writer.field("late", counts.late)
        writer.field("unfinished", counts.unfinished)
        writer.field("replayed", counts.replayed)
        writer.key("refusals")
        writer.beginArray()
        for (refusal, count) in counts.refusals.sorted(by: { ($0.key.status, $0.key.code) < ($1.key.status, $1.key.code) }) {
            writer.value(["status": .integer(Int64(refusal.status)), "code": .string(refusal.code), "count": .integer(Int64(count))])
        }
        writer.endArray()
        for (key, table) in [("breaks", counts.breaks), ("failures", counts.failures)] {
            writer.key(key)
            writer.beginObject()
            for (reason, count) in table.sorted(by: { $0.key < $1.key }) { writer.field(reason, count) }
            writer.endObject()
        }
        writer.endObject()
    }

    private static func goodput(_ figures: Figures, to writer: inout JSONWriter) {
        guard let rate = figures.requestGoodput else { return }
        writer.key("goodput")
        writer.beginObject()
        writer.key("objectives_ms")
        writer.beginObject()
        for limit in figures.objectives.limits { writer.field(limit.name, limit.milliseconds) }
        writer.endObject()
        writer.field("requests", figures.good)
        writer.field("requests_per_s", rate)
        if let share = figures.goodputShare { writer.field("share", share) }
        writer.endObject()
    }

    private static func steady(_ figures: Figures, to writer: inout JSONWriter) {
        guard let steady = figures.steady else { return }
        writer.key("steady_state")
        writer.beginObject()
        writer.field("began", Double(steady.began.nanosecondCount) / 1e9)
        writer.field("ended", Double(steady.ended.nanosecondCount) / 1e9)
        writer.field("request_throughput", steady.requestThroughput)
        writer.field("output_throughput", steady.outputThroughput)
        writer.key("figures")
        writer.beginObject()
        for measure in SteadyState.measures {
            guard let spread = steady.spreads[measure] else { continue }
            writer.key(measure.rawValue)
            Self.spread(spread, unit: measure.unit, to: &writer)
        }
        writer.endObject()
        writer.endObject()
    }

    private static func transfers(_ figures: Figures, to writer: inout JSONWriter) {
        guard figures.transfers.count > 0 else { return }
        writer.key("kv")
        writer.beginObject()
        writer.field("transfers", figures.transfers.count)
        writer.field("raw_bytes", figures.transfers.rawBytes)
        writer.field("sent_bytes", figures.transfers.sentBytes)
        if let ratio = figures.transfers.ratio { writer.field("ratio", ratio) }
        writer.key("profiles")
        writer.beginObject()
        for (profile, count) in figures.transfers.byProfile.sorted(by: { $0.key < $1.key }) { writer.field(profile, count) }
        writer.endObject()
        writer.endObject()
    }

    private static func server(_ record: RunRecord, _ server: ServerFigures, to writer: inout JSONWriter) {
        if let cancels = server.cancelToFree {
            writer.key("cancel_to_free_ms")
            writer.beginObject()
            writer.field("count", cancels.count)
            writer.field("mean", cancels.mean * 1e3)
            if let median = cancels.median { writer.field("median", median * 1e3) }
            if let p99 = cancels.p99 { writer.field("p99", p99 * 1e3) }
            writer.endObject()
        }
        guard record.scrapes.count > 1 else { return }
        writer.key("server")
        writer.beginObject()
        writer.field("scrapes", record.scrapes.count)
        writer.key("grown")
        writer.beginObject()
        for (name, value) in server.grown.sorted(by: { $0.key < $1.key }) { writer.field(name, value) }
        writer.endObject()
        writer.key("gauges")
        writer.beginObject()
        for (name, gauge) in server.gauges.sorted(by: { $0.key < $1.key }) {
            writer.field(name, ["mean": .number(gauge.mean), "max": .number(gauge.most)])
        }
        writer.endObject()
        writer.endObject()
    }

    private static func harness(_ record: RunRecord, _ harness: HarnessLoad, to writer: inout JSONWriter) {
        writer.key("harness")
        writer.beginObject()
        if let lag = harness.lag {
            writer.key("lag")
            spread(lag, unit: "ms", to: &writer)
        }
        writer.field("cpu_share", harness.processorShare)
        writer.field("is_bottleneck", harness.isBottleneck)
        writer.field("complaints", JSON.array(harness.complaints.map(JSON.string)))
        writer.field("connections_opened", record.connectionsOpened)
        writer.field("connections_failed", record.connectionsFailed)
        writer.field("peak_in_flight", record.peakInFlight)
        writer.key("hooks")
        writer.beginArray()
        for hook in record.hooks {
            writer.value([
                "at": .number(Double(hook.at.nanosecondCount) / 1e9), "command": .string(hook.command),
                "status": hook.status.map { .integer(Int64($0)) } ?? .null,
            ])
        }
        writer.endArray()
        writer.endObject()
    }
}
