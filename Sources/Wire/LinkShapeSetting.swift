/// A slower or worse link than the real one, laid over it for measurements and tests.
package struct LinkShapeSetting: Sendable, Equatable {
    /// Nil: as fast as it goes.
    package var bytesPerSecond: Int?
    package var latency: Duration
    /// The latency varies by up to this.
    package var jitter: Duration
    /// The connection breaks after so many bytes; nil: never.
    package var breakAfterBytes: Int?

    package init(bytesPerSecond: Int? = nil, latency: Duration = .zero, jitter: Duration = .zero, breakAfterBytes: Int? = nil) {
        self.bytesPerSecond = bytesPerSecond
        self.latency = latency
        self.jitter = jitter
        self.breakAfterBytes = breakAfterBytes
    }
}

extension MessageEncoder {
    mutating func put(_ setting: LinkShapeSetting) {
        put(setting.bytesPerSecond) { $0.put($1) }
        put(setting.latency)
        put(setting.jitter)
        put(setting.breakAfterBytes) { $0.put($1) }
    }
}

extension MessageDecoder {
    mutating func linkShape() throws(MessageError) -> LinkShapeSetting {
        LinkShapeSetting(
            bytesPerSecond: try optional("shape.rate") { (decoder) throws(MessageError) in try decoder.natural("shape.rate") },
            latency: try duration("shape.latency"), jitter: try duration("shape.jitter"),
            breakAfterBytes: try optional("shape.break") { (decoder) throws(MessageError) in try decoder.natural("shape.break") })
    }
}
