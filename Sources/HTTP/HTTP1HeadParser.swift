/// How the end of a request's body is found (RFC 9112, 6.3).
enum HTTP1BodyFraming: Equatable {
    case none
    case length(Int)
    case chunked
}

/// What a request's head asks of the connection.
struct HTTP1RequestHead: Equatable {
    var head: HTTPHead
    var framing: HTTP1BodyFraming
    var keepAlive: Bool
    var expectsContinue: Bool
    /// The decoded `HTTP2-Settings` of a well-formed `Upgrade: h2c`; `nil` when there is none or it is to be ignored.
    var upgradeSettings: [UInt8]?
}

/// Turns the lines of a head into a request. Strict: what two implementations could read differently is refused.
struct HTTP1HeadParser {
    let bytes: ArraySlice<UInt8>
    let lines: [Range<Int>]
    let defaultScheme: String

    func parse() throws(HTTP1Refusal) -> HTTP1RequestHead {
        guard let first = lines.first else { preconditionFailure("a head without a request line was called complete") }
        let (method, target, version) = try requestLine(slice(first))
        let headers = try HTTP1HeadParser.fields(lines.dropFirst().map(slice))
        let host = try self.host(headers, version: version)
        let framing = try self.framing(headers, version: version)
        let head = try place(target, method: method, host: host, headers: headers, version: version)
        var expectsContinue = false
        if version == .http11, let expect = headers["expect"] {
            guard headers.values("expect").count == 1, FieldSyntax.equals(expect.utf8, lowercased: "100-continue") else {
                throw HTTP1Refusal(417, "the expectation is not 100-continue")
            }
            expectsContinue = framing != .none
        }
        let keepAlive =
            !headers.list("connection", contains: "close")
            && (version == .http11 || headers.list("connection", contains: "keep-alive"))
        return HTTP1RequestHead(
            head: head, framing: framing, keepAlive: keepAlive, expectsContinue: expectsContinue,
            upgradeSettings: version == .http11 ? HTTP1HeadParser.upgradeSettings(headers) : nil)
    }

    private func slice(_ line: Range<Int>) -> ArraySlice<UInt8> {
        bytes[(bytes.startIndex + line.lowerBound)..<(bytes.startIndex + line.upperBound)]
    }

    // MARK: Request line

