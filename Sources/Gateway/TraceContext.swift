/// A client's place in a trace of its own: the header `traceparent` (W3C Trace Context, 3.2). The log line of the request names the trace, so
/// that its times and those of its KV can be found from there.
struct TraceContext: Equatable {
    /// 32 lower-case hexadecimal digits, not all zero.
    let traceID: String

    /// Nil where there is none or it is malformed: then the trace begins anew, here with nothing (W3C Trace Context, 4.3).
    init?(_ header: String?) {
        guard let parts = header?.split(separator: "-", omittingEmptySubsequences: false), parts.count >= 4, parts[0].utf8.count == 2,
            parts[0] != "ff", parts[0] != "00" || parts.count == 4, parts[1].utf8.count == 32, parts[2].utf8.count == 16,
            parts[3].utf8.count == 2, parts[..<4].allSatisfy({ $0.utf8.allSatisfy(Self.isHexadecimal) }), parts[1].contains(where: { $0 != "0" }),
            parts[2].contains(where: { $0 != "0" })
        else { return nil }
        traceID = String(parts[1])
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte) }
}
