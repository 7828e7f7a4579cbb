/// Whether the harness kept up with what it measured.
package struct HarnessLoad: Sendable {
    /// Milliseconds by which it was late. Nil: not measured.
    package let lag: Spread?
    /// Processor time by elapsed time: 1 is a whole core.
    package let processorShare: Double
    /// Why the harness, and not the server, may be what was measured. Empty: it kept up.
    package let complaints: [String]

    /// A tenth of what users feel in the time between tokens.
    static let mostLag = 2.0
    static let mostShare = 0.9

    init(_ record: RunRecord, seconds: Double) {
        lag = Tally(record.lagNanoseconds).spread(percentiles: Figures.percentiles)?.divided(by: 1e6)
        processorShare = seconds > 0 ? Double(record.processorTime.nanosecondCount) / 1e9 / seconds : 0
        var complaints: [String] = []
        if let late = lag?[99], late > Self.mostLag {
            complaints.append("its lag reached \(late.fixed(2)) ms at p99, more than \(Self.mostLag.fixed(0)) ms")
        }
        if processorShare > Self.mostShare {
            complaints.append("it used \((100 * processorShare).fixed(0)) % of a core, more than \((100 * Self.mostShare).fixed(0)) %")
        }
        self.complaints = complaints
    }

    package var isBottleneck: Bool { !complaints.isEmpty }
}

extension Double {
    /// With so many decimals, rounded; `–` for what is no number.
    func fixed(_ decimals: Int) -> String {
        guard isFinite else { return "–" }
        var scale = 1.0
        for _ in 0..<decimals { scale *= 10 }
        let scaled = (magnitude * scale).rounded()
        guard scaled < 1e15 else { return "\(self)" }
        let digits = String(Int64(scaled))
        let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
        let sign = self < 0 && scaled > 0 ? "-" : ""
        return decimals == 0 ? sign + padded : sign + padded.dropLast(decimals) + "." + padded.suffix(decimals)
    }
}
