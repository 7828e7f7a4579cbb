internal import Wire

/// The gateway's end for a command that generates offline: hands reports on to whoever iterates.
final class AnswerCollector: ReportSink {
    let reports: AsyncStream<StepReport>
    private let continuation: AsyncStream<StepReport>.Continuation

    init() {
        // One report per step; the reader is faster than the model, and the answer's length bounds how many there are.
        (reports, continuation) = AsyncStream.makeStream()
    }

    func receive(_ report: StepReport) {
        continuation.yield(report)
    }

    func workerLost(_ reason: String) { continuation.finish() }
}
