internal import HTTP
internal import Platform
internal import Reactor
internal import Server

/// The receiving end of the HTTP/2 rows: one link on a reactor of its own.
actor LinkBenchmarkReceiver {
    private nonisolated let reactor: Reactor
    private var link: HTTPLink?
    private var blocks = LinkBlocks()
    private var received = 0
    private var damage: (any Error)?

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe reactor.asUnownedSerialExecutor() }

    init() throws { reactor = try Reactor(name: "receiver", readBuffer: LinkBenchmark.buffer) }

    func open(_ endpoint: Endpoint) async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            HTTPLink.open(to: endpoint, on: reactor) { result in
                switch result {
                case .success(let link):
                    self.link = link
                    continuation.resume()
                case .failure(let error): continuation.resume(throwing: CommandFailure(error.description))
                }
            }
        }
    }

    /// The time from asking to the last byte.
    func receive(bytes: Int, blocks: Bool) async throws -> Duration {
        received = 0
        self.blocks = LinkBlocks()
        let clock = SystemClock()
        let began = clock.now
        let query = "bytes=\(bytes)&blocks=\(blocks ? 1 : 0)"
        let head = HTTPHead(method: "GET", scheme: "http", authority: "link", path: "/bulk", query: query)
        let end = await withCheckedContinuation { (continuation: CheckedContinuation<LinkEnd, Never>) in
            guard let stream = link?.request(head, endStream: true) else { return continuation.resume(returning: .linkLost(.closed)) }
            stream.onBody = { piece in
                self.received += piece.byteCount
                guard blocks, self.damage == nil else { return }
                do { try self.blocks.put(piece) } catch { self.damage = error }
            }
            stream.onClosed = { continuation.resume(returning: $0) }
        }
        if let damage { throw damage }
        let expected = blocks ? bytes / LinkBlocks.frame * LinkBlocks.frame : bytes
        guard end == .completed, received == expected else {
            throw CommandFailure("the link carried \(received) bytes, \(expected) were expected: \(end)")
        }
        return clock.now.since(began)
    }

    private func close() { link?.close() }

    @concurrent nonisolated func end() async {
        await close()
        await reactor.shutdown()
    }
}
