/// Prometheus' text exposition format, version 0.0.4.
package struct PrometheusText {
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private var bytes: [UInt8] = []

    /// The text of every series. `compatibleNames` repeats those that vLLM also has under vLLM's names.
    package static func render(_ registry: MetricRegistry, compatibleNames: Bool = true) -> [UInt8] {
        var text = PrometheusText()
        text.bytes.reserveCapacity(16 * 1024)
        for metric in Metric.allCases {
            let series = registry.series(of: metric)
            guard !series.isEmpty else { continue }
            text.family(metric.rawValue, metric, series, registry.commonLabels)
            guard compatibleNames else { continue }
            for name in metric.compatibleNames { text.family(name, metric, series, registry.commonLabels) }
        }
        return text.bytes
    }

    private mutating func family(_ name: String, _ metric: Metric, _ series: [MetricRegistry.Series], _ common: [MetricLabel]) {
        append("# HELP \(name) \(Self.escapedHelp(metric.explanation))\n# TYPE \(name) \(metric.kind.word)\n")
        for one in series {
            let labels = common + one.labels
            switch one.instrument {
            case .counter(let counter): sample(name, labels, "\(counter.value)")
            case .gauge(let gauge): sample(name, labels, Self.text(gauge.value))
            case .histogram(let histogram): buckets(name, labels, histogram.counts)
            }
        }
    }

    private mutating func buckets(_ name: String, _ labels: [MetricLabel], _ counts: HistogramCounts) {
        var total: UInt64 = 0
        for (index, bucket) in counts.buckets.enumerated() {
            total += bucket
            let edge = index < counts.edges.count ? Self.text(counts.edges[index]) : "+Inf"
            sample(name + "_bucket", labels + [MetricLabel("le", edge)], "\(total)")
        }
        sample(name + "_sum", labels, Self.text(counts.sum))
        sample(name + "_count", labels, "\(total)")
    }

    private mutating func sample(_ name: String, _ labels: [MetricLabel], _ value: String) {
        append(name)
        if !labels.isEmpty {
            append("{")
            for (index, label) in labels.enumerated() {
                append("\(index == 0 ? "" : ",")\(label.name)=\"\(Self.escapedLabel(label.value))\"")
            }
            append("}")
        }
        append(" \(value)\n")
    }

    private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

    /// Whole numbers without a fraction, as most tools write them.
    static func text(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        if let whole = Int64(exactly: value) { return "\(whole)" }
        return "\(value)"
    }

    static func escapedLabel(_ value: String) -> String { escaped(value, quotes: true) }
    static func escapedHelp(_ text: String) -> String { escaped(text, quotes: false) }

    /// The format escapes backslash and line feed, and in label values the quote as well.
    private static func escaped(_ text: String, quotes: Bool) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\"" where quotes: escaped += "\\\""
            case "\n": escaped += "\\n"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
