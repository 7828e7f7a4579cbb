import Testing

@testable import HTTP

@Suite("Hostile HTTP/2 peers")
struct HTTP2AbuseTests {
    /// A raw peer: what it sends, what comes back.
    private final class Victim {
        let connection: HTTPServerConnection
        private(set) var output: [UInt8] = []
        private(set) var events: [HTTPEvent] = []

        init(_ limits: HTTPLimits = HTTPLimits()) {
            connection = HTTPServerConnection(protocol: .http2, limits: limits)
            send(Frames.hello)
        }

        func send(_ bytes: [UInt8], flush: Bool = true) {
            connection.receive(bytes)
            drain()
            while flush, connection.output(into: &output, maximum: 1 << 16) > 0 { drain() }
            drain()
        }

        private func drain() {
            while let event = connection.nextEvent() { events.append(event) }
        }

        var requests: [StreamID] { events.compactMap { if case .request(let id, _, _) = $0 { id } else { nil } } }
    }

    @Test(
        "malformed requests reset their stream and leave the others alone",
        arguments: [
            [(":method", "GET"), (":scheme", "http")], [(":scheme", "http"), (":path", "/")],
            [(":method", "GET"), (":path", "/")],
            [(":method", "GET"), (":scheme", "http"), (":path", "")], [(":method", "GET"), (":scheme", "http"), (":path", "x")],
            [(":method", "GET"), (":scheme", "http"), (":path", "/a b")],
            [(":method", "GET"), (":method", "GET"), (":scheme", "http"), (":path", "/")],
            [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":status", "200")],
            [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("X-Upper", "1")],
            [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("connection", "close")],
            [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("transfer-encoding", "chunked")],
            [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("te", "gzip")],
            [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("x", "a\r\nb")],
            [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("x", "a\u{0}b")],
            [(":method", "GET"), (":scheme", "http"), ("x", "1"), (":path", "/")],
            [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("content-length", "1"), ("content-length", "2")],
            [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("content-length", "5")],
        ] as [[(String, String)]])
    func malformed(fields: [(String, String)]) {
        let victim = Victim()
        victim.send(Frames.headers(1, fields) + Frames.headers(3, Frames.request()))
        #expect(Frames.resets(victim.output) == [[1, 1]])
        #expect(victim.requests == [3])
        #expect(Frames.goAways(victim.output).isEmpty && victim.connection.wantsRead)
        #expect(victim.connection.counters.streamErrors == 1)
    }

    @Test(
        "well-formed requests that are not served get their status",
        arguments: [
            ([(":method", "CONNECT"), (":authority", "a:443")], "501"),
            ([(":method", "GET"), (":scheme", "http"), (":path", "/#x"), (":authority", "a")], "400"),
            ([(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a"), ("host", "b")], "400"),
            (
                [
                    (":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a"),
                    ("x", String(repeating: "y", count: 3000)),
                ], "431"
            ),
            (
                [
                    (":method", "GET"), (":scheme", "http"), (":path", "/" + String(repeating: "y", count: 1100)),
                    (":authority", "a"),
                ], "414"
            ),
        ] as [([(String, String)], String)])
    func refused(fields: [(String, String)], status: String) {
        var limits = HTTPLimits()
        limits.maximumHeaderBytes = 2000
        limits.maximumRequestLine = 1000
        let server = HTTPServerConnection(protocol: .http2, limits: limits)
        server.name = "0123456789abcdef"
        let client = HTTPClientConnection()
        // The library's client opens stream 1 with a harmless request, so that it can read the answer; its frame is replaced.
        _ = client.request(.get(), endStream: true)
        var ignored: [UInt8] = []
        client.output(into: &ignored, maximum: 1 << 16)
        server.receive(Frames.hello + Frames.headers(1, fields))
        var bytes: [UInt8] = []
        server.output(into: &bytes, maximum: 1 << 16)
        client.receive(bytes)
        guard case .response(1, let head, _)? = client.nextEvent() else {
            Issue.record("no response")
            return
        }
        #expect(String(head.status) == status)
        #expect(head.headers["x-request-id"] == "0123456789abcdef0000000000000001")
        #expect(server.events().isEmpty, "a refused request is nobody's business")
        #expect(server.counters.refusals == 1)
    }

    @Test(
        "frames that break the connection's rules end it with the right code",
        arguments: [
            ("DATA on stream 0", Frames.data(0, [1]), 1), ("HEADERS on an even stream", Frames.headers(2, Frames.request()), 1),
            ("SETTINGS with an odd length", Frames.frame(4, [1, 2, 3]), 6),
            ("SETTINGS on a stream", Frames.frame(4, stream: 1), 1),
            ("PING of seven bytes", Frames.frame(6, [1, 2, 3, 4, 5, 6, 7]), 6),
            ("WINDOW_UPDATE of 0 on the connection", Frames.windowUpdate(0, 0), 1),
            ("PUSH_PROMISE from a client", Frames.frame(5, flags: 4, stream: 1, [0, 0, 0, 2]), 1),
            ("a frame of 17 MiB", [0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 1], 6),
            ("an initial window of 2^31", Frames.settings([(4, 1 << 31)]), 3), ("DATA on an idle stream", Frames.data(1, [1]), 1),
            ("RST_STREAM on an idle stream", Frames.reset(1), 1),
            ("a window above 2^31-1", Frames.windowUpdate(0, 0x7FFF_FFFF), 3),
            ("HPACK index 0", Frames.frame(1, flags: 5, stream: 1, [0x80]), 9),
            ("HPACK index out of range", Frames.frame(1, flags: 5, stream: 1, [0xFF, 0x7F]), 9),
            ("CONTINUATION out of nowhere", Frames.frame(9, flags: 4, stream: 1, []), 1),
        ])
    func connectionErrors(name: String, frame: [UInt8], code: UInt32) {
        let victim = Victim()
        victim.send(frame)
        #expect(Frames.goAways(victim.output) == [code], "\(name)")
        #expect(victim.connection.isFinished && victim.connection.failure != nil)
        #expect(victim.connection.counters.errorGoAways == 1)
    }

    @Test("open streams are reset when their connection breaks")
    func brokenConnection() {
        let victim = Victim()
        victim.send(Frames.headers(1, Frames.request()) + Frames.headers(3, Frames.request()))
        victim.send(Frames.windowUpdate(0, 0))
        #expect(
            victim.events.suffix(4) == [.reset(1, .protocolError), .streamClosed(1), .reset(3, .protocolError), .streamClosed(3)])
        #expect(victim.connection.openStreams == 0)
    }

    @Test("a wrong preface under ALPN ends the connection")
    func preface() {
        let connection = HTTPServerConnection(protocol: .http2)
        connection.receive(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
        var bytes: [UInt8] = []
        while connection.output(into: &bytes, maximum: 1 << 16) > 0 {}
        #expect(connection.isFinished && connection.failure != nil)
    }

    @Test("a head of endless CONTINUATION frames ends the connection")
    func continuationFlood() {
        let victim = Victim()
        var input = Frames.frame(1, flags: 1, stream: 1, Frames.block(Frames.request()))
        for _ in 0..<100 { input += Frames.frame(9, stream: 1, Frames.block([("x", "1")])) }
        victim.send(input)
        #expect(victim.connection.isFinished && victim.requests.isEmpty)
        #expect(victim.connection.bufferedBytes == 0)
    }

    @Test("a small head that HPACK blows up is refused and takes no memory")
    func headerBomb() {
        let victim = Victim()
        // One entry of 4000 bytes in the dynamic table, then 12,000 references to it: 48 MB of header fields.
        var block = Frames.block(Frames.request())
        block +=
            [0x40, 1, UInt8(ascii: "x"), 127] + [UInt8((4000 - 127) & 127 | 128), UInt8((4000 - 127) >> 7)]
            + [UInt8](repeating: 0x61, count: 4000)
        block += [UInt8](repeating: 0x80 | 62, count: 12_000)
        victim.send(Frames.frame(1, flags: 5, stream: 1, block))
        #expect(victim.requests.isEmpty && victim.connection.counters.refusals == 1)
        #expect(victim.connection.wantsRead && victim.connection.openStreams == 0)
    }

    @Test("rapid resets beyond the budget end the connection; within it they do not")
    func rapidReset() {
        var limits = HTTPLimits()
        limits.resetBurst = 50
        limits.resetsPerSecond = 1
        let honest = Victim(limits), hostile = Victim(limits)
        for index in 0..<40 {
            honest.send(Frames.headers(UInt32(2 * index + 1), Frames.request()) + Frames.reset(UInt32(2 * index + 1)))
        }
        #expect(Frames.goAways(honest.output).isEmpty && honest.connection.counters.resetsReceived == 40)
        for index in 0..<200 where hostile.connection.wantsRead {
            hostile.send(Frames.headers(UInt32(2 * index + 1), Frames.request()) + Frames.reset(UInt32(2 * index + 1)))
        }
        #expect(Frames.goAways(hostile.output).count == 1)
        #expect(hostile.connection.isFinished && hostile.connection.failure != nil)
        #expect(hostile.requests.count < 60)
    }

    @Test("a peer that provokes our resets runs out of them")
    func provokedResets() {
        var limits = HTTPLimits()
        limits.maximumStreamErrors = 20
        let victim = Victim(limits)
        for index in 0..<100 where victim.connection.wantsRead {
            victim.send(
                Frames.headers(UInt32(2 * index + 1), Frames.request()) + Frames.windowUpdate(UInt32(2 * index + 1), 0x7FFF_FFFF))
        }
        #expect(Frames.goAways(victim.output) == [11])
        #expect(victim.requests.count <= 22 && victim.connection.isFinished)
    }

    @Test("bad requests among good ones are each refused and never end the connection")
    func badAmongGood() {
        var limits = HTTPLimits()
        limits.maximumStreamErrors = 20
        let victim = Victim(limits)
        for index in 0..<100 {
            victim.send(Frames.headers(UInt32(4 * index + 1), Frames.request(path: "/#x")))
            let good = StreamID(4 * index + 3)
            victim.send(Frames.headers(UInt32(good), Frames.request()))
            victim.connection.respond(good, ResponseHead(status: 200), endStream: true)
            victim.send([])
        }
        #expect(Frames.goAways(victim.output).isEmpty && victim.connection.wantsRead)
        #expect(victim.requests.count == 100 && victim.connection.counters.refusals == 100)
        // Without good ones they do.
        for index in 0..<100 where victim.connection.wantsRead {
            victim.send(Frames.headers(UInt32(2 * index + 401), Frames.request(path: "/#x")))
        }
        #expect(Frames.goAways(victim.output) == [11])
    }

    @Test(
        "pings and settings that nobody lets us answer end the connection",
        arguments: [Frames.ping(), Frames.settings([(3, 100)])])
    func acknowledgementFlood(frame: [UInt8]) {
        let victim = Victim()
        for _ in 0..<2000 where victim.connection.wantsRead { victim.send(frame, flush: false) }
        #expect(victim.connection.failure == .protocolError(.enhanceYourCalm, detail: "too many acknowledgements or settings"))
        victim.send([])
        #expect(victim.connection.isFinished)
    }

    @Test(
        "frames that bring nobody forward end the connection",
        arguments: [
            Frames.data(1, []), Frames.frame(2, stream: 1, [0, 0, 0, 0, 16]),
        ])
    func idleFrames(frame: [UInt8]) {
        let victim = Victim()
        victim.send(Frames.headers(1, Frames.request("POST"), end: false))
        for _ in 0..<3000 where victim.connection.wantsRead { victim.send(frame) }
        #expect(Frames.goAways(victim.output) == [11])
        #expect(victim.connection.isFinished)
        #expect(victim.events.suffix(2) == [.reset(1, .protocolError), .streamClosed(1)])
    }

    @Test("streams beyond the limit are refused and do not reach a route")
    func tooManyStreams() {
        var limits = HTTPLimits()
        limits.maximumConcurrentStreams = 4
        let victim = Victim(limits)
        for index in 0..<8 { victim.send(Frames.headers(UInt32(2 * index + 1), Frames.request())) }
        #expect(victim.requests == [1, 3, 5, 7])
        #expect(Frames.resets(victim.output) == [[9, 7], [11, 7], [13, 7], [15, 7]])
        #expect(victim.connection.openStreams == 4 && victim.connection.wantsRead)
        // A peer that has acknowledged the limit knows better.
        victim.send(Frames.frame(4, flags: 1) + Frames.headers(17, Frames.request()))
        #expect(Frames.goAways(victim.output) == [1] && victim.connection.isFinished)
    }

    @Test("a body longer than the window ends the stream or the connection")
    func windowOverrun() {
        var limits = HTTPLimits()
        limits.streamWindow = 65_535
        limits.connectionWindow = 65_535
        let victim = Victim(limits)
        victim.send(Frames.frame(4, flags: 1) + Frames.headers(1, Frames.request("POST"), end: false))
        for _ in 0..<8 { victim.send(Frames.data(1, [UInt8](repeating: 1, count: 16_384))) }
        #expect(body(victim.events, of: 1).count <= 65_535)
        #expect(Frames.goAways(victim.output) == [3] || Frames.resets(victim.output) == [[1, 3]])
    }

    @Test("a client that opens windows byte by byte gets its answer all the same")
    func dribble() {
        let victim = Victim()
        victim.send(Frames.settings([(4, 0)]) + Frames.headers(1, Frames.request()))
        victim.connection.respond(1, ResponseHead(status: 200), endStream: false)
        victim.connection.write(1, [1, 2, 3])
        victim.connection.finish(1)
        victim.send([])
        #expect(!Frames.parse(victim.output).contains { $0.type == 0 })
        for _ in 0..<3 { victim.send(Frames.windowUpdate(1, 1)) }
        #expect(Frames.parse(victim.output).filter { $0.type == 0 }.flatMap(\.payload) == [1, 2, 3])
        #expect(victim.events.last == .streamClosed(1))
    }
}
