/// The gateway's end of a channel to one worker. Transfer implements it; the gateway calls it from its reactor.
package protocol WorkerChannel: Sendable {
    /// What the worker said of itself when the channel opened.
    var hello: WorkerHello { get }

    /// Hands over commands in order. Never blocks.
    ///
    /// - Throws: `WireError.full` when the channel's bound is reached (nothing was taken), `.closed` when the worker is gone.
    func send(_ commands: [WorkerCommand]) throws(WireError)

    /// How long a prompt of `tokens` would take to its first token if it came now, as far as that is known: what is waiting and what it
    /// adds, at the rate that was measured. Nil when nothing was.
    func predictedPrefill(tokens: Int) -> Duration?

    /// Whether something new would be begun now.
    var isServing: Bool { get }
}

extension WorkerChannel {
    package var isServing: Bool { true }

    package func predictedPrefill(tokens: Int) -> Duration? { nil }
}

extension WorkerHello {
    /// `system_fingerprint`: changes when answers to the same seed may.
    package var fingerprint: String { "ferry-\(modelDigest.prefix(12))-\(instructionSet)-\(dtype)" }
}

/// The worker's end. Engine calls it from its own thread, once per step.
package protocol GatewayChannel: Sendable {
    /// Takes every command that has arrived, in order. Does not wait.
    func take() -> [WorkerCommand]

    /// Waits until a command is there, `wake` was called since the last wait, or the channel is closed; false when it is closed and
    /// there is nothing else.
    func wait() async -> Bool

    /// Ends a wait, or keeps the next one from beginning: something else needs the worker. Any thread, cheap, as often as one likes.
    ///
    /// Due with every news of a `TransferPort`, and every 100 ms while a worker has transfers: it may hold deadlines that nothing else
    /// reminds it of while all its sequences wait.
    func wake()

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
