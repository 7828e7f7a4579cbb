/// One HTTP/2 stream as its session sees it, from the first header to nghttp2's close callback.
final class HTTP2Stream {
    let id: StreamID
    /// The head or trailer section being received.
    var section = HTTP2HeaderSection()
    /// What is to be sent and has not left.
    var out = ByteQueue()
    /// The first bytes of `out` that nghttp2 has already announced in a frame header; they must be there when it sends it.
    var promised = 0
    /// Body bytes received and not consumed.
    var unconsumed = 0
    /// The owner has been told of the stream.
    var announced = false
    /// The request's method is HEAD; the response is its head alone.
    var isHead = false
    var receivedHead = false
    var receivedEnd = false
    var owesContinue = false
    /// Bytes of the request's body that were thrown away after the response was complete; nil before it is.
    var discarded: Int?
    /// The head was submitted (server: response, client: request).
    var submitted = false
    /// Nothing may follow the head; what is written is dropped.
    var bodyless = false
    /// No more bytes will be written.
    var finishing = false
    var trailers = HTTPHeaders()
    /// nghttp2 waits for `nghttp2_session_resume_data`.
    var deferred = false
    var aboveHighWater = false
    /// A reset was submitted or reported; what comes is ignored until the close callback.
    var isDead = false

    init(id: StreamID) { self.id = id }
}

/// A head or trailer section as its fields come in.
struct HTTP2HeaderSection {
    enum Excess { case bytes, count }

    private(set) var headers = HTTPHeaders()
    private(set) var method = "", scheme = "", authority = "", path = "", status = ""
    private var size = 0
    /// The limit that was passed; fields beyond it are dropped.
    private(set) var excess: Excess?

    /// nghttp2 has validated the field: lower case, no connection-specific names, pseudo-header fields first and once.
    mutating func append(name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>, limits: HTTPLimits) {
        // RFC 9113, 6.5.2: the size of a field is its characters and 32.
        size += name.count + value.count + 32
        if excess == nil, size > limits.maximumHeaderBytes { excess = .bytes }
        if excess == nil, headers.count >= limits.maximumHeaderCount { excess = .count }
        guard excess == nil else { return }
        let text = unsafe String(decoding: value, as: UTF8.self)
        let field = unsafe String(decoding: name, as: UTF8.self)
        switch field {
        case ":method": method = text
        case ":scheme": scheme = text
        case ":authority": authority = text
        case ":path": path = text
        case ":status": status = text
        default: headers.append(field, text)
        }
    }

    /// The request, or why it is refused.
    func request(limits: HTTPLimits) throws(HTTP1Refusal) -> HTTPHead {
        switch excess {
        case .bytes: throw HTTP1Refusal(431, "the header fields exceed \(limits.maximumHeaderBytes) bytes")
        case .count: throw HTTP1Refusal(431, "there are more than \(limits.maximumHeaderCount) header fields")
        case nil: break
        }
        guard method != "CONNECT" else { throw HTTP1Refusal(501, "CONNECT is not served") }
        guard path.utf8.count <= limits.maximumRequestLine else {
            throw HTTP1Refusal(414, "the request target exceeds \(limits.maximumRequestLine) bytes")
        }
        guard let target = RequestTarget(Array(path.utf8), allowsAsterisk: method == "OPTIONS") else {
            throw HTTP1Refusal(400, "the request target is malformed")
        }
        let hosts = headers.values("host")
        guard hosts.count <= 1 else { throw HTTP1Refusal(400, "there are \(hosts.count) host fields") }
        if let host = hosts.first, !authority.isEmpty, host != authority { throw HTTP1Refusal(400, "host and :authority differ") }
        let place = authority.isEmpty ? hosts.first ?? "" : authority
        guard FieldSyntax.isAuthority(place.utf8) else { throw HTTP1Refusal(400, "the authority is malformed") }
        return HTTPHead(
            method: method, scheme: scheme, authority: place, path: target.path, query: target.query, headers: headers,
            version: .http2)
    }

    func response() -> ResponseHead { ResponseHead(status: Int(status) ?? 0, headers: headers) }
}