    private func requestLine(_ line: ArraySlice<UInt8>) throws(HTTP1Refusal) -> (String, ArraySlice<UInt8>, HTTPVersion) {
        let parts = line.split(separator: 0x20, maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 3, !parts[0].isEmpty, !parts[1].isEmpty else {
            throw HTTP1Refusal(400, "the request line is not 'method target version'")
        }
        guard parts[0].count <= 32, parts[0].allSatisfy(FieldSyntax.isToken) else { throw HTTP1Refusal(400, "the method is malformed") }
        let version = parts[2]
        guard version.count == 8, version.starts(with: "HTTP/".utf8) else { throw HTTP1Refusal(400, "the HTTP version is malformed") }
        let digits = Array(version.dropFirst(5))
        guard digits[1] == UInt8(ascii: "."), FieldSyntax.decimal(digits[0...0]) != nil, FieldSyntax.decimal(digits[2...2]) != nil else {
            throw HTTP1Refusal(400, "the HTTP version is malformed")
        }
        guard digits[0] == UInt8(ascii: "1"), digits[2] == UInt8(ascii: "0") || digits[2] == UInt8(ascii: "1") else {
            throw HTTP1Refusal(505, "only HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken")
        }
        return (String(decoding: parts[0], as: UTF8.self), parts[1], digits[2] == UInt8(ascii: "1") ? .http11 : .http10)
    }

    /// Origin, absolute and asterisk form; authority form belongs to CONNECT, which is not served.
    private func place(
        _ target: ArraySlice<UInt8>, method: String, host: String, headers: HTTPHeaders, version: HTTPVersion
    ) throws(HTTP1Refusal) -> HTTPHead {
        guard method != "CONNECT" else { throw HTTP1Refusal(501, "CONNECT is not served") }
        var scheme = defaultScheme, authority = host, rest = target
        if target.first != UInt8(ascii: "/"), target.count > 1 {
            guard let colon = target.firstIndex(of: UInt8(ascii: ":")), target[colon...].starts(with: "://".utf8) else {
                throw HTTP1Refusal(400, "the request target is malformed")
            }
            let name = target[..<colon]
            guard FieldSyntax.equals(name, lowercased: "http") || FieldSyntax.equals(name, lowercased: "https") else {
                throw HTTP1Refusal(400, "the request target has a scheme other than http and https")
            }
            scheme = name.count == 4 ? "http" : "https"
            let afterScheme = target[(colon + 3)...]
            let end = afterScheme.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? afterScheme.endIndex
            guard end > afterScheme.startIndex, FieldSyntax.isAuthority(afterScheme[..<end]) else {
                throw HTTP1Refusal(400, "the request target has a malformed authority")
            }
            // RFC 9112, 3.2.2: the target's authority counts, Host does not.
            authority = String(decoding: afterScheme[..<end], as: UTF8.self)
            rest = afterScheme[end...]
            if rest.first != UInt8(ascii: "/") { rest = ArraySlice([UInt8(ascii: "/")] + rest) }
        }
        guard let parsed = RequestTarget(rest, allowsAsterisk: method == "OPTIONS") else {
            throw HTTP1Refusal(400, "the request target is malformed")
        }
        return HTTPHead(
            method: method, scheme: scheme, authority: authority, path: parsed.path, query: parsed.query, headers: headers, version: version)
    }

    // MARK: Fields

    static func fields(_ lines: [ArraySlice<UInt8>]) throws(HTTP1Refusal) -> HTTPHeaders {
        var headers = HTTPHeaders()
        for line in lines {
            guard let first = line.first, !FieldSyntax.isBlank(first) else { throw HTTP1Refusal(400, "a header field is folded") }
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex else {
                throw HTTP1Refusal(400, "a header field has no name")
            }
            let name = line[..<colon]
            guard name.allSatisfy(FieldSyntax.isToken) else { throw HTTP1Refusal(400, "a header field's name is malformed") }
            let value = FieldSyntax.trimmed(line[(colon + 1)...])
            headers.append(String(decoding: name.lazy.map(FieldSyntax.lower), as: UTF8.self), String(decoding: value, as: UTF8.self))
        }
        return headers
    }

    private func host(_ headers: HTTPHeaders, version: HTTPVersion) throws(HTTP1Refusal) -> String {
        let hosts = headers.values("host")
        guard hosts.count == 1 || (hosts.isEmpty && version == .http10) else {
            throw HTTP1Refusal(400, "there are \(hosts.count) Host fields where one is required")
        }
        let host = hosts.first ?? ""
        guard FieldSyntax.isAuthority(host.utf8) else { throw HTTP1Refusal(400, "the Host field is malformed") }
        return host
    }

    private func framing(_ headers: HTTPHeaders, version: HTTPVersion) throws(HTTP1Refusal) -> HTTP1BodyFraming {
        let codings = headers.values("transfer-encoding")
        let lengths = headers.values("content-length")
        if !codings.isEmpty {
            guard version == .http11 else { throw HTTP1Refusal(400, "Transfer-Encoding in an HTTP/1.0 request") }
            guard lengths.isEmpty else { throw HTTP1Refusal(400, "both Transfer-Encoding and Content-Length") }
            guard codings.count == 1 else { throw HTTP1Refusal(400, "more than one Transfer-Encoding") }
            if FieldSyntax.equals(codings[0].utf8, lowercased: "chunked") { return .chunked }
            let parts = codings[0].utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
            let chunked = parts.filter { FieldSyntax.equals($0, lowercased: "chunked") }.count
            guard let last = parts.last, chunked == 1, FieldSyntax.equals(last, lowercased: "chunked") else {
                // Without a final `chunked` the body of a request has no end (RFC 9112, 6.3).
                throw HTTP1Refusal(chunked == 0 ? 501 : 400, "Transfer-Encoding is not chunked")
            }
            throw HTTP1Refusal(501, "Transfer-Encoding names a coding other than chunked")
        }
        guard lengths.count <= 1 else { throw HTTP1Refusal(400, "more than one Content-Length") }
        guard let text = lengths.first else { return .none }
        guard let length = FieldSyntax.decimal(text.utf8) else { throw HTTP1Refusal(400, "the Content-Length is malformed") }
        return length == 0 ? .none : .length(length)
    }

    /// RFC 7540, 3.2: both fields once, both named by Connection, the settings a base64url SETTINGS payload. Anything else: no upgrade.
    private static func upgradeSettings(_ headers: HTTPHeaders) -> [UInt8]? {
        guard headers.list("upgrade", contains: "h2c"), headers.list("connection", contains: "upgrade"),
            headers.list("connection", contains: "http2-settings"), headers.values("http2-settings").count == 1,
            let text = headers["http2-settings"], let settings = Base64URL.decode(text.utf8), areSettings(settings)
        else { return nil }
        return settings
    }

    /// Entries of identifier and value with values that RFC 9113, 6.5.2 allows; as many as nghttp2 takes at once.
    private static func areSettings(_ payload: [UInt8]) -> Bool {
        guard payload.count % 6 == 0, payload.count <= 6 * 32 else { return false }
        return stride(from: 0, to: payload.count, by: 6).allSatisfy { start in
            let value = payload[(start + 2)..<(start + 6)].reduce(0) { $0 << 8 | Int($1) }
            switch Int(payload[start]) << 8 | Int(payload[start + 1]) {
            case 2: return value <= 1
            case 4: return value < 1 << 31
            case 5: return (1 << 14..<1 << 24).contains(value)
            case 8, 9: return value <= 1
            default: return true
            }
        }
    }
}
