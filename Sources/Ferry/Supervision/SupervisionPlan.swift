/// How child processes are kept alive.
struct SupervisionPlan: Sendable, Equatable {
    /// The wait before the first new start; each further one waits twice as long.
    var shortestPause: Duration = .milliseconds(100)
    var longestPause: Duration = .seconds(10)
    /// A child that was registered for so long is taken for a good one: its pauses begin anew.
    var proof: Duration = .seconds(30)
    /// A child that ends so often and was never registered is given up.
    var attempts = 3
    /// A child that has not registered so long after its start hangs, and is killed. Loading a large model from a slow disk takes minutes.
    var registration: Duration = .seconds(600)
    /// What a child gets between being told to end and being killed.
    var stopLimit: Duration = .seconds(10)

    /// The exit status for bad configuration: another start would end the same way.
    static let badConfiguration: Int32 = 78

    /// The wait after so many failures in a row, from 1.
    func pause(after failures: Int) -> Duration {
        var pause = shortestPause
        for _ in 1..<max(1, failures) where pause < longestPause { pause = pause * 2 }
        return min(pause, longestPause)
    }
}
