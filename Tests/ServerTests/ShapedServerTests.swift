import Server
import Testing

@Suite(.timeLimit(.minutes(5)))
struct ShapedServerTests {
    @Test func `a server may be shaped while it runs, and answers stay whole`() async throws {
        let service = try await Service(shapeable: true)
        let stage = try LinkStage()
        await stage.open(service.endpoint)
        #expect(await stage.next() == .opened)
        let shapes: [LinkShape?] = [nil, LinkShape(bytesPerSecond: 200 << 20, latency: .milliseconds(1), jitter: .milliseconds(2)), nil]
        for shape in shapes {
            await service.server.setShape(shape)
            await stage.request("GET", "/stream?3000000")
            #expect(await stage.news { if case .streamClosed = $0 { true } else { false } }.contains(.streamClosed("/stream", .completed)))
        }
        #expect(await stage.body("/stream").count == 9_000_000)
        await stage.close()
        #expect(await stage.next() == .closed(.closed))
        await stage.end()
        await service.end()
    }

    @Test func `a break ends the connection for both sides`() async throws {
        let service = try await Service(shapeable: true)
        await service.server.setShape(LinkShape(breakAfterBytes: 100_000))
        let stage = try LinkStage()
        await stage.open(service.endpoint)
        #expect(await stage.next() == .opened)
        await stage.request("GET", "/stream?3000000")
        let news = await stage.news { if case .closed = $0 { true } else { false } }
        #expect(!news.contains(.streamClosed("/stream", .completed)))
        #expect(await stage.body("/stream").count <= 100_000)
        await stage.end()
        await service.end()
    }
}
