/// How the end of a response's body is told (RFC 9112, 6).
enum HTTP1ResponseFraming: Equatable {
    /// No body, whatever is written: HEAD, 204, 304.
    case none
    case length(remaining: Int)
    case chunked
    /// HTTP/1.0: the end of the connection.
    case untilClose
}

/// Serialises responses.
enum HTTP1ResponseWriter {
    /// Fields that belong to the connection and not to the response (RFC 9110, 7.6.1).
    static func isConnectionSpecific(_ name: String) -> Bool {
        switch name {
        case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te", "http2-settings": true
        default: false
        }
    }

    static func framing(_ response: ResponseHead, isHead: Bool, endStream: Bool, version: HTTPVersion) -> HTTP1ResponseFraming {
        if isHead || !HTTPStatus.hasBody(response.status) { return .none }
        if let text = response.headers["content-length"] {
            guard let length = FieldSyntax.decimal(text.utf8) else {
                preconditionFailure("content-length '\(text)' of our own response is not a number")
            }
            return .length(remaining: length)
        }
        if endStream { return .length(remaining: 0) }
        return version == .http11 ? .chunked : .untilClose
    }

    static func writeHead(
        _ response: ResponseHead, framing: HTTP1ResponseFraming, keepAlive: Bool, version: HTTPVersion, date: String,
        to out: inout ByteQueue
    ) {
        // RFC 9112, 2.3: the version is our own, whatever the client's.
        out.append("HTTP/1.1 \(response.status) \(HTTPStatus.reason(response.status))\r\n")
        for field in response.headers.fields where !isConnectionSpecific(field.name) {
            out.append(field.name)
            out.append(": ")
            append(value: field.value, to: &out)
            out.append("\r\n")
        }
        if !date.isEmpty, !response.headers.contains("date") { out.append("date: \(date)\r\n") }
        if !response.headers.contains("server") { out.append("server: ferry\r\n") }
        switch framing {
        case .chunked: out.append("transfer-encoding: chunked\r\n")
        case .length(let length) where !response.headers.contains("content-length"): out.append("content-length: \(length)\r\n")
        default: break
        }
        if !keepAlive {
            out.append("connection: close\r\n")
        } else if version == .http10 {
            out.append("connection: keep-alive\r\n")
        }
        out.append("\r\n")
    }

    static func writeChunk(_ bytes: RawSpan, to out: inout ByteQueue) {
        out.append(String(bytes.byteCount, radix: 16))
        out.append("\r\n")
        out.append(bytes)
        out.append("\r\n")
    }

    static func writeLastChunk(trailers: HTTPHeaders, to out: inout ByteQueue) {
        out.append("0\r\n")
        for field in trailers.fields where !isConnectionSpecific(field.name) && field.name != "content-length" {
            out.append(field.name)
            out.append(": ")
            append(value: field.value, to: &out)
            out.append("\r\n")
        }
        out.append("\r\n")
    }

    /// A value may echo what a client sent: what would end the line becomes a blank.
    private static func append(value: String, to out: inout ByteQueue) {
        for byte in value.utf8 { out.append(FieldSyntax.isValue(byte) ? byte : 0x20) }
    }
}
