/// Names a request within its connection. HTTP/2: the stream's number. HTTP/1.1: 1, 2, 3, … in the order of arrival.
package typealias StreamID = Int32

package enum HTTPVersion: Sendable, Hashable {
    case http10, http11, http2
}

/// What a client asked for, in one form for all versions of the protocol.
package struct HTTPHead: Sendable, Equatable {
    package var method: String
    /// `http` or `https`; over HTTP/1.1 in origin form, what the connection was told to assume.
    package var scheme: String
    /// `host[:port]` as sent; empty when an HTTP/1.0 client sent none.
    package var authority: String
    /// Starts with `/`, percent-encoded as sent; or `*` for `OPTIONS *`.
    package var path: String
    /// What followed the first `?`, as sent.
    package var query: String?
    /// Without pseudo-header fields. HTTP/1.1: with `host` and what the connection itself acted on.
    package var headers: HTTPHeaders
    package var version: HTTPVersion

    package init(
        method: String, scheme: String, authority: String, path: String, query: String? = nil, headers: HTTPHeaders = [:],
        version: HTTPVersion = .http2
    ) {
        self.method = method
        self.scheme = scheme
        self.authority = authority
        self.path = path
        self.query = query
        self.headers = headers
        self.version = version
    }

    /// The body's size when the client announced it. The parsers have refused malformed and repeated ones.
    package var contentLength: Int? { headers["content-length"].flatMap { FieldSyntax.decimal($0.utf8) } }

    /// Path and query as they stood on the wire.
    package var target: String { query.map { path + "?" + $0 } ?? path }
}

/// Status and fields of a final response.
///
/// The connection owns what belongs to framing: `connection`, `keep-alive`, `transfer-encoding`, `upgrade` and their like are dropped.
/// `content-length` is respected. `server` and `date` are added when absent.
package struct ResponseHead: Sendable, Equatable {
    package var status: Int
    package var headers: HTTPHeaders

    package init(status: Int, headers: HTTPHeaders = [:]) {
        self.status = status
        self.headers = headers
    }
}

/// The path and query of a request target in origin form.
struct RequestTarget {
    let path: String
    let query: String?

    /// `nil` when `bytes` is neither origin form nor, where allowed, `*`.
    init?(_ bytes: some BidirectionalCollection<UInt8>, allowsAsterisk: Bool) {
        if allowsAsterisk, bytes.count == 1, bytes.first == UInt8(ascii: "*") {
            self.path = "*"
            self.query = nil
            return
        }
        guard bytes.first == UInt8(ascii: "/"), bytes.allSatisfy(FieldSyntax.isTarget) else { return nil }
        if let mark = bytes.firstIndex(of: UInt8(ascii: "?")) {
            self.path = String(decoding: bytes[..<mark], as: UTF8.self)
            self.query = String(decoding: bytes[bytes.index(after: mark)...], as: UTF8.self)
        } else {
            self.path = String(decoding: bytes, as: UTF8.self)
            self.query = nil
        }
    }
}
