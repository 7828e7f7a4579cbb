package import Platform

/// What a gateway says of itself to the operator's API: enough to tell alive from ready from progressing.
package struct ServiceStatus: Sendable {
    /// The attached worker; nil while there is none.
    package var worker: WorkerHello?
    package var load = WorkerLoad()
    /// While the model's weights are loaded; nil afterwards.
    package var loading: LoadProgress?
    package var isDraining = false
    /// Requests between arrival and last byte.
    package var requests = 0
    /// Sequences that a worker still owes an ending.
    package var sequences = 0
    /// Admission permits held, counted by the gate itself.
    package var permits = 0
    /// When a step was last reported, or when the first sequence was started after none were running.
    package var lastProgress = MonotonicInstant(nanoseconds: 0)

    /// When the oldest request came whose prompt is still being read, as of about a second ago; nil when there is none.
    package var preparingSince: MonotonicInstant?

    package init() {}
}

/// Where the status is read. Any thread.
package protocol StatusSource: Sendable {
    var status: ServiceStatus { get }
}
