/// Names of requests, in logs, headers and responses.
package enum RequestID {
    /// What a client may give itself; longer or stranger ones are replaced, since they end up in logs and headers.
    private static let longest = 128

    /// The client's own id when it is usable, else a fresh one.
    package static func accept(_ presented: String?) -> String {
        guard let presented, !presented.isEmpty, presented.utf8.count <= longest,
            presented.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") })
        else { return fresh() }
        return presented
    }

    /// 32 hexadecimal digits from the system's random source.
    package static func fresh() -> String { hex(UInt64.random(in: .min ... .max)) + hex(UInt64.random(in: .min ... .max)) }

    private static func hex(_ word: UInt64) -> String {
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
