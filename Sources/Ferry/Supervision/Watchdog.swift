internal import Dispatch
internal import Foundation
internal import Platform
internal import Reactor

/// Decides whether a thread that must turn has stopped turning. Pure: the moments come from outside.
///
/// A process that was stopped as a whole, or a machine that slept, is no frozen thread: the look itself is late then, and counting begins
/// anew.
struct WatchdogRule: Sendable {
    /// Without a turn for so long, seen by looks that came in time: it hangs.
    let limit: Duration
    /// How often it is looked at.
    let interval: Duration
    private var lastLook: MonotonicInstant?
    /// Since when looks have come in time.
    private var attentiveSince: MonotonicInstant?

    init(limit: Duration, interval: Duration = .milliseconds(250)) {
        precondition(limit > interval, "a watchdog that looks every \(interval) for \(limit)")
        self.limit = limit
        self.interval = interval
    }

    /// - Returns: for how long it has not turned, when that is too long.
    mutating func look(now: MonotonicInstant, lastTurn: MonotonicInstant) -> Duration? {
        let isLate = lastLook.map { now.since($0) > interval * 4 } ?? true
        lastLook = now
        if isLate { attentiveSince = now }
        guard let attentiveSince else { return nil }
        let silence = now.since(max(lastTurn, attentiveSince))
        return silence > limit ? silence : nil
    }
}

/// Ends the process when its reactor hangs: whoever started it starts it again, which nobody would do for one that merely looks alive.
struct Watchdog: Sendable {
    /// For the log to take the reason; a log that nobody reads may be what hangs.
    private static let reportTime: Duration = .seconds(1)

    let reactor: Reactor
    let limit: Duration
    let report: @Sendable (Duration) -> Void

    /// Watches from now on, on a thread of the system, as long as the process lives.
    func begin() {
        let (reactor, limit, report) = (reactor, limit, report)
        SystemThread.start(name: "watchdog") {
            var rule = WatchdogRule(limit: limit)
            while true {
                Thread.sleep(forTimeInterval: rule.interval.inSeconds)
                guard let silence = rule.look(now: SystemClock().now, lastTurn: reactor.pulse.lastTurn) else { continue }
                let told = DispatchSemaphore(value: 0)
                SystemThread.start(name: "last-word") {
                    report(silence)
                    told.signal()
                }
                _ = told.wait(timeout: .now() + Self.reportTime.inSeconds)
                _exit(1)
            }
        }
    }
}
