internal import Platform

/// One line on the terminal that tells how a run is doing; nothing where standard error is none.
final class LiveLine: Sendable {
    private let visible = StandardError.isTerminal
    private let planned: Int?

    init(planned: Int?) { self.planned = planned }

    /// For the driver; nil where nobody looks.
    var watch: (@Sendable (Progress) -> Void)? {
        guard visible else { return nil }
        return { self.show($0) }
    }

    private func show(_ progress: Progress) {
        StandardError.write(Array(("\r\u{1B}[K" + Self.text(progress, planned: planned)).utf8))
    }

    func finish() {
        if visible { StandardError.write(Array("\r\u{1B}[K".utf8)) }
    }

    static func text(_ progress: Progress, planned: Int?) -> String {
        func milliseconds(_ time: Duration?) -> String { time.map { "\(Int($0.inMilliseconds.rounded()))" } ?? "-" }
        let seconds = max(progress.elapsed.inSeconds, 1e-3)
        let of = planned.map { "/\($0)" } ?? ""
        let bad = progress.refused + progress.failed
        return "\(Int(seconds)) s  sent \(progress.sent)\(of)  in flight \(progress.inFlight)  done \(progress.done)"
            + (bad > 0 ? "  refused \(progress.refused)  failed \(progress.failed)" : "")
            + "  \(Int(Double(progress.chunks) / seconds)) tok/s"
            + "  TTFT p50 \(milliseconds(progress.firstToken(percentile: 50))) p99 \(milliseconds(progress.firstToken(percentile: 99))) ms"
            + "  lag \((progress.lag.inMilliseconds * 10).rounded() / 10) ms"
    }
}
