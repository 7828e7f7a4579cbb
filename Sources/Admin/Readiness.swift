package import Platform
package import Wire

/// Whether the service can take work now, and if not, why. Alive, ready and progressing are three things: a process that answers may
/// have no worker, and a worker that answers may have stopped computing.
package enum Readiness: Sendable, Equatable {
    case ready
    /// The model's weights are on their way into memory.
    case loading(LoadProgress)
    case noWorker
    case draining
    /// Work waits and no step has been reported, or a prompt has been waiting to be read, for this long.
    case stalled(Duration)

    /// - Parameter workers: of the fleet; nil where there is none, and the one worker is the service's own.
    package init(_ status: ServiceStatus, workers: [WorkerStatus]? = nil, now: MonotonicInstant, progressLimit: Duration) {
        let silence = now.since(status.lastProgress)
        if let loading = status.loading {
            self = .loading(loading)
        } else if status.worker == nil || workers?.contains(where: { $0.state == "ready" }) == false {
            self = .noWorker
        } else if status.isDraining {
            self = .draining
        } else if status.sequences > 0, silence > progressLimit {
            self = .stalled(silence)
        } else if let since = status.preparingSince, now.since(since) > progressLimit {
            self = .stalled(now.since(since))
        } else {
            self = .ready
        }
    }

    /// One word for programs; nil when ready.
    package var code: String? {
        switch self {
        case .ready: nil
        case .loading: "loading"
        case .noWorker: "no_worker"
        case .draining: "draining"
        case .stalled: "stalled"
        }
    }

    package var explanation: String {
        switch self {
        case .ready: "ready"
        case .loading(let progress): "\(progress.stage) weights, \(Int(progress.share * 100)) percent"
        case .noWorker: "no worker is ready"
        case .draining: "the service is shutting down"
        case .stalled(let silence): "work has been waiting for \(Int(silence.inSeconds)) seconds without progress"
        }
    }
}
