import Testing

@testable import HTTP

@Suite("HTTP/2 exchanges")
struct HTTP2ExchangeTests {
    @Test("a request and its response cross with fields, body and trailers")
    func roundTrip() throws {
        let wire = Loopback()
        wire.server.date = "Thu, 01 Jan 1970 00:00:00 GMT"
        let id = try #require(wire.client.request(.post("/v1?x=1", headers: ["x-a": "1", "te": "trailers"]), endStream: false))
        wire.client.write(id, Array("question".utf8))
        wire.client.finish(id, trailers: ["x-sum": "9"])
        wire.pump()
        let events = wire.takeServerEvents()
        guard case .request(id, let head, endOfBody: false) = events.first else {
            Issue.record("no request: \(events)")
            return
        }
        #expect(
            head.method == "POST" && head.path == "/v1" && head.query == "x=1" && head.authority == "ferry"
                && head.scheme == "http")
        #expect(head.headers == ["x-a": "1", "te": "trailers"] && head.version == .http2)
        #expect(text(events, of: id) == "question" && events.last == .bodyEnd(id, trailers: ["x-sum": "9"]))

        wire.server.respond(
            id, ResponseHead(status: 200, headers: ["content-type": "text/plain", "connection": "x"]), endStream: false)
        wire.server.write(id, Array("answer".utf8))
        wire.server.finish(id, trailers: ["x-time": "3"])
        wire.pump()
        let answer = wire.takeClientEvents()
        let fields: HTTPHeaders = ["content-type": "text/plain", "date": "Thu, 01 Jan 1970 00:00:00 GMT", "server": "ferry"]
        #expect(answer.first == .response(id, ResponseHead(status: 200, headers: fields), endOfBody: false))
        #expect(text(answer, of: id) == "answer")
        #expect(answer.suffix(2) == [.bodyEnd(id, trailers: ["x-time": "3"]), .streamClosed(id)])
        #expect(wire.takeServerEvents() == [.streamClosed(id)])
        #expect(wire.server.openStreams == 0 && wire.client.openStreams == 0)
    }

    @Test("a response without a body is its head alone")
    func bodyless() throws {
        let wire = Loopback()
        let id = wire.get()
        wire.server.respond(id, ResponseHead(status: 204), endStream: false)
        wire.server.write(id, [1, 2, 3])
        wire.server.finish(id)
        wire.pump()
        #expect(
            wire.takeClientEvents() == [
                .response(id, ResponseHead(status: 204, headers: ["server": "ferry"]), endOfBody: true), .streamClosed(id),
            ])
        #expect(wire.takeServerEvents().last == .streamClosed(id))
    }

    @Test("a stream written a little at a time arrives as it is written")
    func streaming() {
        let wire = Loopback()
        let id = wire.get()
        wire.server.respond(id, ResponseHead(status: 200), endStream: false)
        wire.pump()
        for count in 0..<50 {
            wire.server.write(id, Array("token \(count)".utf8))
            wire.pump()
            #expect(text(wire.takeClientEvents(), of: id) == "token \(count)")
        }
        wire.server.finish(id)
        wire.pump()
        #expect(wire.takeClientEvents() == [.bodyEnd(id, trailers: [:]), .streamClosed(id)])
    }

    @Test("streams with much to send take turns")
    func fairness() {
        var limits = HTTPLimits()
        limits.connectionWindow = 8 << 20
        limits.streamWindow = 1 << 20
        let wire = Loopback(client: limits)
        let ids = (0..<4).map { _ in wire.get() }
        for id in ids {
            wire.server.respond(id, ResponseHead(status: 200), endStream: false)
            wire.server.write(id, [UInt8](repeating: 1, count: 512 << 10))
        }
        var bytes: [UInt8] = []
        wire.server.output(into: &bytes, maximum: 400 << 10)
        var sent: [UInt32: Int] = [:]
        for frame in Frames.parse(bytes) where frame.type == 0 { sent[frame.stream, default: 0] += frame.payload.count }
        #expect(sent.count == 4)
        #expect((sent.values.max() ?? 0) - (sent.values.min() ?? 0) <= 32 << 10)
    }

    @Test("a client that does not open a stream's window blocks that stream and no other")
    func flowControl() {
        var limits = HTTPLimits()
        limits.streamWindow = 10_000
        let wire = Loopback(client: limits)
        let slow = wire.get("/slow"), fast = wire.get("/fast")
        wire.pump(consuming: false)
        for id in [slow, fast] {
            wire.server.respond(id, ResponseHead(status: 200), endStream: false)
            wire.server.write(id, [UInt8](repeating: 1, count: 100_000))
            wire.server.finish(id)
        }
        var got: [StreamID: Int] = [:]
        for _ in 0..<100 {
            wire.pump(consuming: false)
            for case .body(let id, let part) in wire.takeClientEvents() {
                got[id, default: 0] += part.count
                if id == fast { wire.client.consumed(id, part.count) }
            }
        }
        #expect(got[fast] == 100_000)
        #expect(got[slow] == 10_000)
        #expect(wire.server.bufferedBytes(slow) == 90_000 && wire.server.openStreams == 1)
    }

    @Test("a server that does not consume a body receives a window of it, and the rest when it does")
    func inboundFlowControl() throws {
        var limits = HTTPLimits()
        limits.streamWindow = 70_000
        let wire = Loopback(server: limits)
        wire.pump()
        let id = try #require(wire.client.request(.post(), endStream: false))
        wire.client.write(id, [UInt8](repeating: 1, count: 200_000))
        wire.client.finish(id)
        wire.pump(consuming: false)
        var total = body(wire.takeServerEvents(), of: id).count
        #expect(total == 70_000)
        while total < 200_000 {
            wire.server.consumed(id, 70_000)
            wire.pump(consuming: false)
            let more = body(wire.takeServerEvents(), of: id).count
            #expect(more > 0)
            if more == 0 { break }
            total += more
        }
        #expect(total == 200_000)
    }

    @Test("the connection's window survives bodies that were never consumed")
    func abandonedBodies() throws {
        var limits = HTTPLimits()
        limits.streamWindow = 60_000
        limits.connectionWindow = 100_000
        let wire = Loopback(server: limits)
        wire.pump()
        for _ in 0..<20 {
            let id = try #require(wire.client.request(.post(), endStream: false))
            wire.client.write(id, [UInt8](repeating: 1, count: 50_000))
            wire.pump(consuming: false)
            #expect(body(wire.takeServerEvents(), of: id).count == 50_000)
            wire.server.respond(id, ResponseHead(status: 413), endStream: true)
            wire.pump(consuming: false)
            #expect(wire.takeServerEvents().isEmpty)
            wire.client.finish(id)
            wire.pump(consuming: false)
            #expect(wire.takeServerEvents() == [.streamClosed(id)])
            #expect(
                wire.takeClientEvents().contains(
                    .response(id, ResponseHead(status: 413, headers: ["server": "ferry"]), endOfBody: true)))
        }
    }

    @Test("a cancelled request is told to the route, and its buffered output is gone")
    func cancel() {
        let wire = Loopback()
        let id = wire.get()
        wire.server.respond(id, ResponseHead(status: 200), endStream: false)
        wire.server.write(id, [UInt8](repeating: 1, count: 1 << 20))
        wire.client.reset(id, .cancel)
        wire.pump()
        #expect(wire.takeServerEvents().suffix(2) == [.reset(id, .cancel), .streamClosed(id)])
        #expect(wire.takeClientEvents().last == .streamClosed(id))
        #expect(wire.server.bufferedBytes == 0 && wire.server.counters.resetsReceived == 1)
        // Late calls do nothing.
        wire.server.write(id, [1])
        wire.server.finish(id)
        wire.pump()
        #expect(wire.takeClientEvents().isEmpty)
    }

    @Test("a route can break a stream off with a code of its choice")
    func serverReset() {
        let wire = Loopback()
        let id = wire.get()
        wire.server.reset(id, .enhanceYourCalm)
        wire.pump()
        #expect(wire.takeClientEvents() == [.reset(id, .enhanceYourCalm), .streamClosed(id)])
        #expect(wire.takeServerEvents().last == .streamClosed(id))
    }

    @Test("a stream can be reset between the announcement of a frame and its sending")
    func resetMidFrame() {
        let wire = Loopback()
        let id = wire.get(), other = wire.get()
        for stream in [id, other] {
            wire.server.respond(stream, ResponseHead(status: 200), endStream: false)
            wire.server.write(stream, [UInt8](repeating: 1, count: 50_000))
        }
        // Small pieces stop the output between two frames of whichever stream is next.
        for maximum in [1, 10, 100, 16_384, 20_000] {
            var bytes: [UInt8] = []
            wire.server.output(into: &bytes, maximum: maximum)
            wire.client.receive(bytes)
        }
        wire.server.reset(id, .internalError)
        #expect(wire.server.bufferedBytes(id) <= 16_384)
        wire.server.finish(other)
        wire.pump()
        let events = wire.takeClientEvents()
        #expect(events.contains(.reset(id, .internalError)) && events.filter { $0 == .streamClosed(id) }.count == 1)
        #expect(body(events, of: other).count == 50_000 && events.contains(.bodyEnd(other, trailers: [:])))
        #expect(wire.takeServerEvents().suffix(2).contains(.streamClosed(id)))
        #expect(wire.server.bufferedBytes == 0 && wire.server.openStreams == 0)
    }

    @Test("a request cancelled before it left is closed and never arrives")
    func cancelBeforeSending() throws {
        let wire = Loopback()
        wire.pump()
        let id = try #require(wire.client.request(.get(), endStream: true))
        wire.client.reset(id, .cancel)
        wire.pump()
        #expect(wire.takeClientEvents() == [.streamClosed(id)])
        #expect(wire.client.openStreams == 0 && wire.server.openStreams == 0)
        _ = wire.takeServerEvents()
        #expect(wire.get() == id + 2 && wire.takeServerEvents().count == 1)
    }

    @Test("trailers follow a body that had to wait for the window")
    func trailersAfterWindow() {
        var limits = HTTPLimits()
        limits.streamWindow = 5000
        let wire = Loopback(client: limits)
        let id = wire.get()
        wire.server.respond(id, ResponseHead(status: 200), endStream: false)
        wire.server.write(id, [UInt8](repeating: 1, count: 30_000))
        wire.server.finish(id, trailers: ["x-t": "1\r\n2"])
        wire.pump()
        let events = wire.takeClientEvents()
        #expect(body(events, of: id).count == 30_000)
        #expect(events.suffix(2) == [.bodyEnd(id, trailers: ["x-t": "1  2"]), .streamClosed(id)])
    }

    @Test("a response head too large to send resets its stream only")
    func hugeHead() {
        let wire = Loopback()
        let id = wire.get()
        wire.server.respond(
            id, ResponseHead(status: 200, headers: ["x": String(repeating: "é", count: 100_000)]), endStream: true)
        wire.pump()
        #expect(wire.takeServerEvents().suffix(2) == [.reset(id, .internalError), .streamClosed(id)])
        #expect(wire.takeClientEvents().suffix(2) == [.reset(id, .internalError), .streamClosed(id)])
        _ = wire.get()
        #expect(wire.takeServerEvents().count == 1)
    }

    @Test("a response that is complete before its request asks the client to stop, without an error")
    func earlyResponse() throws {
        let wire = Loopback()
        let id = try #require(wire.client.request(.post(), endStream: false))
        wire.pump()
        wire.server.respond(id, ResponseHead(status: 401), endStream: true)
        wire.pump()
        // Not at once: the client may be in the middle of its body.
        #expect(wire.server.isDiscarding(id) && wire.server.openStreams == 1)
        wire.server.stopBody(id)
        wire.pump()
        #expect(wire.takeServerEvents().last == .streamClosed(id))
        let events = wire.takeClientEvents()
        #expect(!events.contains { if case .reset = $0 { true } else { false } } && events.last == .streamClosed(id))
        // A peer that resets an unfinished response cancels it, whatever the code.
        let other = wire.get()
        wire.client.reset(other, .noError)
        wire.pump()
        #expect(wire.takeServerEvents().suffix(2) == [.reset(other, .noError), .streamClosed(other)])
    }

    @Test("the rest of a request that was answered early is thrown away, up to a stream's window")
    func restOfRequest() throws {
        let wire = Loopback()
        let id = try #require(wire.client.request(.post(), endStream: false))
        wire.pump()
        wire.server.respond(id, ResponseHead(status: 413), endStream: true)
        wire.pump()
        wire.client.write(id, Array(repeating: 1, count: 100_000))
        wire.client.finish(id)
        wire.pump()
        let events = wire.takeServerEvents()
        #expect(events.last == .streamClosed(id) && !events.contains { if case .reset = $0 { true } else if case .body = $0 { true } else { false } })
        let server = HTTPServerConnection(protocol: .http2)
        var sent: [UInt8] = []
        func exchange(_ bytes: [UInt8]) {
            server.receive(bytes)
            while server.nextEvent() != nil {}
            while server.output(into: &sent, maximum: 1 << 20) > 0 {}
        }
        exchange(Frames.hello + Frames.headers(1, Frames.request("POST"), end: false))
        server.respond(1, ResponseHead(status: 413), endStream: true)
        exchange(Frames.ping())
        for _ in 0..<16 { exchange(Frames.data(1, Array(repeating: 1, count: 16_384))) }
        #expect(Frames.resets(sent).isEmpty)
        exchange(Frames.data(1, [1]))
        #expect(Frames.resets(sent) == [[1, 0]])
    }

    @Test("a producer hears when its stream's buffer has drained, and is cut off at the limit")
    func backpressure() {
        var limits = HTTPLimits()
        limits.highWater = 10_000
        limits.lowWater = 1000
        limits.maximumBufferedOutput = 50_000
        let wire = Loopback(server: limits)
        let id = wire.get()
        wire.server.respond(id, ResponseHead(status: 200), endStream: false)
        #expect(wire.server.write(id, [UInt8](repeating: 1, count: 20_000)) == 20_000)
        wire.pump()
        #expect(wire.takeServerEvents().filter { $0 == .drained(id) }.count == 1)
        #expect(wire.server.write(id, [UInt8](repeating: 1, count: 60_000)) == 60_000)
        #expect(wire.server.write(id, [1]) == 0)
        wire.pump()
        #expect(wire.takeServerEvents() == [.reset(id, .enhanceYourCalm), .streamClosed(id)])
    }

    @Test("a whole answer is sent, however large")
    func wholeAnswer() {
        var limits = HTTPLimits()
        limits.maximumBufferedOutput = 50_000
        let wire = Loopback(server: limits)
        let id = wire.get()
        wire.server.respond(id, ResponseHead(status: 200), endStream: false)
        wire.server.write(id, [UInt8](repeating: 1, count: 500_000))
        wire.server.finish(id)
        wire.pump()
        #expect(body(wire.takeClientEvents(), of: id).count == 500_000)
        #expect(wire.takeServerEvents().last == .streamClosed(id))
    }

    @Test("draining serves what was on its way, then refuses")
    func drain() throws {
        let wire = Loopback()
        let first = wire.get()
        wire.server.beginDrain()
        // This request crosses the notice.
        let second = try #require(wire.client.request(.get("/late"), endStream: true))
        wire.pump()
        #expect(wire.client.peerIsLeaving)
        #expect(wire.client.request(.get(), endStream: true) == nil)
        let opened = wire.takeServerEvents().compactMap { if case .request(let id, _, _) = $0 { id } else { nil } }
        #expect(opened == [first, second])
        #expect(!wire.server.isFinished)
        for id in opened { wire.server.respond(id, ResponseHead(status: 200), endStream: true) }
        wire.pump()
        let events = wire.takeClientEvents()
        #expect(events.filter { if case .goingAway = $0 { true } else { false } }.count == 2)
        #expect(events.contains(.goingAway(lastStream: second, .noError)))
        #expect(wire.server.isFinished && wire.client.isFinished)
    }

    @Test("a server that cannot wait ends the drain without the client's help")
    func finishDrain() {
        let server = HTTPServerConnection(protocol: .http2)
        server.receive(Frames.hello + Frames.headers(1, Frames.request()))
        server.beginDrain()
        server.finishDrain()
        server.respond(1, ResponseHead(status: 200), endStream: true)
        var bytes: [UInt8] = []
        while server.output(into: &bytes, maximum: 1 << 16) > 0 {}
        #expect(Frames.goAways(bytes) == [0, 0] && server.isFinished)
    }

    @Test("no more streams than the server allows are opened")
    func concurrency() {
        var limits = HTTPLimits()
        limits.maximumConcurrentStreams = 3
        let wire = Loopback(server: limits)
        wire.pump()
        let ids = (0..<3).map { _ in wire.get() }
        #expect(wire.client.request(.get(), endStream: true) == nil)
        wire.server.respond(ids[0], ResponseHead(status: 200), endStream: true)
        wire.pump()
        #expect(wire.client.request(.get(), endStream: true) != nil)
    }

    @Test("Expect: 100-continue is honoured")
    func expectContinue() throws {
        let wire = Loopback()
        let id = try #require(wire.client.request(.post(headers: ["expect": "100-continue"]), endStream: false))
        wire.pump()
        wire.client.write(id, [1])
        wire.client.finish(id)
        wire.pump()
        wire.server.respond(id, ResponseHead(status: 200), endStream: true)
        wire.pump()
        #expect(
            wire.takeClientEvents() == [
                .response(id, ResponseHead(status: 200, headers: ["server": "ferry"]), endOfBody: true), .streamClosed(id),
            ])
    }

    @Test("a closed connection resets every stream on both sides")
    func peerCloses() {
        let wire = Loopback()
        let ids = (0..<3).map { _ in wire.get() }
        _ = wire.takeServerEvents()
        wire.server.peerClosed()
        wire.client.peerClosed()
        wire.pump()
        let expected: [HTTPEvent] = ids.flatMap { [HTTPEvent.reset($0, .cancel), .streamClosed($0)] }
        #expect(wire.takeServerEvents() == expected && wire.takeClientEvents() == expected)
        #expect(wire.server.isFinished && wire.server.failure == .peerClosed(openStreams: 3))
    }

    @Test("an expired connection says goodbye")
    func expire() {
        let wire = Loopback()
        wire.pump()
        wire.server.expire()
        wire.pump()
        #expect(wire.server.isFinished && wire.server.failure == .timedOut && wire.client.isFinished)
    }
}
