import Platform
import TestSupport
import Testing

@testable import HTTP

@Suite("Bulk over HTTP/2") struct BulkTests {
    /// The lengths of the DATA frames with which 1 MiB leaves a server.
    private func frames(client: HTTPLimits, server: HTTPLimits) -> [Int] {
        let wire = Loopback(client: client, server: server)
        let id = wire.get()
        let body = (0..<(1 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        wire.server.respond(id, ResponseHead(status: 200), endStream: false)
        wire.server.write(id, body)
        wire.server.finish(id)
        var bytes: [UInt8] = []
        while wire.server.output(into: &bytes, maximum: 1 << 20) > 0 {}
        var lengths: [Int] = [], received: [UInt8] = [], at = 0
        while at < bytes.count {
            let length = Int(bytes[at]) << 16 | Int(bytes[at + 1]) << 8 | Int(bytes[at + 2])
            if bytes[at + 3] == 0, length > 0 {
                lengths.append(length)
                received += bytes[(at + 9)..<(at + 9 + length)]
            }
            at += 9 + length
        }
        #expect(received.elementsEqual(body.prefix(received.count)))
        return lengths
    }

    @Test func `frames are as long as both sides allow`() {
        #expect(frames(client: .link, server: .link) == [Int](repeating: 256 << 10, count: 4))
        var large = HTTPLimits.link
        large.maximumFrame = 16 << 10
        #expect(frames(client: .link, server: large).max() == 16 << 10)
        #expect(frames(client: large, server: .link).max() == 16 << 10)
    }

    @Test func `pieces handed over where they lie are the same bytes as events, in the same order`() {
        let client = HTTPClientConnection(limits: .link)
        let server = HTTPServerConnection(protocol: .http2, limits: .link)
        var random = SeededGenerator(seed: 3)
        let bodies = [0, 1, 70_000, 300_001].map { count in (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &random) } }
        var bytes: [UInt8] = []
        // Each side learns of the other's windows.
        while client.output(into: &bytes, maximum: 1 << 20) > 0 {}
        server.receive(bytes)
        bytes = []
        while server.output(into: &bytes, maximum: 1 << 20) > 0 {}
        client.receive(bytes)
        bytes = []
        for body in bodies {
            guard let id = client.request(.post(), endStream: false) else { fatalError("the client accepts no request") }
            client.write(id, body)
            client.finish(id)
        }
        while client.output(into: &bytes, maximum: 1 << 20) > 0 {}
        var received: [StreamID: [UInt8]] = [:], ended: Set<StreamID> = []
        func drain() {
            while let event = server.nextEvent() {
                if case .request(let id, _, _) = event { received[id] = [] }
                if case .body = event { Issue.record("a body came as an event") }
                if case .bodyEnd(let id, _) = event { ended.insert(id) }
            }
        }
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = Array(rest.prefix(Int.random(in: 1...40_000, using: &random)))
            rest = rest.dropFirst(part.count)
            server.receive(part.rawSpan) { id, piece in
                drain()
                #expect(received[id] != nil && !ended.contains(id))
                unsafe piece.withUnsafeBytes { unsafe received[id]?.append(contentsOf: $0) }
                server.consumed(id, piece.byteCount)
            }
            drain()
        }
        #expect(ended.count == bodies.count)
        let isSame = received.sorted { $0.key < $1.key }.map(\.value) == bodies
        #expect(isSame)
    }

    @Test func `a queue of small and large pieces gives back what went in, whatever is taken and cut`() {
        var random = SeededGenerator(seed: 11)
        var queue = ByteQueue(), given: [UInt8] = [], taken: [UInt8] = []
        for round in 0..<2000 {
            let piece = [UInt8](repeating: UInt8(truncatingIfNeeded: round), count: Int.random(in: 0...20_000, using: &random))
            if Bool.random(using: &random) { queue.append(piece) } else { queue.append(piece.rawSpan) }
            given += piece
            let amount = Int.random(in: 0...min(queue.count, 40_000), using: &random)
            if Bool.random(using: &random) {
                var output = HTTPOutput()
                queue.move(amount, to: &output)
                #expect(output.count == amount)
                taken.append(contentsOf: &output)
            } else {
                queue.move(amount, to: &taken)
            }
            if round % 50 == 0 {
                let kept = Int.random(in: 0...queue.count, using: &random)
                given.removeLast(queue.count - kept)
                queue.truncate(to: kept)
            }
            #expect(given.count == taken.count + queue.count)
        }
        queue.move(queue.count, to: &taken)
        #expect(taken == given)
        #expect(queue.isEmpty)
    }
}
