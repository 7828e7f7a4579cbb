/// The gateway's end of a channel to one worker. Transfer implements it; the gateway calls it from its reactor.
package protocol WorkerChannel: Sendable {
    /// What the worker said of itself when the channel opened.
    var hello: WorkerHello { get }

    /// Hands over commands in order. Never blocks.
    ///
    /// - Throws: `WireError.full` when the channel's bound is reached (nothing was taken), `.closed` when the worker is gone.
    func send(_ commands: [WorkerCommand]) throws(WireError)
}

/// The worker's end. Engine calls it from its own thread, once per step.
package protocol GatewayChannel: Sendable {
    /// Takes every command that has arrived, in order. Does not wait.
    func take() -> [WorkerCommand]

    /// Waits until a command is there or the channel is closed; false when it is closed and empty.
    func wait() async -> Bool

    /// Hands over what one step produced. Never blocks; never drops an ending.
    func deliver(_ report: StepReport)
}

/// Where the reports of a worker arrive. The gateway implements it; Transfer calls it in order from any one thread at a time.
package protocol ReportSink: AnyObject, Sendable {
    func receive(_ report: StepReport)
    /// The worker is gone; what it still owed will not come.
    func workerLost(_ reason: String)
}

package enum WireError: Error, Equatable {
    /// The channel holds as many undelivered commands as its bound allows.
    case full(limit: Int)
    case closed
}
