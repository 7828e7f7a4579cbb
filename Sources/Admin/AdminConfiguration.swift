/// Settings of the operator's listener. Defaults are the documentation.
package struct AdminConfiguration: Sendable {
    /// Work is there and no step was reported for this long: not ready any more, whatever the worker's pulse says. The longest step of a
    /// healthy worker is one full prefill chunk, seconds on a slow machine.
    package var progressLimit: Duration = .seconds(30)
    /// Repeat metrics under vLLM's names where they mean the same.
    package var compatibleMetricNames = true
    /// What `GET /version` says.
    package var version = "0.0.0"
    /// The process that the in-process worker lives in, for `GET /fleet`.
    package var processID: Int32 = 0

    package init() {}

    /// What is out of bounds, one sentence each, naming the key.
    package func problems() -> [String] {
        guard progressLimit >= .seconds(1), progressLimit <= .seconds(3600) else {
            return ["progressLimit: 1 to 3600 seconds was expected, found \(progressLimit)"]
        }
        return []
    }
}
