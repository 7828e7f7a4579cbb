import Reactor
import Server
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5)))
struct HTTP1ServerTests {
    @Test func `requests on one connection are answered one after the other, pipelined or not`() async throws {
        let service = try await Service()
        let client = try await service.client()
        #expect(try await client.get("/hello") == "hello\n")
        #expect(try await client.get("/hello") == "hello\n")
        try await client.send(
            "GET /hello HTTP/1.1\r\nhost: a\r\n\r\n"
                + "POST /size HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc"
                + "GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n")
        #expect(try await client.response().body == Array("hello\n".utf8))
        #expect(try await client.response().body == Array("3".utf8))
        #expect(try await client.response().head.hasPrefix("HTTP/1.1 404 Not Found\r\n"))
        await client.close()
        let counters = await service.end()
        #expect(counters.requests == 5)
        #expect(counters.connectionsAccepted == 1)
        #expect(counters.clientResets == 0)
    }

    @Test func `what is pipelined while the server is busy waits in the system and is not lost`() async throws {
        let service = try await Service()
        let client = try await service.client()
        // Lets the system give the connection large buffers.
        let large = 16 << 20
        try await client.send("POST /size HTTP/1.1\r\nhost: a\r\ncontent-length: \(large)\r\n\r\n")
        try await client.send([UInt8](repeating: 1, count: large))
        #expect(try await client.response().body == Array("\(large)".utf8))
        let before = await service.server.counters.bytesReceived
        let length = 4 << 20
        let requests =
            Array("GET /hold HTTP/1.1\r\nhost: a\r\n\r\nPOST /size HTTP/1.1\r\nhost: a\r\ncontent-length: \(length)\r\n\r\n".utf8)
            + [UInt8](repeating: 1, count: length)
        let sent = try await service.withReactorBusy { try await client.sendNow(requests) }
        let received = await service.counters { $0.bytesReceived > before }.bytesReceived - before
        // Reads of 64 KiB until more than that waits behind the first request.
        #expect(received <= 192 << 10)
        let other = try await service.client()
        #expect(try await other.get("/release") == "")
        #expect(try await client.response().body == Array("released\n".utf8))
        try await client.send(Array(requests[sent...]))
        #expect(try await client.response().body == Array("\(length)".utf8))
        await client.close()
        await other.close()
        await service.end()
    }

