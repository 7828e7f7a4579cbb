import Testing

@testable import HTTP

@Suite("From HTTP/1.1 to HTTP/2")
struct UpgradeTests {
    private let asks =
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
    private let switching = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"

    private func output(_ connection: HTTPServerConnection) -> [UInt8] {
        var bytes: [UInt8] = []
        while connection.output(into: &bytes, maximum: 64 << 10) > 0 {}
        return bytes
    }

    @Test("a GET that asks for h2c is answered with 101 and goes on as stream 1")
    func withoutBody() {
        let connection = HTTPServerConnection(protocol: .sniff)
        let events = connection.feed("GET /x HTTP/1.1\r\nHost: a\r\n\(asks)\r\n")
        guard case .request(1, let head, endOfBody: true) = events.first else {
            Issue.record("no request: \(events)")
            return
        }
        #expect(head.path == "/x" && connection.version == .http2 && connection.counters.upgrades == 1)
        connection.respond(1, ResponseHead(status: 200), endStream: false)
        connection.write(1, Array("hello".utf8))
        connection.finish(1)
        connection.receive(Frames.hello)
        let bytes = output(connection)
        #expect(String(decoding: bytes.prefix(switching.utf8.count), as: UTF8.self) == switching)
        let frames = Frames.parse(Array(bytes.dropFirst(switching.utf8.count)))
        #expect(frames.first?.type == 4, "the server's preface is its settings")
        #expect(frames.contains { $0.type == 1 && $0.stream == 1 })
        #expect(frames.contains { $0.type == 0 && $0.stream == 1 && $0.payload == Array("hello".utf8) })
        #expect(connection.events() == [.streamClosed(1)])
        // The connection goes on.
        connection.receive(Frames.headers(3, Frames.request(path: "/y")))
        guard case .request(3, let second, endOfBody: true)? = connection.nextEvent() else {
            Issue.record("stream 3 did not open")
            return
        }
        #expect(second.path == "/y" && second.version == .http2)
    }

