import Reactor
import TestSupport
import Testing

extension Endpoint {
    var port: UInt16 { if case .tcp(_, let port) = self { port } else { 0 } }
}

/// Bytes that show gaps and repetitions: a block whose length is no power of two, over and over.
func pattern(_ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    while bytes.count < count { bytes.append(contentsOf: patternBlock.prefix(count - bytes.count)) }
    return bytes
}

private let patternBlock: [UInt8] = (0..<65_521).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ ($0 >> 8) &* 17) }

@Suite(.timeLimit(.minutes(5)))
struct TCPStreamTests {
    @Test func `bytes come back from an echo in order and whole`() async throws {
        let stage = try Stage()
        let client = try await LoopbackClient(port: try await stage.listen(echo: true).port)
        for size in [1, 100, 8191, 8193, 40_000, 100_000] {
            let bytes = pattern(size)
            try await client.send(bytes)
            #expect(try await client.receive(exactly: size) == bytes)
        }
        await stage.end()
    }

    @Test func `several megabytes written in one turn arrive whole`() async throws {
        let stage = try Stage()
        let client = try await LoopbackClient(port: try await stage.listen().port)
        #expect(await stage.next() == .accepted)
        let bytes = pattern(4 << 20)
        await stage.run { stage in
            var rest = bytes[...]
            // Sizes on both sides of the joining limit.
            for size in [1, 10, 8000, 9000, 100_000, 3] {
                stage.write(Array(rest.prefix(size)))
                rest = rest.dropFirst(size)
            }
            stage.write(Array(rest))
            #expect(stage.queued() == bytes.count)
        }
        #expect(try await client.receive(exactly: bytes.count) == bytes)
        await stage.end()
    }

    @Test func `many small writes of one turn leave as one stretch`() async throws {
        let stage = try Stage()
        let client = try await LoopbackClient(port: try await stage.listen().port)
        #expect(await stage.next() == .accepted)
        await stage.write([1, 2, 3], times: 1000)
        #expect(try await client.receive(upTo: 10_000).count == 3000)
        await stage.end()
    }

