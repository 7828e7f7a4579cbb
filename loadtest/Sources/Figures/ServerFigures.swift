/// What the server's own metrics say about the run: differences of counters between the first and the last reading, and gauges between.
package struct ServerFigures: Sendable, Equatable {
    /// Seconds from a cancel to the pages' being free.
    package struct CancelToFree: Sendable, Equatable {
        package var count: Double
        package var mean: Double
        /// From the histogram's buckets, linear inside one; nil where the readings hold none.
        package var median: Double?
        package var p99: Double?
    }

    package struct Gauge: Sendable, Equatable {
        package var mean: Double
        package var most: Double
    }

    package private(set) var cancelToFree: CancelToFree?
    /// By name; counters that did not move are absent.
    package private(set) var grown: [String: Double] = [:]
    package private(set) var gauges: [String: Gauge] = [:]

    /// Names under which servers show the same gauge; the first that is there counts.
    package static let running = [
        "ferry_sequences_running", "vllm:num_requests_running", "llamacpp:requests_processing", "sglang:num_running_reqs",
    ]
    package static let waiting = [
        "ferry_sequences_waiting", "vllm:num_requests_waiting", "llamacpp:requests_deferred", "sglang:num_queue_reqs",
    ]
    package static let usage = [
        "ferry_kv_cache_usage_ratio", "vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc", "sglang:token_usage",
    ]

    private static let cancels = "ferry_cancel_to_free_seconds"

    package init(_ scrapes: [Scrape]) {
        guard let first = scrapes.first, let last = scrapes.last, scrapes.count > 1 else { return }
        for (name, value) in last.values where name.hasSuffix("_total") {
            // A counter that fell belongs to a server that began anew.
            let growth = value - first.values[name, default: 0]
            if growth > 0 { grown[name] = growth }
        }
        for names in [Self.running, Self.waiting, Self.usage] {
            guard let name = names.first(where: { last.values[$0] != nil }) else { continue }
            let values = scrapes.compactMap { $0.values[name] }
            gauges[name] = Gauge(mean: values.reduce(0, +) / Double(values.count), most: values.max() ?? 0)
        }
        cancelToFree = Self.cancelToFree(first.values, last.values)
    }

    private static func cancelToFree(_ first: [String: Double], _ last: [String: Double]) -> CancelToFree? {
        func growth(_ name: String) -> Double { last[name, default: 0] - first[name, default: 0] }
        let count = growth(cancels + "_count")
        guard count > 0 else { return nil }
        let prefix = cancels + "_bucket{le=\""
        let buckets = last.keys.filter { $0.hasPrefix(prefix) && $0.hasSuffix("\"}") }.map { name in
            let edge = name.dropFirst(prefix.count).dropLast(2)
            return (edge: edge == "+Inf" ? Double.infinity : Double(edge) ?? .nan, count: growth(name))
        }.filter { !$0.edge.isNaN }.sorted { $0.edge < $1.edge }
        return CancelToFree(
            count: count, mean: growth(cancels + "_sum") / count, median: quantile(0.5, buckets), p99: quantile(0.99, buckets))
    }

    /// As Prometheus' `histogram_quantile`: linear inside the bucket that holds the rank; the last finite edge for what lies beyond it.
    static func quantile(_ share: Double, _ buckets: [(edge: Double, count: Double)]) -> Double? {
        guard let total = buckets.last?.count, total > 0 else { return nil }
        let rank = share * total
        guard let index = buckets.firstIndex(where: { $0.count >= rank }) else { return nil }
        let below = index == 0 ? (edge: 0.0, count: 0.0) : buckets[index - 1]
        guard buckets[index].edge.isFinite else { return below.edge }
        let inside = buckets[index].count - below.count
        return inside > 0 ? below.edge + (buckets[index].edge - below.edge) * (rank - below.count) / inside : buckets[index].edge
    }
}
