internal import Synchronization

/// A number that only grows. Any thread; one atomic addition.
package final class Counter: Sendable {
    private let cell = Atomic<UInt64>(0)

    package init() {}

    package func add(_ amount: Int = 1) {
        precondition(amount >= 0, "a counter was asked to fall by \(-amount)")
        cell.wrappingAdd(UInt64(amount), ordering: .relaxed)
    }

    package var value: UInt64 { cell.load(ordering: .relaxed) }
}

/// A number that is set. Any thread; one atomic store.
package final class Gauge: Sendable {
    private let cell = Atomic<UInt64>(Double(0).bitPattern)

    package init() {}

    package func set(_ value: Double) { cell.store(value.bitPattern, ordering: .relaxed) }
    package func set(_ value: Int) { set(Double(value)) }

    package var value: Double { Double(bitPattern: cell.load(ordering: .relaxed)) }
}

/// Observations counted in fixed buckets. Any thread; a short lock.
package final class Histogram: Sendable {
    private let state: Mutex<HistogramCounts>

    package init(edges: [Double]) { state = Mutex(HistogramCounts(edges: edges)) }

    package func observe(_ value: Double) { state.withLock { $0.observe(value) } }
    package func observe(_ value: Int) { observe(Double(value)) }

    package func observe(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        observe(Double(seconds) + Double(attoseconds) * 1e-18)
    }

    package var counts: HistogramCounts { state.withLock { $0 } }
}

/// Bucket counts as a value. A bucket holds what is at most its edge and above the edge before.
package struct HistogramCounts: Sendable, Equatable {
    package let edges: [Double]
    /// One more than the edges: the last bucket has no upper edge.
    package private(set) var buckets: [UInt64]
    package private(set) var sum = 0.0

    /// - Parameter edges: finite, strictly ascending, at most 64.
    package init(edges: [Double]) {
        precondition(!edges.isEmpty && edges.count <= 64, "a histogram of \(edges.count) edges")
        precondition(zip(edges, edges.dropFirst()).allSatisfy { $0 < $1 }, "histogram edges out of order: \(edges)")
        self.edges = edges
        self.buckets = Array(repeating: 0, count: edges.count + 1)
    }

    package var count: UInt64 { buckets.reduce(0, +) }

    /// O(log edges). What is not a number is dropped: it has no bucket and would spoil the sum for good.
    package mutating func observe(_ value: Double) {
        guard value.isFinite else { return }
        var low = 0
        var high = edges.count
        while low < high {
            let middle = (low + high) / 2
            if value <= edges[middle] { high = middle } else { low = middle + 1 }
        }
        buckets[low] += 1
        sum += value
    }

    /// The value below which `share` of the observations lie, interpolated inside its bucket; nil when empty.
    package func quantile(_ share: Double) -> Double? {
        let total = count
        guard total > 0 else { return nil }
        let rank = max(1, share * Double(total))
        var below: UInt64 = 0
        for (index, bucket) in buckets.enumerated() where bucket > 0 {
            if Double(below + bucket) >= rank {
                guard index < edges.count else { return edges[edges.count - 1] }
                let lower = index == 0 ? 0 : edges[index - 1]
                return lower + (edges[index] - lower) * (rank - Double(below)) / Double(bucket)
            }
            below += bucket
        }
        return edges[edges.count - 1]
    }
}
