/// What the operator's listener answers, by path.
enum Page: String, CaseIterable {
    case index = "/"
    case live = "/health/live"
    case ready = "/health/ready"
    case metrics = "/metrics"
    case version = "/version"
    case fleet = "/fleet"
    case requests = "/requests"

    private var explanation: String {
        switch self {
        case .index: "this page"
        case .live: "200 while the process answers"
        case .ready: "200 when work can be taken and is progressing, else 503 with the reason"
        case .metrics: "Prometheus text"
        case .version: "what runs here"
        case .fleet: "workers, their roles, state, load and links, as JSON"
        case .requests: "requests in work, as JSON"
        }
    }

    /// The list of all pages as HTML.
    ///
    /// - Parameter version: must need no escapes in HTML.
    static func index(_ version: String) -> String {
        var html = "<!doctype html><meta charset=utf-8><title>Ferry</title><h1>Ferry \(version)</h1><table>"
        for page in allCases { html += "<tr><td><a href=\"\(page.rawValue)\">\(page.rawValue)</a><td>\(page.explanation)" }
        for (path, explanation) in Operation.explanations { html += "<tr><td>POST \(path)<td>\(explanation)" }
        return html + "</table>\n"
    }
}