    @Test func `a ten megabyte body goes in and comes out unchanged`() async throws {
        let service = try await Service()
        let client = try await service.client()
        let block = (0..<10_007).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ ($0 >> 8)) }
        var body: [UInt8] = []
        for _ in 0..<1048 { body += block }
        try await client.send("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: \(body.count)\r\n\r\n")
        try await client.send(body)
        #expect(try await client.response().body == body)
        await client.close()
        await service.end()
    }

    @Test func `a body beyond the route's limit is answered with 413, announced or not`() async throws {
        let service = try await Service()
        let announced = try await service.client()
        try await announced.send("POST /small HTTP/1.1\r\nhost: a\r\ncontent-length: 101\r\n\r\n")
        let (head, body) = try await announced.response()
        #expect(head.hasPrefix("HTTP/1.1 413 Content Too Large\r\n"))
        #expect(head.contains("\r\nconnection: close\r\n"))
        let message = #""message":"the request body exceeds 100 bytes""#
        let error = #"{"error":{\#(message),"type":"invalid_request_error","param":null,"code":"payload_too_large"}}"#
        #expect(String(decoding: body, as: UTF8.self) == error)
        let chunked = try await service.client()
        try await chunked.send("POST /small HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        try await chunked.send("64\r\n" + String(repeating: "x", count: 100) + "\r\n1\r\nx\r\n")
        #expect(try await chunked.response().head.hasPrefix("HTTP/1.1 413 "))
        await announced.close()
        await chunked.close()
        let counters = await service.end()
        #expect(counters.oversizedBodies == 2)
    }

    @Test func `an answer to a client that is still sending is not lost to a reset`() async throws {
        let service = try await Service()
        let client = try await service.client()
        try await client.send("POST /small HTTP/1.1\r\nhost: a\r\ncontent-length: 4000000\r\n\r\n")
        for _ in 0..<4 { try await client.send([UInt8](repeating: 1, count: 250_000)) }
        #expect(try await client.response().head.hasPrefix("HTTP/1.1 413 "))
        #expect(try await client.receiveToEnd() == [])
        await client.close()
        await service.end()
    }

    @Test func `bodies beyond the server's memory are answered with 503 and when to come back`() async throws {
        var limits = ServerLimits.manual
        limits.maximumBufferedRequestBytes = 1000
        let service = try await Service(limits: limits)
        let hog = try await service.client()
        try await hog.send("POST /size HTTP/1.1\r\nhost: a\r\ncontent-length: 900\r\n\r\n" + String(repeating: "x", count: 800))
        await service.counters { $0.bufferedRequestBytes == 800 }
        let late = try await service.client()
        try await late.send("POST /size HTTP/1.1\r\nhost: a\r\ncontent-length: 300\r\n\r\n" + String(repeating: "x", count: 300))
        let head = try await late.response().head
        #expect(head.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
        #expect(head.contains("retry-after: 1\r\n") && head.contains("x-should-retry: true\r\n"))
        try await hog.send(String(repeating: "x", count: 100))
        #expect(try await hog.response().body == Array("900".utf8))
        await hog.close()
        await late.close()
        let counters = await service.end()
        #expect(counters.bodiesWithoutRoom == 1)
    }

    @Test func `a client that half-closes while the last answer is queued gets it whole`() async throws {
        var limits = ServerLimits.manual
        // All that the kernel does not take waits in the socket's queue.
        limits.socketQueue = 64 << 20
        let service = try await Service(limits: limits)
        let client = try await service.client(receiveBuffer: 8192)
        let length = 32 << 20
        try await client.send("POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: \(length)\r\n\r\n")
        try await client.send([UInt8](repeating: 1, count: length))
        #expect(await service.closed("/echo") == .completed)
        await client.finish()
        #expect(try await client.response().body.count == length)
        #expect(try await client.receiveToEnd() == [])
        await client.close()
        await service.end()
    }

    @Test func `a client has its time after the last byte of the last answer, however long that took`() async throws {
        var limits = ServerLimits.manual
        limits.socketQueue = 64 << 20
        limits.lingerTimeout = .seconds(1000)
        let service = try await Service(limits: limits)
        let client = try await service.client(receiveBuffer: 8192)
        let length = 16 << 20
        try await client.send("POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: \(length)\r\n\r\n")
        try await client.send([UInt8](repeating: 1, count: length))
        #expect(await service.closed("/echo") == .completed)
        await service.server.checkDeadlines(ahead: .seconds(2000))
        #expect(try await client.response().body.count == length)
        #expect(try await client.receiveToEnd() == [])
        await service.server.checkDeadlines(ahead: .seconds(2500))
        // Closing would have taken a turn or two.
        let other = try await service.client()
        #expect(try await other.get("/hello") == "hello\n")
        #expect(await service.server.counters.connectionsOpen == 2)
        await service.server.checkDeadlines(ahead: .seconds(4000))
        await service.counters { $0.connectionsOpen == 1 }
        await client.close()
        await other.close()
        await service.end()
    }

    @Test func `a streamed response follows the client's reading and ends with its trailers`() async throws {
        let service = try await Service()
        let client = try await service.client(receiveBuffer: 32 << 10)
        try await client.send("GET /trailers?3000000 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        let bytes = try await client.receiveToEnd()
        #expect(bytes.count(where: { $0 == UInt8(ascii: "x") }) == 3_000_000 + 1)
        #expect(String(decoding: bytes.suffix(40), as: UTF8.self).hasSuffix("0\r\nx-count: 3000000\r\n\r\n"))
        #expect(await service.closed("/trailers") == .completed)
        await client.close()
        await service.end()
    }

    @Test func `a producer that does not look is cut off and counted`() async throws {
        let service = try await Service()
        let client = try await service.client()
        try await client.send("GET /flood HTTP/1.1\r\nhost: a\r\n\r\n")
        #expect(await service.closed("/flood") == .slowReader)
        await client.close()
        #expect(await service.end().slowReaders == 1)
    }

    @Test func `a client that stops reading is cut off after the stall timeout`() async throws {
        let service = try await Service()
        let client = try await service.client(receiveBuffer: 4096)
        try await client.send("GET /stream?100000000 HTTP/1.1\r\nhost: a\r\n\r\n")
        await service.counters { $0.bytesSent > 0 }
        await service.passTime(step: .seconds(31)) { $0.slowReaders == 1 }
        #expect(await service.closed("/stream") == .slowReader)
        await client.close()
        #expect(await service.end().slowReaders == 1)
    }

    @Test func `an abort breaks the connection, so that the client does not take a part for all`() async throws {
        let service = try await Service()
        let client = try await service.client()
        try await client.send("GET /abort HTTP/1.1\r\nhost: a\r\n\r\n")
        let text = String(decoding: try await client.receiveToEnd(), as: UTF8.self)
        #expect(!text.hasSuffix("0\r\n\r\n"))
        #expect(await service.closed("/abort") == .aborted)
        await client.close()
        await service.end()
    }

    @Test(arguments: [false, true])
    func `the handler hears once that a client has gone`(byReset: Bool) async throws {
        let service = try await Service()
        let client = try await service.client()
        try await client.send("GET /hold HTTP/1.1\r\nhost: a\r\n\r\n")
        #expect(await service.next() == .handled("/hold"))
        if byReset { await client.reset() } else { await client.close() }
        guard case .clientGone = await service.closed("/hold") else {
            Issue.record("expected the client to be gone")
            return
        }
        // Answering now does nothing.
        let other = try await service.client()
        #expect(try await other.get("/release") == "")
        await other.close()
        #expect(await service.end().clientResets == 1)
    }

    @Test func `a head that trickles is answered with 408`() async throws {
        let service = try await Service()
        let client = try await service.client()
        try await client.send("GET /hello HTTP/1.1\r\nhost:")
        await service.counters { $0.bytesReceived == 26 }
        await service.server.checkDeadlines(ahead: .seconds(2))
        #expect(await service.countersNow().slowSenders == 0)
        await service.server.checkDeadlines(ahead: .seconds(11))
        #expect(try await client.response().head.hasPrefix("HTTP/1.1 408 Request Timeout\r\n"))
        #expect(try await client.receiveToEnd() == [])
        await client.close()
        #expect(await service.end().slowSenders == 1)
    }

    @Test(arguments: ["/stream?1000000", "/hold", "/hello"])
    func `an upgraded client that never sends its preface is closed, and its request ends`(target: String) async throws {
        let service = try await Service()
        let client = try await service.client()
        let asks = "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"
        try await client.send("GET \(target) HTTP/1.1\r\nhost: a\r\n\(asks)\r\n")
        #expect(try await client.receive(until: "\r\n\r\n").hasPrefix("HTTP/1.1 101 "))
        await service.server.checkDeadlines(ahead: .seconds(9))
        #expect(await service.server.counters.slowSenders == 0)
        await service.server.checkDeadlines(ahead: .seconds(11))
        await service.counters { $0.connectionsOpen == 0 }
        _ = try await client.receiveToEnd()
        await client.close()
        #expect(await service.end().slowSenders == 1)
    }

    @Test func `a body that stops is answered with 408`() async throws {
        let service = try await Service()
        let client = try await service.client()
        try await client.send("POST /size HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc")
        await service.counters { $0.bufferedRequestBytes == 3 }
        await service.server.checkDeadlines(ahead: .seconds(2))
        #expect(await service.countersNow().slowSenders == 0)
        await service.server.checkDeadlines(ahead: .seconds(21))
        #expect(try await client.response().head.hasPrefix("HTTP/1.1 408 "))
        await client.close()
        #expect(await service.end().slowSenders == 1)
    }

    @Test func `a body that trickles for ever is answered with 408`() async throws {
        var limits = ServerLimits.manual
        limits.bodyTimeout = .seconds(10_000)
        let service = try await Service(limits: limits)
        let client = try await service.client()
        try await client.send("POST /size HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nx")
        await service.counters { $0.bufferedRequestBytes == 1 }
        await service.server.checkDeadlines(ahead: .seconds(200))
        #expect(await service.countersNow().slowSenders == 0)
        await service.server.checkDeadlines(ahead: .seconds(301))
        #expect(try await client.response().head.hasPrefix("HTTP/1.1 408 "))
        await client.close()
        await service.end()
    }

    @Test func `a connection without requests is closed`() async throws {
        let service = try await Service()
        let (silent, idle) = (try await service.client(), try await service.client())
        #expect(try await idle.get("/hello") == "hello\n")
        await service.counters { $0.connectionsOpen == 2 }
        await service.server.checkDeadlines(ahead: .seconds(11))
        #expect(try await silent.receiveToEnd() == [])
        #expect(await service.countersNow().idleCloses == 1)
        await service.server.checkDeadlines(ahead: .seconds(80))
        #expect(try await idle.receiveToEnd() == [])
        await silent.close()
        await idle.close()
        #expect(await service.end().idleCloses == 2)
    }

    @Test func `at the bound of connections the longest idle one makes room`() async throws {
        var limits = ServerLimits.manual
        limits.maximumConnections = 3
        let service = try await Service(limits: limits)
        var clients: [LoopbackClient] = []
        for _ in 0..<6 {
            let client = try await service.client()
            #expect(try await client.get("/hello") == "hello\n")
            clients.append(client)
        }
        #expect(try await clients[0].receiveToEnd() == [])
        for client in clients { await client.close() }
        let counters = await service.end()
        #expect(counters.connectionsEvicted >= 3)
        #expect(counters.acceptPauses == 0)
    }

    @Test func `when all connections are busy, newcomers wait until one is free`() async throws {
        var limits = ServerLimits.manual
        limits.maximumConnections = 2
        limits.evictableAfter = .seconds(3600)
        let service = try await Service(limits: limits)
        let (first, second) = (try await service.client(), try await service.client())
        for busy in [first, second] { try await busy.send("GET /hold HTTP/1.1\r\nhost: a\r\n\r\n") }
        await service.counters { $0.exchangesOpen == 2 }
        let third = try await service.client()
        try await third.send("GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
        await service.counters { $0.acceptPauses == 1 }
        await first.close()
        #expect(try await third.response().body == Array("hello\n".utf8))
        await second.close()
        await third.close()
        await service.end()
    }

    @Test func `malformed and oversized heads are refused and counted`() async throws {
        let service = try await Service()
        for (request, status) in [
            ("GET /hello HTTP/1.1\r\n\r\n", "400"), ("nonsense\r\n\r\n", "400"),
            ("GET /hello HTTP/1.1\r\nhost: a\r\nx: \(String(repeating: "y", count: 40_000))\r\n\r\n", "431"),
        ] {
            let client = try await service.client()
            try await client.send(request)
            #expect(try await client.receive(until: "\r\n").contains(status))
            await client.close()
        }
        #expect(await service.end().malformedRequests == 3)
    }

    @Test func `draining lets open requests end, closes idle connections and refuses new ones`() async throws {
        let service = try await Service()
        let (idle, busy) = (try await service.client(), try await service.client())
        #expect(try await idle.get("/hello") == "hello\n")
        try await busy.send("GET /stream?8000000 HTTP/1.1\r\nhost: a\r\n\r\n")
        await service.counters { $0.exchangesOpen == 1 }
        async let cut = service.server.drain(within: .seconds(20))
        #expect(try await idle.receiveToEnd() == [])
        await idle.close()
        let bytes = try await busy.receiveToEnd()
        #expect(bytes.count(where: { $0 == UInt8(ascii: "x") }) == 8_000_000)
        await busy.close()
        #expect(await cut == 0)
        await #expect(throws: LoopbackClient.Failure.self) { try await service.client() }
        await service.end()
    }

    @Test func `draining cuts off what is left at its deadline and says how much`() async throws {
        let service = try await Service()
        let client = try await service.client()
        try await client.send("GET /hold HTTP/1.1\r\nhost: a\r\n\r\n")
        #expect(await service.next() == .handled("/hold"))
        #expect(await service.server.drain(within: .milliseconds(20)) == 1)
        await client.close()
        await service.end()
    }

    @Test func `it serves on a Unix socket`() async throws {
        let folder = ScratchFolder()
        let path = folder.path + "/" + "s"
        let service = try await Service(on: "unix:" + path)
        let client = LoopbackClient()
        try await client.connect(path: path)
        #expect(try await client.get("/hello") == "hello\n")
        await client.close()
        await service.end()
    }

    @Test func `hundreds of clients at once all get their answers`() async throws {
        let service = try await Service()
        var clients: [LoopbackClient] = []
        for _ in 0..<200 { clients.append(try await service.client()) }
        for round in 0..<3 {
            let request = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 7\r\n\r\nround \(round)"
            for client in clients { try await client.send(request) }
            for client in clients { #expect(try await client.response().body == Array("round \(round)".utf8)) }
        }
        for client in clients { await client.close() }
        let counters = await service.end()
        #expect(counters.requests == 600)
        #expect(counters.connectionsAccepted == 200)
    }

    @Test func `an actor on the reactor can be the handler`() async throws {
        let reactor = try Reactor(name: "actor")
        let server = HTTPServer(on: reactor, actor: Greeter(reactor))
        let endpoint = try await server.listen(on: Endpoint("127.0.0.1:0"))
        guard case .tcp(_, let port) = endpoint else { return }
        let client = try await LoopbackClient(port: port)
        #expect(try await client.get("/") == "1 /")
        #expect(try await client.get("/again") == "1002 /again")
        await client.close()
        await server.drain(within: .seconds(10))
        await reactor.shutdown()
    }
}
