/// What a report holds beside what it always does.
package struct ReportOptions: Sendable, Equatable {
    /// Measures at the top of the JSON result and in the terminal, by their keys: `--percentile-metrics`.
    package var percentileMetrics: [Measure] = [.ttft, .tpot, .itl, .e2el, .clientQueueTime]
    /// `--metric-percentiles`
    package var metricPercentiles: [Double] = [99]
    /// Lists with an entry for each request: `--save-detailed`.
    package var saveDetailed = false

    package init() {}

    /// `ttft,tpot` and `50,99.9`; nil: the defaults.
    package init(percentileMetrics: String?, metricPercentiles: String?, saveDetailed: Bool) throws(PlanError) {
        self.saveDetailed = saveDetailed
        if let text = percentileMetrics {
            self.percentileMetrics = []
            for word in text.split(separator: ",") {
                guard let measure = Measure(rawValue: String(word)) else {
                    throw .setting(
                        "--percentile-metrics", "\"\(word)\"", expected: Measure.allCases.map(\.rawValue).joined(separator: ", "))
                }
                self.percentileMetrics.append(measure)
            }
        }
        if let text = metricPercentiles {
            self.metricPercentiles = []
            for word in text.split(separator: ",") {
                guard let value = Double(word), value > 0, value < 100 else {
                    throw .setting("--metric-percentiles", "\"\(word)\"", expected: "numbers between 0 and 100")
                }
                self.metricPercentiles.append(value)
            }
        }
    }
}
