internal import HTTP

/// The header `x-request-timeout`: seconds that the client gives the whole answer, from its arrival, as `2.5`.
enum RequestTimeout {
    private static let name = "x-request-timeout"

    /// Nil where the client names none.
    static func read(_ head: HTTPHead) throws(APIError) -> Duration? {
        guard let text = head.headers[name] else { return nil }
        let plain = text.utf8.count <= 16 && text.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") }
        guard plain, let seconds = Double(text), seconds > 0, seconds <= 86_400 else {
            throw APIError(.invalidValue, "\(name) is \"\(text.prefix(32))\"; seconds such as 2.5, above 0 and at most 86400, were expected", param: name)
        }
        return .nanoseconds(Int64(seconds * 1e9))
    }
}