    @Test func `a peer that stops reading leaves bytes queued, and draining is told once it reads`() async throws {
        let stage = try Stage()
        let client = try await LoopbackClient(port: try await stage.listen().port, receiveBuffer: 64 << 10)
        #expect(await stage.next() == .accepted)
        let bytes = pattern(1 << 20)
        await stage.write(bytes, times: 32)
        let queued = await stage.queued()
        #expect(queued > 1 << 20)
        for _ in 0..<32 { #expect(try await client.receive(exactly: bytes.count) == bytes) }
        #expect(await stage.next() == .drained)
        let counts = await stage.bytes()
        #expect(counts.sent >= UInt64(32 * bytes.count - (64 << 10)))
        await stage.end()
    }

    @Test func `a peer's half-close still lets us answer`() async throws {
        let stage = try Stage()
        let client = try await LoopbackClient(port: try await stage.listen().port)
        try await client.send("question")
        await client.finish()
        #expect(await stage.received(8) == Array("question".utf8))
        #expect(await stage.next() == .ended)
        await stage.write(Array("answer".utf8))
        await stage.finishWriting()
        #expect(try await client.receiveToEnd() == Array("answer".utf8))
        await stage.end()
    }

    @Test func `a stream that is reset resets its peer`() async throws {
        let (server, client) = (try Stage(name: "server"), try Stage(name: "client"))
        let endpoint = try await server.listen()
        try await client.connect(to: endpoint.description)
        #expect(await client.next() == .connected)
        #expect(await server.next() == .accepted)
        await client.reset()
        #expect(await client.next() == .closed(.closed))
        guard case .closed(.failed(let error)) = await server.next() else {
            Issue.record("expected a reset")
            return
        }
        #expect(error.code == .connectionReset)
        await client.end()
        await server.end()
    }

    @Test func `a reset is told apart from an end`() async throws {
        let stage = try Stage()
        let client = try await LoopbackClient(port: try await stage.listen().port)
        #expect(await stage.next() == .accepted)
        await client.reset()
        guard case .closed(.failed(let error)) = await stage.next() else {
            Issue.record("expected a failure")
            return
        }
        #expect(error.code == .connectionReset)
        #expect(error.code.name == "ECONNRESET")
        #expect(error.description.contains("read from 127.0.0.1:"))
        await stage.end()
    }

    @Test func `a paused stream reads nothing until resumed`() async throws {
        let stage = try Stage()
        let client = try await LoopbackClient(port: try await stage.listen(reading: false).port)
        #expect(await stage.next() == .accepted)
        try await client.send("waiting")
        await stage.lookForEvents()
        #expect(await stage.bytes().received == 0)
        await stage.resume()
        #expect(await stage.received(7) == Array("waiting".utf8))
        await stage.end()
    }

    @Test func `closing is idempotent, drops the queue and is told exactly once`() async throws {
        let stage = try Stage()
        let client = try await LoopbackClient(port: try await stage.listen().port, receiveBuffer: 16 << 10)
        #expect(await stage.next() == .accepted)
        await stage.write(pattern(1 << 20), times: 16)
        await stage.run { stage in
            stage.close()
            stage.close()
            stage.write([1])
            stage.finishWriting()
            stage.resume()
            stage.pause()
        }
        #expect(await stage.next() == .closed(.closed))
        await stage.timer("later", after: .zero)
        #expect(await stage.next() == .fired("later"))
        _ = client
        await stage.end()
    }

    @Test func `what was queued before finishWriting is sent before the end`() async throws {
        let stage = try Stage()
        let client = try await LoopbackClient(port: try await stage.listen().port, receiveBuffer: 16 << 10)
        #expect(await stage.next() == .accepted)
        let bytes = pattern(6 << 20)
        await stage.run { stage in
            stage.write(bytes)
            stage.finishWriting()
        }
        #expect(try await client.receiveToEnd() == bytes)
        await stage.end()
    }

    @Test func `hundreds of connections at once are all served`() async throws {
        let stage = try Stage()
        let port = try await stage.listen(echo: true).port
        var clients: [LoopbackClient] = []
        for _ in 0..<200 { clients.append(try await LoopbackClient(port: port)) }
        for (number, client) in clients.enumerated() { try await client.send("hello \(number)\n") }
        for (number, client) in clients.enumerated() { #expect(try await client.receive(until: "\n") == "hello \(number)\n") }
        #expect(await stage.streamCount == 200)
        await stage.end()
    }

    @Test func `two reactors talk to each other`() async throws {
        let (here, there) = (try Stage(name: "here"), try Stage(name: "there"))
        let endpoint = try await there.listen(echo: true)
        try await here.connect(to: endpoint.description)
        #expect(await here.next() == .connected)
        let bytes = pattern(5 << 20)
        await here.write(bytes)
        #expect(await here.received(bytes.count) == bytes)
        #expect(await here.peer() == endpoint)
        await here.end()
        await there.end()
    }

    @Test func `the kernel's figures about a connection can be read`() async throws {
        let (here, there) = (try Stage(name: "here"), try Stage(name: "there"))
        try await here.connect(to: try await there.listen(echo: true).description)
        #expect(await here.next() == .connected)
        await here.write(pattern(1 << 20))
        _ = await here.received(1 << 20)
        let statistics = try #require(await here.statistics())
        #expect(statistics.roundTrip > .zero)
        #expect(statistics.shortestRoundTrip <= statistics.roundTrip || statistics.shortestRoundTrip < .seconds(1))
        #expect(statistics.deliveryRate > 0)
        #expect(statistics.unsentBytes == 0)
        await here.closeAll()
        #expect(await here.statistics() == nil)
        await here.end()
        await there.end()
    }

    @Test func `a name is resolved and connected to`() async throws {
        let (here, there) = (try Stage(name: "here"), try Stage(name: "there"))
        let port = try await there.listen(echo: true).port
        // Not a numeric address and not the literal that needs no resolver.
        try await here.connect(to: "LOCALHOST:\(port)")
        #expect(await here.next() == .connected)
        await here.end()
        await there.end()
    }

    @Test func `connecting to nobody is refused, with the endpoint in the message`() async throws {
        let stage = try Stage()
        let vacant = try LoopbackSocket(listening: false)
        defer { extendLifetime(vacant) }
        let endpoint = "127.0.0.1:\(vacant.port)"
        try await stage.connect(to: endpoint)
        guard case .closed(.failed(let error)) = await stage.next() else {
            Issue.record("expected a failure")
            return
        }
        #expect(error.code == .connectionRefused)
        #expect(error.description.contains("connect to \(endpoint)"))
        await stage.end()
    }

    @Test func `an attempt that is cancelled is told so`() async throws {
        let stage = try Stage()
        let endpoint = try await stage.listen()
        try await stage.run { stage in
            try stage.connect(to: endpoint.description)
            stage.closeAll()
        }
        #expect(await stage.next() == .closed(.failed(UVError(.canceled, attempt: "connect to \(endpoint)"))))
        await stage.end()
    }
}

@Suite(.timeLimit(.minutes(5)))
struct TCPListenerTests {
    @Test func `port zero reports the port the system chose`() async throws {
        let stage = try Stage()
        let endpoint = try await stage.listen()
        #expect(endpoint.port != 0)
        await stage.end()
    }

    @Test func `an address in use is an error that names it`() async throws {
        let stage = try Stage()
        let endpoint = try await stage.listen()
        let error = await #expect(throws: UVError.self) { try await stage.listenAgain(on: endpoint) }
        #expect(error?.code == .addressInUse)
        #expect(error?.description == "cannot listen on \(endpoint): EADDRINUSE (address already in use)")
        await stage.end()
    }

    @Test func `a name other than localhost is not listened on`() async throws {
        let stage = try Stage()
        let error = await #expect(throws: UVError.self) { try await stage.listen(on: "example.org:0") }
        #expect(error?.description.contains("not a numeric address") == true)
        await stage.end()
    }

    @Test func `a Unix socket is private, works and is removed`() async throws {
        let folder = ScratchFolder()
        let path = folder.path + "/" + "s"
        let stage = try Stage()
        try await stage.listen(on: "unix:" + path, echo: true)
        #expect(fileMode(path).map { $0 & 0o777 } == 0o600)
        let client = LoopbackClient()
        try await client.connect(path: path)
        try await client.send("hello")
        #expect(try await client.receive(exactly: 5) == Array("hello".utf8))
        await stage.end()
        #expect(fileMode(path) == nil)
    }

    @Test func `an abandoned Unix socket is replaced, one in use is not`() async throws {
        let folder = ScratchFolder()
        let path = folder.path + "/" + "s"
        abandonSocket(at: path)
        let stage = try Stage()
        let endpoint = try await stage.listen(on: "unix:" + path)
        let error = await #expect(throws: UVError.self) { try await stage.listenAgain(on: endpoint) }
        #expect(error?.code == .addressInUse)
        await stage.end()
    }

    @Test func `a file that is no socket is left alone`() async throws {
        let folder = ScratchFolder()
        let path = folder.write("s", "precious")
        let stage = try Stage()
        let error = await #expect(throws: UVError.self) { try await stage.listen(on: "unix:" + path) }
        #expect(error?.code == .addressInUse)
        #expect(fileMode(path) != nil)
        await stage.end()
    }

    @Test func `a paused listener leaves connections waiting and takes them when resumed`() async throws {
        let stage = try Stage()
        let port = try await stage.listen(echo: true).port
        await stage.pauseListening()
        let first = try await LoopbackClient(port: port)
        let second = try await LoopbackClient(port: port)
        try await first.send("1")
        try await second.send("2")
        await stage.lookForEvents()
        #expect(await stage.streamCount == 0)
        await stage.resumeListening()
        #expect(try await first.receive() == Array("1".utf8))
        #expect(try await second.receive() == Array("2".utf8))
        await stage.end()
    }
}