    @Test(
        "a POST that asks for h2c is read to its end before the 101",
        arguments: [
            "Content-Length: 10\r\n\r\n0123456789", "Transfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n",
        ])
    func withBody(rest: String) {
        let connection = HTTPServerConnection(protocol: .sniff)
        var events: [HTTPEvent] = []
        let input = Array(("POST / HTTP/1.1\r\nHost: a\r\n" + asks + rest).utf8)
        for (index, byte) in input.enumerated() {
            if index < input.count - 1 { #expect(!connection.hasOutput, "101 before the end of the request") }
            connection.receive([byte])
            events += connection.events()
        }
        #expect(text(events, of: 1) == "0123456789" && events.last == .bodyEnd(1, trailers: [:]))
        connection.consumed(1, 10)
        connection.receive(Frames.hello)
        connection.respond(1, ResponseHead(status: 200), endStream: true)
        let bytes = output(connection)
        #expect(String(decoding: bytes.prefix(switching.utf8.count), as: UTF8.self) == switching)
        #expect(connection.events() == [.streamClosed(1)])
    }

    @Test("the client's preface in the same packet as the request is not lost")
    func onePacket() {
        let connection = HTTPServerConnection(protocol: .sniff)
        connection.receive(
            Array("GET / HTTP/1.1\r\nHost: a\r\n\(asks)\r\n".utf8) + Frames.hello + Frames.headers(3, Frames.request()))
        let opened = connection.events().compactMap { if case .request(let id, _, _) = $0 { id } else { nil } }
        #expect(opened == [1, 3])
    }

    @Test("until the client's preface has come, little follows the 101")
    func allowance() {
        let connection = HTTPServerConnection(protocol: .sniff)
        _ = connection.feed("GET / HTTP/1.1\r\nHost: a\r\n\(asks)\r\n")
        connection.respond(1, ResponseHead(status: 200), endStream: false)
        connection.write(1, [UInt8](repeating: 1, count: 60_000))
        connection.finish(1)
        let early = output(connection)
        #expect(early.count < 30_000 && !connection.hasOutput && !connection.isFinished)
        #expect(connection.awaitsPreface)
        connection.receive(Frames.hello)
        #expect(!connection.awaitsPreface)
        let all = Frames.parse(Array((early + output(connection)).dropFirst(switching.utf8.count)))
        #expect(all.filter { $0.type == 0 }.reduce(0) { $0 + $1.payload.count } == 60_000)
        #expect(connection.events() == [.streamClosed(1)])
    }

    @Test("HEAD keeps its meaning through the upgrade")
    func head() {
        let connection = HTTPServerConnection(protocol: .sniff)
        _ = connection.feed("HEAD / HTTP/1.1\r\nHost: a\r\n\(asks)\r\n")
        connection.receive(Frames.hello)
        connection.respond(1, ResponseHead(status: 200, headers: ["content-length": "5"]), endStream: false)
        connection.write(1, Array("hello".utf8))
        connection.finish(1)
        let frames = Frames.parse(Array(output(connection).dropFirst(switching.utf8.count)))
        #expect(!frames.contains { $0.type == 0 } && connection.events() == [.streamClosed(1)])
    }

    @Test(
        "an upgrade that is not well-formed is ignored",
        arguments: [
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: !!!!\r\n",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\nHTTP2-Settings: AAEAAEAA\r\n",
            "Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n",
            "Connection: HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n", "Connection: Upgrade\r\nUpgrade: websocket\r\n",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2\r\nHTTP2-Settings: AAEAAEAA\r\n",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AASAAAAA\r\n",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAIAAAAC\r\n",
        ])
    func ignored(fields: String) {
        let connection = HTTPServerConnection(protocol: .sniff)
        #expect(connection.feed("GET / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n").count == 1)
        connection.respond(1, ResponseHead(status: 200), endStream: true)
        #expect(connection.sent().hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(connection.version == .http11)
    }

    @Test("an answer before the end of the request, and a later request, are HTTP/1.1")
    func tooEarlyOrTooLate() {
        let early = HTTPServerConnection(protocol: .sniff)
        _ = early.feed("POST / HTTP/1.1\r\nHost: a\r\n\(asks)Content-Length: 2\r\n\r\n")
        early.respond(1, ResponseHead(status: 413), endStream: true)
        #expect(early.sent().hasPrefix("HTTP/1.1 413"))

        let late = HTTPServerConnection(protocol: .sniff)
        _ = late.feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        late.respond(1, ResponseHead(status: 200), endStream: true)
        _ = late.sent()
        _ = late.feed("GET / HTTP/1.1\r\nHost: a\r\n\(asks)\r\n")
        late.respond(2, ResponseHead(status: 200), endStream: true)
        #expect(late.sent().hasPrefix("HTTP/1.1 200"))
    }

    @Test("the preface is recognised byte by byte, and a near miss is HTTP/1.1")
    func sniffing() {
        let connection = HTTPServerConnection(protocol: .sniff)
        for byte in Frames.hello.dropLast(9) { connection.receive([byte]) }
        #expect(connection.version == .http2)
        let other = HTTPServerConnection(protocol: .sniff)
        _ = other.feed("PRI")
        #expect(other.version == nil && other.isReceivingHead)
        _ = other.feed("NT / HTTP/1.1\r\nHost: a\r\n")
        #expect(other.version == .http11)
        #expect(other.feed("\r\n").count == 1)
    }

    @Test("base64url is decoded strictly and encodes back")
    func base64() {
        for count in 0..<20 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 77 &+ 13) }
            #expect(Base64URL.decode(Base64URL.encode(bytes).utf8) == bytes)
        }
        #expect(Base64URL.decode("AAE=".utf8) == [0, 1])
        for bad in ["A", "AB", "AA=", "A+", "A=A=", "=", "AAAA=", "AA==="] {
            #expect(Base64URL.decode(bad.utf8) == nil, "\(bad)")
        }
    }
}
