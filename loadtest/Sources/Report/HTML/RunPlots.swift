/// The plots of one run, from its record.
struct RunPlots {
    private let requests: [RequestRecord]
    private let record: RunRecord
    private let figures: Figures

    init(_ record: RunRecord, _ figures: Figures) {
        self.record = record
        self.figures = figures
        requests = record.requests.filter { !$0.isWarmup }
    }

    /// Seconds from the measurement's beginning.
    private func seconds(_ time: Duration) -> Double { Double((time - record.began).nanosecondCount) / 1e9 }

    var all: [String] {
        var list: [String] = []
        for plot in [latency, distributions, throughput, inFlight] where !plot.isEmpty { list.append(plot.figure) }
        if let timeline = StageTimeline.figure(requests, began: record.began) { list.append(timeline) }
        for plot in [transfers, serverRequests, serverUsage, lag] where !plot.isEmpty { list.append(plot.figure) }
        return list
    }

    private var timeAxis: Axis { .linear("intended sending, time since the beginning (s)", requests.map { seconds($0.due) }) }

    private var latency: Plot {
        var first: [Series.Point] = []
        var whole: [Series.Point] = []
        var refused: [(x: Double, title: String)] = []
        for request in requests {
            let due = seconds(request.due)
            if request.outcome == .completed {
                let measures = RequestMeasures(request)
                let tokens = "\(measures.outputTokens) tokens"
                if let ttft = measures.ttft {
                    first.append(
                        .init(
                            x: due, y: Double(ttft) / 1e6, title: "request \(request.number): TTFT \(Markup.number(Double(ttft) / 1e6)) ms")
                    )
                }
                let total = Double(measures.e2el) / 1e6
                whole.append(.init(x: due, y: total, title: "request \(request.number): E2EL \(Markup.number(total)) ms, \(tokens)"))
            } else if request.outcome != .troubled {
                refused.append((due, "request \(request.number): \(OutcomeText.error(request) ?? "")"))
            }
        }
        let y = Axis.logarithmic("latency (ms)", (first + whole).map(\.y))
        return Plot(
            title: "Latency over time", x: timeAxis, y: y,
            series: [
                Series("E2EL", colour: 2, .dots, whole), Series("TTFT", colour: 1, .dots, first),
                Series("refused or failed", colour: 5, .crosses, refused.map { .init(x: $0.x, y: y.upper, title: $0.title) }),
            ],
            horizontals: figures.objectives.limits.filter { $0.name != "tpot" }.map { ($0.milliseconds, "objective: \($0.name)") })
    }

    /// At most 400 points of the distribution, at equal shares.
    private static func distribution(_ values: [Double]) -> [Series.Point] {
        let sorted = values.filter { $0 > 0 }.sorted()
        guard !sorted.isEmpty else { return [] }
        let count = min(400, sorted.count)
        return (1...count).map { step in
            let index = step * sorted.count / count - 1
            return .init(x: sorted[index], y: Double(index + 1) / Double(sorted.count))
        }
    }

    private var distributions: Plot {
        var values: [Measure: [Double]] = [:]
        for request in requests where request.outcome == .completed {
            RequestMeasures(request).forEach { measure, value in
                if SteadyState.measures.contains(measure) { values[measure, default: []].append(Double(value) / 1e6) }
            }
        }
        let marks: [(Measure, Int, Series.Mark)] = [(.ttft, 1, .steps), (.tpot, 3, .dashes), (.itl, 4, .steps), (.e2el, 2, .steps)]
        let series = marks.map { Series($0.0.name, colour: $0.1, $0.2, Self.distribution(values[$0.0] ?? [])) }
        return Plot(
            title: "Distributions", x: .logarithmic("latency (ms)", series.flatMap(\.points).map(\.x)),
            y: .linear("share of values below", [0, 1]),
            series: series)
    }

    /// Slices of a round length, at most 120.
    private var slice: Double {
        let length = max(1e-3, Double((record.ended - record.began).nanosecondCount) / 1e9)
        return [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 600, 3600].first { length / $0 <= 120 } ?? length / 120
    }

