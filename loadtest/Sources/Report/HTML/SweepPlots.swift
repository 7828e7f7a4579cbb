/// The plots of several runs at growing rates.
struct SweepPlots {
    private let runs: [(rate: Double, figures: Figures)]
    private let knee: Sweep.Knee?

    init(_ runs: [(rate: Double, figures: Figures)], knee: Sweep.Knee?) {
        self.runs = runs.sorted { $0.rate < $1.rate }
        self.knee = knee
    }

    private var verticals: [(at: Double, name: String)] {
        switch knee {
        case .between(let rate, _, _): [(rate, "knee")]
        case .above, .below, nil: []
        }
    }

    private var rates: Axis { .linear("requests asked for (1/s)", runs.map(\.rate)) }

    private func points(_ value: (Figures) -> Double?, _ unit: String) -> [Series.Point] {
        runs.compactMap { run in
            value(run.figures).map { .init(x: run.rate, y: $0, title: "at \(Markup.number(run.rate)) req/s: \(Markup.number($0)) \(unit)") }
        }
    }

    var all: [String] { [throughput, latency].filter { !$0.isEmpty }.map(\.figure) }

    private var throughput: Plot {
        let completed = points(\.requestThroughput, "req/s completed")
        let good = points(\.requestGoodput, "req/s good")
        return Plot(
            title: "Throughput and goodput by rate", note: knee.map { "Knee: \($0)." } ?? "", x: rates,
            y: .linear("requests per second", (completed + good).map(\.y) + [runs.last?.rate ?? 1]),
            series: [
                Series("asked for", colour: 6, .dashes, runs.map { .init(x: $0.rate, y: $0.rate) }),
                Series("completed", colour: 1, .line, completed),
                Series("good", colour: 3, .line, good),
            ], verticals: verticals)
    }

    private var latency: Plot {
        let median = points({ $0.spreads[.ttft]?.median }, "ms TTFT, median")
        let late = points({ $0.spreads[.ttft]?[99] }, "ms TTFT, p99")
        let tokens = points({ $0.spreads[.tpot]?.median }, "ms TPOT, median")
        return Plot(
            title: "Latency by rate", x: rates, y: .logarithmic("latency (ms)", (median + late + tokens).map(\.y)),
            series: [
                Series("TTFT, median", colour: 1, .line, median), Series("TTFT, p99", colour: 2, .dashes, late),
                Series("TPOT, median", colour: 3, .line, tokens),
            ], verticals: verticals)
    }
}
