import Testing

@testable import HTTP

@Suite("HTTP/1.1 requests")
struct HTTP1RequestTests {
    /// The status that a lone piece of input is refused with; `nil` when it is not.
    private func refusal(_ input: String, limits: HTTPLimits = HTTPLimits()) -> Int? {
        guard case .refused(let status, _) = HTTPFuzz.connection(Array(input.utf8), limits: limits).failure else { return nil }
        return status
    }

    private func parsed(_ input: String) -> HTTPHead? {
        for case .request(_, let head, _) in HTTPFuzz.connection(Array(input.utf8)).events { return head }
        return nil
    }

    @Test(
        "a request line that is not exactly 'method target version' is refused",
        arguments: [
            ("GET / HTTP/1.1 \r\n", 400), ("GET  / HTTP/1.1\r\n", 400), (" GET / HTTP/1.1\r\n", 400), ("GET /\r\n", 400),
            ("GET\r\n", 400),
            ("GET / http/1.1\r\n", 400), ("GET / HTTP/1\r\n", 400), ("GET / HTTP/1.1x\r\n", 400), ("GET / HTTP/x.1\r\n", 400),
            ("GET / HTTP/2.0\r\n", 505), ("GET / HTTP/0.9\r\n", 505), ("GET / HTTP/1.2\r\n", 505), ("GET\t/ HTTP/1.1\r\n", 400),
            ("G@T / HTTP/1.1\r\n", 400), ("GET /a b HTTP/1.1\r\n", 400), ("GET /#x HTTP/1.1\r\n", 400),
            ("GET /\u{7f} HTTP/1.1\r\n", 400),
            ("GET /é HTTP/1.1\r\n", 400), ("GET \\x HTTP/1.1\r\n", 400), ("GET x HTTP/1.1\r\n", 400), ("GET * HTTP/1.1\r\n", 400),
            ("GET ftp://a/ HTTP/1.1\r\n", 400), ("GET http:/// HTTP/1.1\r\n", 400), ("GET http://a@b/ HTTP/1.1\r\n", 400),
            ("CONNECT a:443 HTTP/1.1\r\n", 501), ("\r\n\r\nGET / HTTP/1.1\r\n", 400), ("PRI * HTTP/2.0\r\n", 505),
            ("GETGETGETGETGETGETGETGETGETGETGETGET / HTTP/1.1\r\n", 400),
        ])
    func requestLine(line: String, status: Int) {
        #expect(refusal(line + "Host: a\r\n\r\n") == status)
    }

    @Test(
        "a header section that two readers could see differently is refused",
        arguments: [
            ("Host: a\r\nX : 1\r\n", 400), ("Host: a\r\n X: 1\r\n", 400), (" Host: a\r\n", 400),
            ("Host: a\r\nX: 1\r\n folded\r\n", 400),
            ("Host: a\r\nX: 1\r\n\tfolded\r\n", 400), ("Host: a\r\n: 1\r\n", 400), ("Host: a\r\nX\r\n", 400),
            ("Host: a\nX: 1\r\n", 400),
            ("Host: a\r\nX: 1\rY: 2\r\n", 400), ("Host: a\r\nX: \u{0}\r\n", 400), ("Host: a\r\nX\u{0}: 1\r\n", 400),
            ("Host: a\r\nX: \u{1}\r\n", 400),
            ("Host: a\r\nX\u{e9}: 1\r\n", 400), ("Host: a\r\nX(: 1\r\n", 400), ("Host: a\r\r\n", 400), ("", 400),
            ("Host: a\r\nHost: a\r\n", 400),
            ("Host: a\r\nHost: b\r\n", 400), ("Host: a b\r\n", 400), ("Host: a/b\r\n", 400), ("Host: u@a\r\n", 400),
            ("Host: a:8x\r\n", 400),
            ("Host: [::1\r\n", 400), ("Host: a:1:2\r\n", 400), ("Host: :80\r\n", 400), ("Host: a, b/\r\n", 400),
        ])
    func headerSection(section: String, status: Int) {
        #expect(refusal("GET / HTTP/1.1\r\n" + section + "\r\n") == status)
    }