    private var throughput: Plot {
        let slice = slice
        let count = Int((max(0, seconds(record.ended)) / slice).rounded(.up)) + 1
        var tokens = [Double](repeating: 0, count: count)
        var good = tokens
        for request in requests {
            let measures = RequestMeasures(request)
            let isGood = request.outcome == .completed && figures.objectives.isMet(by: measures)
            for (time, number) in zip(request.content.nanoseconds, request.content.tokens) {
                let index = Int(seconds(.nanoseconds(time)) / slice)
                guard tokens.indices.contains(index) else { continue }
                tokens[index] += Double(number) / slice
                if isGood { good[index] += Double(number) / slice }
            }
        }
        func points(_ values: [Double]) -> [Series.Point] {
            values.contains { $0 > 0 } ? values.enumerated().map { .init(x: Double($0.offset) * slice, y: $0.element) } : []
        }
        var series = [Series("all", colour: 1, .steps, points(tokens))]
        if !figures.objectives.isEmpty { series.append(Series("of good requests", colour: 3, .steps, points(good))) }
        return Plot(
            title: "Output tokens over time", note: "Slices of \(Markup.short(slice)) s.",
            x: .linear("time since the beginning (s)", [0, Double(count) * slice]),
            y: .linear("tokens per second", tokens), series: series)
    }

    private var inFlight: Plot {
        var events: [(time: Double, change: Int)] = []
        for request in requests {
            guard let sent = request.sent, let ended = request.ended else { continue }
            events.append((seconds(sent), 1))
            events.append((seconds(ended), -1))
        }
        events.sort { ($0.time, $0.change) < ($1.time, $1.change) }
        var now = 0
        let points = events.map { event in
            now += event.change
            return Series.Point(x: event.time, y: Double(now))
        }
        return Plot(
            title: "Requests in flight", x: .linear("time since the beginning (s)", points.map(\.x)),
            y: .linear("requests", points.map(\.y)),
            series: [Series("in flight", colour: 1, .steps, points)])
    }

    private var transfers: Plot {
        var raw: [Series.Point] = []
        var sent: [Series.Point] = []
        for request in requests where request.outcome == .completed {
            guard let transfer = request.server?.transfer, transfer.rawBytes > 0 else { continue }
            let title = "request \(request.number), \(transfer.profile): "
            raw.append(.init(x: seconds(request.due), y: Double(transfer.rawBytes), title: title + "\(transfer.rawBytes) bytes raw"))
            let ratio = transfer.sentBytes > 0 ? (Double(transfer.rawBytes) / Double(transfer.sentBytes)).fixed(3) : "–"
            sent.append(
                .init(
                    x: seconds(request.due), y: Double(transfer.sentBytes),
                    title: title + "\(transfer.sentBytes) bytes sent, ratio \(ratio)"))
        }
        let note = figures.transfers.ratio.map { "Ratio over all: \($0.fixed(3))." } ?? ""
        return Plot(
            title: "KV bytes on the link", note: note, x: timeAxis, y: .logarithmic("bytes", (raw + sent).map(\.y)),
            series: [Series("raw", colour: 1, .dots, raw), Series("sent", colour: 2, .crosses, sent)])
    }

    private func gauge(_ names: [String]) -> [Series.Point] {
        guard let name = names.first(where: { name in record.scrapes.contains { $0.values[name] != nil } }) else { return [] }
        return record.scrapes.compactMap { scrape in
            guard scrape.at >= record.began, let value = scrape.values[name] else { return nil }
            return .init(x: seconds(scrape.at), y: value)
        }
    }

    private var serverRequests: Plot {
        let running = gauge(ServerFigures.running)
        let waiting = gauge(ServerFigures.waiting)
        return Plot(
            title: "The server's running and waiting sequences", x: .linear("time since the beginning (s)", (running + waiting).map(\.x)),
            y: .linear("sequences", (running + waiting).map(\.y)),
            series: [Series("running", colour: 1, .line, running), Series("waiting", colour: 2, .dashes, waiting)])
    }

    private var serverUsage: Plot {
        let usage = gauge(ServerFigures.usage)
        return Plot(
            title: "The server's KV memory", x: .linear("time since the beginning (s)", usage.map(\.x)),
            y: .linear("share in use", usage.map(\.y) + [1]),
            series: [Series("in use", colour: 1, .line, usage)])
    }

    private var lag: Plot {
        let points = Self.distribution(record.lagNanoseconds.map { max(1, Double($0)) / 1e6 })
        return Plot(
            title: "The harness's own lag",
            note: "How much later than intended its timers ran. Above 2 ms at p99 the harness may be what was measured.",
            x: .logarithmic("lag (ms)", points.map(\.x) + [HarnessLoad.mostLag]), y: .linear("share of values below", [0, 1]),
            series: [Series("lag", colour: 1, .steps, points)], verticals: points.isEmpty ? [] : [(HarnessLoad.mostLag, "2 ms")],
            horizontals: points.isEmpty ? [] : [(0.99, "p99")])
    }
}
