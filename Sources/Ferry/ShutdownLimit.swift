internal import Dispatch
internal import Foundation
internal import Platform

/// Ends the process when its shutdown takes longer than it may, whatever its threads do.
///
/// A task that waits for a thread cannot be cancelled, and a thread that computes or hangs in a system call cannot be stopped: nothing
/// but the end of the process is sure. This runs on threads of its own, so that neither the reactor, the pool nor a log that nobody
/// reads can hold it up.
struct ShutdownLimit: Sendable {
    /// What a shutdown may take beyond the time to drain: the last words to clients, the ends of threads.
    static let margin: Duration = .seconds(10)
    /// For the log to take the reason.
    private static let reportTime: Duration = .seconds(1)

    let limit: Duration
    /// Tells the operator why; it may hang.
    let report: @Sendable () -> Void
    /// Does not return to anybody who matters: ends the process.
    let end: @Sendable () -> Void

    /// Counts from now. When the process has ended by itself before, there is nothing left to do.
    func begin() {
        let (limit, report, end) = (limit, report, end)
        SystemThread.start(name: "shutdown") {
            Thread.sleep(forTimeInterval: limit.inSeconds)
            let told = DispatchSemaphore(value: 0)
            SystemThread.start(name: "last-word") {
                report()
                told.signal()
            }
            _ = told.wait(timeout: .now() + Self.reportTime.inSeconds)
            end()
        }
    }
}
