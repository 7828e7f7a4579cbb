import HTTP
import Platform
import TestSupport
import Testing
import Wire

@testable import Transfer

/// What may be asked of a door, byte by byte.
@Suite(.timeLimit(.minutes(5)))
struct DoorRequestTests {
    private func ask(_ client: LoopbackClient, _ method: String, _ target: String, body: [UInt8] = [], fingerprint: String = "f1") async throws -> Int {
        try await client.send("\(method) \(target) HTTP/1.1\r\nhost: a\r\nx-ferry-fingerprint: \(fingerprint)\r\ncontent-length: \(body.count)\r\n\r\n")
        try await client.send(body)
        let head = try await client.receive(until: "\r\n\r\n")
        let length = head.split(separator: "\r\n").first { $0.hasPrefix("content-length: ") }
        _ = try await client.receive(exactly: length.flatMap { Int($0.dropFirst(16)) } ?? 0)
        return Int(head.split(separator: " ").dropFirst().first ?? "") ?? 0
    }

    @Test(arguments: [
        ("GET", "/x/kv/", 400), ("GET", "/x/kv/00?start=0&from=0", 400),
        ("GET", "/x/kv/0000000000000001000000000000000G?start=0&from=0", 400),
        ("GET", "/x/kv/00000000000000010000000000000002", 400),
        ("GET", "/x/kv/00000000000000010000000000000002?start=0", 400),
        ("GET", "/x/kv/00000000000000010000000000000002?start=&from=", 400),
        ("GET", "/x/kv/00000000000000010000000000000002?start=-1&from=0", 400),
        ("GET", "/x/kv/00000000000000010000000000000002?start=+1&from=0", 400),
        ("GET", "/x/kv/00000000000000010000000000000002?start=0&from=4294967296", 400),
        ("GET", "/x/kv/00000000000000010000000000000002?start=0&from=99999999999999999999", 400),
        ("GET", "/x/kv/00000000000000010000000000000002?start=0&from=4294967295", 404),
        ("GET", "/x/kv/00000000000000010000000000000003?start=0&from=0", 404),
        ("GET", "/x/lease", 404), ("POST", "/x/kv/00000000000000010000000000000002?start=0&from=0", 404), ("PUT", "/x/lease", 404),
        ("GET", "/", 404), ("POST", "/w/join", 404),
    ])
    func `a request that means nothing is refused, and nothing else happens`(method: String, target: String, status: Int) async throws {
        let pair = try await TransferPair()
        await pair.offer(makeBlocks(1), chosen: 7)
        let client = try await LoopbackClient(port: pair.port)
        #expect(try await ask(client, method, target) == status)
        #expect(await pair.source.bytesSent == 0)
        #expect(await pair.source.openLeases == 1)
        await client.close()
        await pair.end()
    }

    @Test func `names that are no whole number of names, or too many, are refused`() async throws {
        let pair = try await TransferPair()
        await pair.source.offer(pair.transfer)
        let client = try await LoopbackClient(port: pair.port)
        for path in ["/x/lease", "/x/release"] {
            #expect(try await ask(client, "POST", path, body: Array(TransferNames.encode([pair.transfer]).dropLast())) == 400)
            #expect(try await ask(client, "POST", path, body: [1]) == 400)
        }
        let most = [TransferID](repeating: pair.other, count: TransferNames.limit)
        #expect(try await ask(client, "POST", "/x/lease", body: TransferNames.encode(most)) == 200)
        #expect(try await ask(client, "POST", "/x/release", body: TransferNames.encode(most + [pair.transfer])) == 413)
        #expect(await pair.source.openLeases == 1)
        await client.close()
        await pair.end()
    }

    @Test func `to release frees, twice does no harm`() async throws {
        let pair = try await TransferPair()
        await pair.source.offer(pair.transfer)
        await pair.source.offer(pair.other)
        let client = try await LoopbackClient(port: pair.port)
        let names = TransferNames.encode([pair.transfer, pair.transfer])
        #expect(try await ask(client, "POST", "/x/release", body: names) == 200)
        #expect(try await ask(client, "POST", "/x/release", body: names) == 200)
        #expect(try await ask(client, "POST", "/x/release", body: TransferNames.encode([pair.other])) == 200)
        #expect(await pair.source.nextNews() == .released(pair.transfer))
        #expect(await pair.source.nextNews() == .released(pair.other))
        await client.close()
        await pair.end()
    }

    @Test func `to ask again for a transfer replaces the earlier answer`() async throws {
        let pair = try await TransferPair()
        await pair.offer(makeBlocks(2), ready: 1)
        let target = "/x/kv/\(pair.transfer)?start=0&from=0"
        let (first, second) = (try await LoopbackClient(port: pair.port), try await LoopbackClient(port: pair.port))
        #expect(try await ask(first, "GET", target) == 200)
        #expect(try await ask(second, "GET", target) == 200)
        // The first one's connection ends without its last chunk.
        let cut = String(decoding: try await first.receiveToEnd(), as: UTF8.self)
        #expect(!cut.hasSuffix("0\r\n\r\n"))
        pair.source.source.finish(pair.transfer, chosen: 7)
        await pair.source.pump()
        #expect(try await second.receive(until: "\r\n0\r\n\r\n").hasSuffix("\r\n0\r\n\r\n"))
        await first.close()
        await second.close()
        await pair.end()
    }

    @Test func `a slow receiver stops the source, not the memory`() async throws {
        let pair = try await TransferPair()
        let size = 64 << 10
        let blocks = makeBlocks(64, of: size)
        await pair.offer(blocks, chosen: 7)
        let client = try await LoopbackClient(port: pair.port)
        var limits = HTTPLimits()
        limits.streamWindow = 100_000
        let http = HTTPClientConnection(limits: limits)
        func flush() async throws {
            var bytes: [UInt8] = []
            http.output(into: &bytes, maximum: 1 << 20)
            if !bytes.isEmpty { try await client.send(bytes) }
        }
        let head = HTTPHead(
            method: "GET", scheme: "http", authority: "a", path: "/x/kv/\(pair.transfer)", query: "start=0&from=0", headers: ["x-ferry-fingerprint": "f1"])
        let stream = try #require(http.request(head, endStream: true))
        try await flush()
        var received = 0
        var isWhole = false
        func take(consuming: Bool) async throws {
            http.receive(try await client.receive())
            while let event = http.nextEvent() {
                switch event {
                case .body(_, let bytes):
                    received += bytes.count
                    if consuming { http.consumed(stream, bytes.count) }
                case .bodyEnd: isWhole = true
                default: break
                }
            }
            try await flush()
        }
        while received < limits.streamWindow { try await take(consuming: false) }
        for _ in 0..<20 { await pair.source.pump() }
        // What is on its way, what may wait, and the block that is one too many.
        let most = limits.streamWindow + (1 << 20) + size + BlockHeader.byteCount
        let copied = pair.source.source.counts.copied
        #expect(copied <= most && copied >= 1 << 20, "\(copied)")
        http.consumed(stream, received)
        try await flush()
        while !isWhole { try await take(consuming: true) }
        #expect(received == blocks.count * (size + BlockHeader.byteCount) + BlockHeader.byteCount + TransferEnd.byteCount)
        await client.close()
        await pair.end()
    }
}