    @Test(
        "a body whose end could be read in two ways is refused",
        arguments: [
            ("Content-Length: 3\r\nContent-Length: 4\r\n", 400), ("Content-Length: 3\r\nContent-Length: 3\r\n", 400),
            ("Content-Length: 3, 3\r\n", 400), ("Content-Length: +3\r\n", 400), ("Content-Length: -3\r\n", 400),
            ("Content-Length: 0x3\r\n", 400),
            ("Content-Length: 3 3\r\n", 400), ("Content-Length:\r\n", 400), ("Content-Length: 99999999999999999999\r\n", 400),
            ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400),
            ("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", 400),
            ("Transfer-Encoding: chunked, chunked\r\n", 400),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
            ("Transfer-Encoding: chunked, gzip\r\n", 400), ("Transfer-Encoding: gzip, chunked\r\n", 501),
            ("Transfer-Encoding: gzip\r\n", 501),
            ("Transfer-Encoding: identity\r\n", 501), ("Transfer-Encoding: xchunked\r\n", 501),
            ("Transfer-Encoding: \u{b}chunked\r\n", 400),
            ("Transfer-Encoding : chunked\r\n", 400), ("Transfer-Encoding:\r\n", 501),
            ("Transfer-Encoding: \"chunked\"\r\n", 501),
            ("Expect: 200-ok\r\n", 417),
        ])
    func framing(section: String, status: Int) {
        #expect(refusal("POST / HTTP/1.1\r\nHost: a\r\n" + section + "\r\n0\r\n\r\n") == status)
    }

    @Test(
        "malformed chunks are refused",
        arguments: [
            "x\r\n", "\r\n", "-1\r\n", "+1\r\na\r\n", "0x1\r\na\r\n", " 1\r\na\r\n", "1 \r\na\r\n", "1\na\r\n", "1\r\naX\r\n",
            "1\r\nab\r\n", "1\r\na\n0\r\n\r\n",
            "1;\u{0}\r\na\r\n", ";x\r\n", "ffffffffffffffff\r\n", "0\r\nContent-Length: 1\r\n\r\n",
            "0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "0\r\nHost: b\r\n\r\n", "0\r\nX : 1\r\n\r\n", "0\r\n folded\r\n\r\n", "0\r\nX: 1\n\r\n", "1\r\na\rb",
        ])
    func chunks(input: String) {
        #expect(refusal("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + input) == 400)
    }

    @Test("limits answer with their own status")
    func limits() {
        var limits = HTTPLimits()
        limits.maximumRequestLine = 100
        limits.maximumHeaderBytes = 200
        limits.maximumHeaderCount = 5
        limits.maximumChunkLine = 32
        let long = String(repeating: "a", count: 300)
        #expect(refusal("GET /\(long) HTTP/1.1\r\nHost: a\r\n\r\n", limits: limits) == 414)
        #expect(refusal(long, limits: limits) == 414)
        #expect(refusal("GET / HTTP/1.1\r\nHost: a\r\nX: \(long)\r\n\r\n", limits: limits) == 431)
        #expect(refusal("GET / HTTP/1.1\r\nHost: a\r\nX: \(long)", limits: limits) == 431)
        #expect(
            refusal("GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "x: 1\r\n", count: 5) + "\r\n", limits: limits) == 431)
        #expect(
            refusal("GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "x: 1\r\n", count: 4) + "\r\n", limits: limits) == nil)
        let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        #expect(refusal(chunked + "1;\(long)\r\na\r\n0\r\n\r\n", limits: limits) == 400)
        #expect(refusal(chunked + String(repeating: "1;12345678901234567890\r\na\r\n", count: 30), limits: limits) == 400)
        #expect(refusal(chunked + "0\r\nX: \(long)\r\n\r\n", limits: limits) == 431)
    }

    @Test("a request becomes method, authority, path, query and fields")
    func parsing() throws {
        let head = try #require(
            parsed("GET /v1/models?a=1?b HTTP/1.1\r\nHoSt: Example:8080\r\nX-A:  b c\t\r\nx-a:d\r\nX-Empty:\r\n\r\n"))
        #expect(head.method == "GET")
        #expect(head.authority == "Example:8080")
        #expect(head.path == "/v1/models")
        #expect(head.query == "a=1?b")
        #expect(head.target == "/v1/models?a=1?b")
        #expect(head.headers == ["host": "Example:8080", "x-a": "b c", "x-a": "d", "x-empty": ""])
        #expect(head.version == .http11)
    }

    @Test("the absolute form's authority counts, not Host")
    func absoluteForm() throws {
        let head = try #require(parsed("GET HTTP://b:1?q HTTP/1.1\r\nHost: a\r\n\r\n"))
        #expect(head.authority == "b:1")
        #expect(head.path == "/" && head.query == "q" && head.scheme == "http")
        #expect(parsed("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")?.path == "*")
        #expect(parsed("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n")?.authority == "[::1]:80")
        #expect(parsed("GET / HTTP/1.0\r\n\r\n")?.authority == "")
        #expect(parsed("GET / HTTP/1.1\r\nHost:\r\n\r\n")?.authority == "")
        #expect(parsed("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")?.path == "/")
    }

    @Test("chunks are joined, extensions skipped, trailers delivered")
    func chunked() {
        let events = HTTPFuzz.connection(
            Array(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3;a=b\r\nabc\r\n00A\r\n0123456789\r\n000\r\nX-T: 1\r\n\r\n"
                    .utf8)
        ).events
        #expect(text(events, of: 1) == "abc0123456789")
        #expect(events.contains(.bodyEnd(1, trailers: ["x-t": "1"])))
    }

    @Test("an error in a body before the answer is told to the route and to the client")
    func errorInBody() {
        let connection = HTTPServerConnection(protocol: .http1)
        _ = connection.feed("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        #expect(connection.feed("zz\r\n") == [.reset(1, .protocolError), .streamClosed(1)])
        let answer = connection.sent()
        #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n") && answer.contains("connection: close\r\n"))
        #expect(connection.isFinished && !connection.wantsRead)
        #expect(connection.counters.refusals == 1)
    }

    @Test("an error in a body after the answer has begun only closes")
    func errorAfterAnswer() {
        let connection = HTTPServerConnection(protocol: .http1)
        _ = connection.feed("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.respond(1, ResponseHead(status: 200), endStream: false)
        _ = connection.sent()
        #expect(connection.feed("zz\r\n") == [.reset(1, .protocolError), .streamClosed(1)])
        #expect(connection.sent() == "" && connection.isFinished)
    }
}
