import HTTP
import Reactor
import Server
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5)))
struct StreamedBodyTests {
    @Test func `a streamed body is handed on while it comes, and the answer begins before it ends`() async throws {
        let service = try await Service()
        let client = try await H2Client(service)
        let live = try await client.request("POST", "/live-echo", body: [])
        #expect(try await client.status(live) == 200)
        for size in [1, 5000, 70_000] {
            try await client.send(live, [UInt8](repeating: 7, count: size))
            #expect(try await client.body(live, atLeast: size, consuming: true) == size)
        }
        #expect(await service.countersNow().bufferedRequestBytes == 0)
        try await client.finish(live)
        #expect(await service.closed("/live-echo") == .completed)
        await client.close()
        await service.end()
    }

    @Test func `silence of a streamed body is nobody's business, however long`() async throws {
        let service = try await Service()
        let client = try await H2Client(service)
        let live = try await client.request("POST", "/live-echo", body: [1])
        #expect(try await client.body(live, atLeast: 1, consuming: true) == 1)
        for hours in 1...3 { await service.server.checkDeadlines(ahead: .seconds(3600 * hours)) }
        try await client.send(live, [2, 3])
        #expect(try await client.body(live, atLeast: 2, consuming: true) == 2)
        await client.close()
        #expect(await service.closed("/live-echo") == .clientGone(.cancel))
        #expect(await service.end().slowSenders == 0)
    }

    @Test func `a client that streams a body and does not read the answer is reset after the stall timeout`() async throws {
        let service = try await Service()
        let client = try await H2Client(service)
        let live = try await client.request("POST", "/live-stream", body: [1])
        #expect(try await client.body(live, atLeast: 256 << 10, consuming: false) == 256 << 10)
        await service.server.checkDeadlines(ahead: .seconds(31))
        await service.server.checkDeadlines(ahead: .seconds(62))
        #expect(try await client.resetCode(live) == .enhanceYourCalm)
        #expect(await service.closed("/live-stream") == .slowReader)
        await client.close()
        await service.end()
    }

    @Test func `a streamed body has no limit of size and is counted to its end`() async throws {
        var limits = ServerLimits.manual
        limits.maximumBufferedRequestBytes = 1000
        let service = try await Service(limits: limits)
        let client = try await H2Client(service)
        let live = try await client.request("POST", "/live-count", body: [UInt8](repeating: 0, count: 200_000))
        try await client.finish(live)
        #expect(try await client.status(live) == 200)
        #expect(try await client.body(live, atLeast: 6, consuming: true) == 6)
        let socket = try await service.client()
        try await socket.send("POST /live-count HTTP/1.1\r\nhost: test\r\ncontent-length: 70000\r\n\r\n")
        try await socket.send([UInt8](repeating: 0, count: 70_000))
        #expect(String(decoding: try await socket.response().body, as: UTF8.self) == "70000")
        await socket.close()
        await client.close()
        await service.end()
    }

    @Test func `the rest of a streamed body is thrown away when the answer is complete first`() async throws {
        let service = try await Service()
        let client = try await H2Client(service)
        let live = try await client.request("POST", "/live-early", body: [UInt8](repeating: 0, count: 50_000))
        #expect(try await client.status(live) == 200)
        #expect(try await client.body(live, atLeast: 5, consuming: true) == 5)
        try await client.send(live, [UInt8](repeating: 0, count: 1000))
        try await client.finish(live)
        #expect(await service.next() == .handled("/live-early"))
        #expect(await service.next() == .closed("/live-early", .completed))
        await client.close()
        await service.end()
    }

    @Test func `a streamed request without a body ends at once`() async throws {
        let service = try await Service()
        let client = try await H2Client(service)
        let live = try await client.request("GET", "/live-count")
        #expect(try await client.status(live) == 200)
        #expect(try await client.body(live, atLeast: 1, consuming: true) == 1)
        await client.close()
        await service.end()
    }
}
