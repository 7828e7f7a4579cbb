/// How a link behaves that is worse than the one there is, for trying things out.
package struct LinkShape: Sendable, Equatable {
    /// Nil: as fast as it goes.
    package var bytesPerSecond: Int?
    /// Between accepting bytes and handing them to the real stream.
    package var latency: Duration
    /// Up to so much more latency, evenly spread; the order stays.
    package var jitter: Duration
    /// The connection breaks when so many bytes have gone through it.
    package var breakAfterBytes: Int?
    /// The connection breaks by chance, on average after so long.
    package var meanTimeBetweenBreaks: Duration?

    package init(
        bytesPerSecond: Int? = nil, latency: Duration = .zero, jitter: Duration = .zero, breakAfterBytes: Int? = nil,
        meanTimeBetweenBreaks: Duration? = nil
    ) {
        self.bytesPerSecond = bytesPerSecond
        self.latency = latency
        self.jitter = jitter
        self.breakAfterBytes = breakAfterBytes
        self.meanTimeBetweenBreaks = meanTimeBetweenBreaks
    }
}
