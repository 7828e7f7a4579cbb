import Testing

@testable import HTTP

@Suite("HTTP/1.1 exchanges")
struct HTTP1ExchangeTests {
    private let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    private func connection(_ limits: HTTPLimits = HTTPLimits()) -> HTTPServerConnection {
        HTTPServerConnection(protocol: .sniff, limits: limits)
    }

    @Test("a response without a known length is chunked and the connection stays")
    func chunkedResponse() {
        let connection = connection()
        connection.date = "Thu, 01 Jan 1970 00:00:00 GMT"
        #expect(connection.feed(get).count == 1)
        connection.respond(
            1, ResponseHead(status: 200, headers: ["content-type": "text/plain", "connection": "x", "x": "a\r\nb"]),
            endStream: false)
        connection.write(1, Array("hello".utf8))
        connection.write(1, [])
        connection.finish(1, trailers: ["x-t": "1"])
        #expect(
            connection.sent()
                == "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx: a  b\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\nserver: ferry\r\n"
                + "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-t: 1\r\n\r\n")
        #expect(connection.events() == [.streamClosed(1)])
        #expect(connection.wantsRead && !connection.isFinished && connection.openStreams == 0)
    }

    @Test("a response with content-length is sent as it is")
    func fixedResponse() {
        let connection = connection()
        _ = connection.feed(get)
        connection.respond(1, ResponseHead(status: 404, headers: ["content-length": "2"]), endStream: false)
        connection.write(1, Array("no".utf8))
        connection.finish(1)
        #expect(connection.sent() == "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\nserver: ferry\r\n\r\nno")
        #expect(connection.events() == [.streamClosed(1)])
    }

    @Test("HEAD, 204 and 304 end with their head", arguments: [("HEAD", 200), ("GET", 204), ("GET", 304)])
    func bodyless(method: String, status: Int) {
        let connection = connection()
        _ = connection.feed("\(method) / HTTP/1.1\r\nHost: a\r\n\r\n")
        connection.respond(1, ResponseHead(status: status), endStream: false)
        connection.write(1, Array("ignored".utf8))
        connection.finish(1)
        #expect(connection.sent() == "HTTP/1.1 \(status) \(HTTPStatus.reason(status))\r\nserver: ferry\r\n\r\n")
        #expect(connection.wantsRead && !connection.isFinished)
    }

    @Test("an empty response says so")
    func emptyResponse() {
        let connection = connection()
        _ = connection.feed(get)
        connection.respond(1, ResponseHead(status: 200), endStream: true)
        #expect(connection.sent() == "HTTP/1.1 200 OK\r\nserver: ferry\r\ncontent-length: 0\r\n\r\n")
    }

    @Test("HTTP/1.0 without a length is ended by the close, with one it may stay")
    func http10() {
        let first = connection()
        _ = first.feed("GET / HTTP/1.0\r\n\r\n")
        first.respond(1, ResponseHead(status: 200), endStream: false)
        first.write(1, Array("x".utf8))
        first.finish(1)
        #expect(first.sent() == "HTTP/1.1 200 OK\r\nserver: ferry\r\nconnection: close\r\n\r\nx")
        #expect(first.isFinished)

        let second = connection()
        _ = second.feed("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        second.respond(1, ResponseHead(status: 200, headers: ["content-length": "1"]), endStream: false)
        second.write(1, Array("x".utf8))
        second.finish(1)
        #expect(second.sent() == "HTTP/1.1 200 OK\r\ncontent-length: 1\r\nserver: ferry\r\nconnection: keep-alive\r\n\r\nx")
        #expect(!second.isFinished && second.wantsRead)
    }

    @Test("connection: close is honoured")
    func connectionClose() {
        let connection = connection()
        _ = connection.feed("GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\n" + get)
        connection.respond(1, ResponseHead(status: 200), endStream: true)
        #expect(connection.sent().contains("\r\nconnection: close\r\n"))
        #expect(connection.events() == [.streamClosed(1)])
        #expect(connection.isFinished)
    }

    @Test("pipelined requests are surfaced one after the other, the next when the response before it has left")
    func pipelining() {
        let connection = connection()
        var events = connection.feed(get + "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi" + get)
        #expect(events.count == 1)
        connection.respond(1, ResponseHead(status: 200), endStream: true)
        #expect(connection.events().isEmpty)
        _ = connection.sent()
        events = connection.events()
        #expect(events.first == .streamClosed(1))
        #expect(text(events, of: 2) == "hi" && events.last == .bodyEnd(2, trailers: [:]))
        connection.respond(2, ResponseHead(status: 200), endStream: true)
        _ = connection.sent()
        #expect(connection.events().count == 2)
        connection.respond(3, ResponseHead(status: 200), endStream: true)
        #expect(connection.sent().hasPrefix("HTTP/1.1 200"))
        #expect(connection.events() == [.streamClosed(3)])
        #expect(connection.counters.requests == 3)
    }

    @Test("a flood of pipelined requests pauses reading and does not grow without bound")
    func pipelineBound() {
        let connection = connection()
        let many = Array(String(repeating: get, count: 1000).utf8)
        connection.receive(many)
        while connection.wantsRead { connection.receive(many) }
        #expect(connection.counters.bytesReceived < 400 << 10)
        for _ in 0..<80 { connection.receive(many) }
        #expect(connection.failure == .backlogExceeded(limit: 64 << 10 + 1 << 20))
        #expect(connection.isFinished)
    }

    @Test("a body that nobody consumes pauses the parser at the window")
    func bodyWindow() {
        var limits = HTTPLimits()
        limits.streamWindow = 1000
        let connection = connection(limits)
        connection.receive(Array("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n".utf8))
        connection.receive([UInt8](repeating: 1, count: 100_000))
        #expect(!connection.wantsRead)
        let events = connection.events()
        #expect(body(events, of: 1).count == 1000)
        connection.consumed(1, 400)
        #expect(body(connection.events(), of: 1).count == 400)
        var total = 1400
        while true {
            connection.consumed(1, 1000)
            let more = body(connection.events(), of: 1).count
            if more == 0 { break }
            total += more
        }
        #expect(total == 100_000 && connection.wantsRead)
    }

    @Test("100 Continue is sent when the route has not answered, and only then")
    func expectContinue() {
        let request = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n"
        let willing = connection()
        _ = willing.feed(request)
        #expect(willing.hasOutput)
        #expect(willing.sent() == "HTTP/1.1 100 Continue\r\n\r\n")
        #expect(willing.feed("hi").last == .bodyEnd(1, trailers: [:]))
        willing.respond(1, ResponseHead(status: 200), endStream: true)
        #expect(willing.sent().hasPrefix("HTTP/1.1 200 OK"))

        let refusing = connection()
        _ = refusing.feed(request)
        refusing.respond(1, ResponseHead(status: 413), endStream: true)
        let answer = refusing.sent()
        #expect(answer.hasPrefix("HTTP/1.1 413") && answer.contains("connection: close"))
        #expect(refusing.isFinished)

        let eager = connection()
        _ = eager.feed(request + "hi")
        #expect(eager.sent() == "")
    }

    @Test("an answer before the end of the request closes and says so, whether or not the rest arrives", arguments: ["", "cd"])
    func earlyAnswer(rest: String) {
        let connection = connection()
        _ = connection.feed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
        connection.respond(1, ResponseHead(status: 413, headers: ["content-length": "2"]), endStream: false)
        connection.write(1, Array("no".utf8))
        connection.finish(1)
        _ = connection.feed(rest)
        #expect(connection.sent() == "HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\nserver: ferry\r\nconnection: close\r\n\r\nno")
        #expect(connection.events().last == .streamClosed(1) && connection.isFinished)
    }

    @Test("a client that leaves resets its request")
    func peerCloses() {
        let connection = connection()
        _ = connection.feed(get)
        connection.respond(1, ResponseHead(status: 200), endStream: false)
        connection.write(1, [1])
        connection.peerClosed()
        #expect(connection.events() == [.reset(1, .cancel), .streamClosed(1)])
        #expect(connection.sent() == "" && connection.isFinished)
        #expect(connection.failure == .peerClosed(openStreams: 1))
        // Late calls do nothing.
        connection.write(1, [1])
        connection.finish(1)
        connection.reset(1, .cancel)
        #expect(connection.events().isEmpty)
    }

    @Test("a client that half-closes after a refused or an answered request still gets its answer")
    func halfClose() {
        let refused = connection()
        _ = refused.feed("bad\r\n\r\n")
        refused.peerClosed()
        #expect(refused.sent().hasPrefix("HTTP/1.1 400") && refused.isFinished)

        let answered = connection()
        _ = answered.feed(get)
        answered.respond(1, ResponseHead(status: 200), endStream: true)
        answered.peerClosed()
        #expect(answered.sent().hasPrefix("HTTP/1.1 200") && answered.isFinished && answered.failure == nil)
        #expect(answered.events() == [.streamClosed(1)])
    }

    @Test("breaking a response off breaks the connection off")
    func reset() {
        let connection = connection()
        _ = connection.feed(get)
        connection.respond(1, ResponseHead(status: 200), endStream: false)
        connection.write(1, [1])
        connection.reset(1, .internalError)
        #expect(connection.events() == [.streamClosed(1)])
        #expect(connection.isFinished && connection.sent() == "")
    }

    @Test("a response that ends short of its length is broken off, not ended")
    func shortResponse() {
        let connection = connection()
        _ = connection.feed(get)
        connection.respond(1, ResponseHead(status: 200, headers: ["content-length": "5"]), endStream: false)
        connection.write(1, [1])
        connection.finish(1)
        #expect(connection.isFinished)
    }

    @Test("draining closes idle connections at once and busy ones after their response")
    func drain() {
        let idle = connection()
        idle.beginDrain()
        #expect(idle.isFinished)

        let busy = connection()
        _ = busy.feed(get + get)
        busy.beginDrain()
        #expect(!busy.isFinished)
        busy.respond(1, ResponseHead(status: 200), endStream: true)
        #expect(busy.sent().contains("connection: close"))
        #expect(busy.events() == [.streamClosed(1)] && busy.isFinished)
    }

    @Test("a request that never ends is answered with 408")
    func expire() {
        let connection = connection()
        _ = connection.feed("GET / HT")
        #expect(connection.isReceivingHead)
        connection.expire()
        #expect(connection.sent().hasPrefix("HTTP/1.1 408 Request Timeout\r\n"))
        #expect(connection.isFinished && connection.failure == .timedOut)

        let idle = self.connection()
        _ = idle.feed(get)
        idle.respond(1, ResponseHead(status: 200), endStream: true)
        _ = idle.sent()
        idle.expire()
        #expect(idle.sent() == "" && idle.isFinished)
    }

    @Test("a producer is told to stop by the count and to go on by drained")
    func backpressure() {
        var limits = HTTPLimits()
        limits.highWater = 1000
        limits.lowWater = 100
        limits.maximumBufferedOutput = 5000
        let connection = connection(limits)
        _ = connection.feed(get)
        connection.respond(1, ResponseHead(status: 200), endStream: false)
        #expect(connection.write(1, [UInt8](repeating: 1, count: 2000)) > 2000)
        var taken: [UInt8] = []
        connection.output(into: &taken, maximum: 1500)
        #expect(taken.count == 1500 && connection.events().isEmpty)
        _ = connection.sent()
        #expect(connection.events() == [.drained(1)])
        connection.write(1, [UInt8](repeating: 1, count: 6000))
        #expect(connection.events().isEmpty)
        connection.write(1, [1])
        #expect(connection.events() == [.reset(1, .enhanceYourCalm), .streamClosed(1)])
        #expect(connection.isFinished && connection.bufferedBytes == 0)
    }

    @Test("a whole answer is sent, however large")
    func wholeAnswer() {
        var limits = HTTPLimits()
        limits.maximumBufferedOutput = 5000
        let connection = connection(limits)
        _ = connection.feed(get)
        connection.respond(1, ResponseHead(status: 200, headers: ["content-length": "50000"]), endStream: false)
        connection.write(1, [UInt8](repeating: UInt8(ascii: "x"), count: 50_000))
        connection.finish(1)
        #expect(connection.sent().count(where: { $0 == "x" }) == 50_000)
        #expect(connection.events() == [.streamClosed(1)] && connection.wantsRead)
    }
}
