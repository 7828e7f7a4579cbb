internal import Gateway
internal import Platform
internal import Synchronization
internal import Telemetry
internal import Weights
internal import Wire

/// The loading of a model's weights: on a thread of its own, and seen by the operator while it goes on.
///
/// To the operator's API it is the gateway's status, and that it is loading for as long as it is. Any thread.
final class ModelLoading: StatusSource {
    private let gateway: Gateway
    private let metrics: MetricRegistry
    private let clock: any MonotonicClock
    private let share: Gauge
    private let readBytes: Gauge
    /// Nil before it has begun and when it has ended.
    private let progress = Mutex<LoadProgress?>(nil)

    init(for gateway: Gateway, metrics: MetricRegistry, clock: any MonotonicClock = SystemClock()) {
        self.gateway = gateway
        self.metrics = metrics
        self.clock = clock
        share = metrics.gauge(.modelLoadShare)
        readBytes = metrics.gauge(.modelLoadBytes)
    }

    var status: ServiceStatus {
        var status = gateway.status
        status.loading = progress.withLock { $0 }
        return status
    }

    /// Says that loading is about to begin.
    func announce() { progress.withLock { $0 = LoadProgress() } }

    /// Does `work`, which takes as long as it takes and cannot be cancelled; the end of the process ends it.
    ///
    /// - Parameter work: gets a function that is to be told how far it is; its result's source names the time it took.
    func run(_ work: @escaping @Sendable ((WeightProgress) -> Void) throws -> LocalWorker.Prepared) async throws -> LocalWorker.Prepared {
        announce()
        let start = clock.now
        let result = await withCheckedContinuation { continuation in
            SystemThread.start(name: "loading") {
                let result = Result { try work(self.take) }
                continuation.resume(returning: result)
            }
        }
        progress.withLock { $0 = nil }
        let prepared = try result.get()
        share.set(1)
        metrics.gauge(.modelLoadTime, MetricLabel("source", prepared.source)).set(clock.now.since(start).inSeconds)
        return prepared
    }

    private func take(_ progress: WeightProgress) {
        share.set(progress.share)
        readBytes.set(progress.readBytes)
        self.progress.withLock {
            $0 = LoadProgress(share: progress.share, stage: progress.stage.rawValue, doneBytes: progress.doneBytes, totalBytes: progress.totalBytes)
        }
    }
}
