internal import Routing
internal import Telemetry
internal import Wire

/// The coordinator's instruments.
struct FleetMetrics: Sendable {
    private let registry: MetricRegistry

    init(_ registry: MetricRegistry) { self.registry = registry }

    func refused(_ code: String) { registry.counter(.workersRefused, MetricLabel("code", code)).add() }

    func set(_ workers: [WorkerStatus], _ totals: Dispatcher.Totals) {
        for state in ["ready", "suspect", "draining"] {
            registry.gauge(.workers, MetricLabel("state", state)).set(workers.count { $0.state == state })
        }
        registry.gauge(.placements, MetricLabel("kind", "whole")).set(Double(totals.placedWhole))
        registry.gauge(.placements, MetricLabel("kind", "split")).set(Double(totals.placedSplit))
        registry.gauge(.replays).set(Double(totals.replays))
        registry.gauge(.replayedTokens).set(Double(totals.replayedTokens))
        registry.gauge(.staleMessages).set(Double(totals.stale))
        registry.gauge(.divergences).set(Double(totals.divergences))
        registry.gauge(.workersLost).set(Double(totals.workersLost))
    }
}
