internal import Synchronization

/// One name and value that tells series of a metric apart.
package struct MetricLabel: Hashable, Sendable {
    package let name: String
    package let value: String

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// All series of a process. Instruments are looked up once and then used without the registry; any thread.
///
/// Bounded: beyond `seriesLimit` label sets, a metric's further ones share one series whose label values are `other`.
package final class MetricRegistry: Sendable {
    enum Instrument: Sendable {
        case counter(Counter)
        case gauge(Gauge)
        case histogram(Histogram)
    }

    struct Series: Sendable {
        let labels: [MetricLabel]
        let instrument: Instrument
    }

    private struct Family {
        var positions: [[MetricLabel]: Int] = [:]
        var series: [Series] = []
    }

    private let families = Mutex<[Metric: Family]>([:])
    private let seriesLimit: Int
    /// Labels that every series carries, such as `model_name`.
    package let commonLabels: [MetricLabel]

    package init(commonLabels: [MetricLabel] = [], seriesLimit: Int = 128) {
        self.commonLabels = commonLabels
        self.seriesLimit = seriesLimit
    }

    package func counter(_ metric: Metric, _ labels: MetricLabel...) -> Counter {
        guard case .counter(let counter) = instrument(metric, labels) else { preconditionFailure("\(metric) is no counter") }
        return counter
    }

    package func gauge(_ metric: Metric, _ labels: MetricLabel...) -> Gauge {
        guard case .gauge(let gauge) = instrument(metric, labels) else { preconditionFailure("\(metric) is no gauge") }
        return gauge
    }

    package func histogram(_ metric: Metric, _ labels: MetricLabel...) -> Histogram {
        guard case .histogram(let histogram) = instrument(metric, labels) else { preconditionFailure("\(metric) is no histogram") }
        return histogram
    }

    /// The series of `metric` in the order they were first asked for.
    func series(of metric: Metric) -> [Series] { families.withLock { $0[metric]?.series ?? [] } }

    private func instrument(_ metric: Metric, _ labels: [MetricLabel]) -> Instrument {
        families.withLock { families in
            var labels = labels
            if families[metric] == nil { families[metric] = Family() }
            if let position = families[metric]!.positions[labels] { return families[metric]!.series[position].instrument }
            if families[metric]!.series.count >= seriesLimit {
                labels = labels.map { MetricLabel($0.name, "other") }
                if let position = families[metric]!.positions[labels] { return families[metric]!.series[position].instrument }
            }
            let instrument: Instrument =
                switch metric.kind {
                case .counter: .counter(Counter())
                case .sampledCounter, .gauge: .gauge(Gauge())
                case .histogram(let edges): .histogram(Histogram(edges: edges))
                }
            families[metric]!.positions[labels] = families[metric]!.series.count
            families[metric]!.series.append(Series(labels: labels, instrument: instrument))
            return instrument
        }
    }
}
