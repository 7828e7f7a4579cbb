/// Everything that one run of the harness saw. Figures, reports and comparisons are made of it and of nothing else.
package struct RunRecord: Sendable {
    /// What the run was asked to do, as keys of the JSON result (`backend`, `request_rate`, `max_concurrency`, `seed`, `metadata` …).
    package var settings: [(key: String, value: SettingValue)] = []
    /// UTC, ISO 8601.
    package var date = ""
    /// In the order of their numbers; warm-up requests included and marked.
    package var requests: [RequestRecord] = []
    /// From the measurement's start (after the warm-up) to the end of the last request, or of the run.
    package var began: Duration = .zero
    package var ended: Duration = .zero
    /// The harness's own lateness, in nanoseconds: how long after its intended moment each timer ran (a probe every millisecond), and
    /// how long bytes that the kernel had lay unread, as far as a turn of the loop tells.
    package var lagNanoseconds: [Int64] = []
    /// The harness's own processor time in the run, user and system.
    package var processorTime: Duration = .zero
    /// The server's `/metrics`, read in the run: at most one a second.
    package var scrapes: [Scrape] = []
    /// Commands run by hooks, with their exit status.
    package var hooks: [HookRecord] = []
    package var connectionsOpened = 0
    package var connectionsFailed = 0
    /// Most requests in flight at any time.
    package var peakInFlight = 0

    package init() {}
}

package enum SettingValue: Sendable, Equatable {
    case text(String)
    case number(Double)
    case flag(Bool)
    case none
}

/// One reading of `/metrics`: sums over the labels of each name, and histograms' `_sum` and `_count` under their own names.
package struct Scrape: Sendable, Equatable {
    package var at: Duration
    package var values: [String: Double]

    package init(at: Duration, values: [String: Double]) {
        self.at = at
        self.values = values
    }
}

package struct HookRecord: Sendable, Equatable {
    package var at: Duration
    package var command: String
    /// Nil: it was still running at the end of the run and was ended.
    package var status: Int?

    package init(at: Duration, command: String, status: Int?) {
        self.at = at
        self.command = command
        self.status = status
    }
}
