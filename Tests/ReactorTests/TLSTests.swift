import Reactor
import TestSupport
import Testing

/// Keys and certificates made for one test by the `openssl` program.
struct Certificates {
    let folder = ScratchFolder()

    static let canBeMade = Command.exists("openssl")

    /// A self-signed certificate for localhost and 127.0.0.1, which is its own authority.
    func make(_ name: String) async -> TLSFiles {
        let files = TLSFiles(certificateChain: folder.path + "/" + name + ".crt", privateKey: folder.path + "/" + name + ".key")
        let result = await Command.run("openssl", [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout", files.privateKey, "-out", files.certificateChain,
        ])
        #expect(result.status == 0, "\(result.complaints)")
        return files
    }
}

@Suite(.timeLimit(.minutes(5)), .enabled(if: Certificates.canBeMade))
struct TLSTests {
    /// A server and a client stage with an established session between them.
    private func pair(
        server: TLSContext, client: TLSContext, name: String = "localhost", echo: Bool = true
    ) async throws -> (server: Stage, client: Stage) {
        let (here, there) = (try Stage(name: "client"), try Stage(name: "server"))
        let endpoint = try await there.listen(echo: echo, tls: server)
        try await here.connect(to: endpoint.description, tls: client, serverName: name)
        #expect(await here.next() == .connected)
        return (there, here)
    }

    @Test func `a handshake agrees on HTTP-2 and bytes come back whole`() async throws {
        let certificates = Certificates()
        let files = await certificates.make("server")
        let (server, client) = try await pair(
            server: TLSContext(server: files, protocols: .http2OrHTTP1),
            client: TLSContext(authorities: files.certificateChain, protocols: .http2OrHTTP1)
        )
        #expect(await client.next() == .established)
        #expect(await client.negotiated() == "h2")
        let bytes = pattern(3 << 20)
        await client.write(bytes)
        #expect(await client.received(bytes.count) == bytes)
        await client.finishWriting()
        #expect(await client.next() == .ended)
        await client.end()
        await server.end()
    }

    @Test func `who does not verify takes an unknown server's word`() async throws {
        let certificates = Certificates()
        let files = await certificates.make("server")
        let (server, client) = try await pair(
            server: TLSContext(server: files, protocols: .http2OrHTTP1), client: TLSContext(protocols: .http2, verifies: false), name: "example.org")
        #expect(await client.next() == .established)
        await client.end()
        await server.end()
        let (other, strict) = try await pair(
            server: TLSContext(server: files, protocols: .http2OrHTTP1), client: TLSContext(protocols: .http2), name: "localhost")
        guard case .closed(.insecure) = await strict.next() else {
            Issue.record("an unknown authority was trusted")
            return
        }
        await strict.end()
        await other.end()
    }

    @Test(arguments: [(ApplicationProtocols.http1, "http/1.1"), (.http2, "h2")])
    func `the protocol is the one both sides know`(offered: ApplicationProtocols, agreed: String) async throws {
        let certificates = Certificates()
        let files = await certificates.make("server")
        let (server, client) = try await pair(
            server: TLSContext(server: files, protocols: .http2OrHTTP1),
            client: TLSContext(authorities: files.certificateChain, protocols: offered), name: "127.0.0.1"
        )
        #expect(await client.next() == .established)
        #expect(await client.negotiated() == agreed)
        await client.end()
        await server.end()
    }

    @Test func `without a common protocol the handshake fails`() async throws {
        let certificates = Certificates()
        let files = await certificates.make("server")
        let (server, client) = try await pair(
            server: TLSContext(server: files, protocols: .http2),
            client: TLSContext(authorities: files.certificateChain, protocols: .http1)
        )
        guard case .closed(.insecure(let error)) = await client.next() else {
            Issue.record("expected a failed handshake")
            return
        }
        #expect(error.attempt == "complete the TLS handshake")
        #expect(error.reason.contains("no application protocol"))
        await client.end()
        await server.end()
    }

    @Test func `a server that the client does not trust, or under another name, is refused with the reason`() async throws {
        let certificates = Certificates()
        let files = await certificates.make("server")
        let other = await certificates.make("other")
        for (authorities, name, reason) in [
            (other.certificateChain, "localhost", "self-signed"), (files.certificateChain, "example.org", "ostname mismatch"),
        ] {
            let (server, client) = try await pair(
                server: TLSContext(server: files, protocols: .http2OrHTTP1),
                client: TLSContext(authorities: authorities, protocols: .http2OrHTTP1), name: name
            )
            guard case .closed(.insecure(let error)) = await client.next() else {
                Issue.record("expected a failed handshake")
                return
            }
            #expect(error.reason.contains(reason), "\(error)")
            await client.end()
            await server.end()
        }
    }

    @Test func `mutual TLS lets a known client in and knows its certificate`() async throws {
        let certificates = Certificates()
        var files = await certificates.make("server")
        let known = await certificates.make("client")
        files.peerAuthorities = known.certificateChain
        let (server, client) = try await pair(
            server: TLSContext(server: files, protocols: .http2),
            client: TLSContext(client: known, authorities: files.certificateChain, protocols: .http2)
        )
        #expect(await client.next() == .established)
        await client.write(Array("hello".utf8))
        #expect(await client.received(5) == Array("hello".utf8))
        #expect(await server.fingerprint()?.count == 32)
        await client.end()
        await server.end()
    }

    @Test(arguments: [false, true])
    func `mutual TLS keeps strangers out`(withCertificate: Bool) async throws {
        let certificates = Certificates()
        var files = await certificates.make("server")
        files.peerAuthorities = (await certificates.make("client")).certificateChain
        let stranger = withCertificate ? await certificates.make("stranger") : nil
        let (server, client) = try await pair(
            server: TLSContext(server: files, protocols: .http2),
            client: TLSContext(client: stranger, authorities: files.certificateChain, protocols: .http2)
        )
        #expect(await server.next() == .accepted)
        guard case .closed(.insecure) = await server.next() else {
            Issue.record("expected the server to refuse")
            return
        }
        await client.end()
        await server.end()
    }

    @Test func `garbage instead of a handshake closes the stream`() async throws {
        let certificates = Certificates()
        let context = try TLSContext(server: await certificates.make("server"), protocols: .http2OrHTTP1)
        let server = try Stage()
        let endpoint = try await server.listen(tls: context)
        let client = try await LoopbackClient(port: endpoint.port)
        try await client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        #expect(await server.next() == .accepted)
        guard case .closed(.insecure) = await server.next() else {
            Issue.record("expected a failed handshake")
            return
        }
        await server.end()
    }

    @Test func `a peer that leaves in the middle of the handshake is reported as such`() async throws {
        let certificates = Certificates()
        let context = try TLSContext(server: await certificates.make("server"), protocols: .http2OrHTTP1)
        let server = try Stage()
        let client = try await LoopbackClient(port: try await server.listen(tls: context).port)
        try await client.send([22, 3, 1])
        await client.finish()
        #expect(await server.next() == .accepted)
        guard case .closed(.insecure(let error)) = await server.next() else {
            Issue.record("expected a failed handshake")
            return
        }
        #expect(error.reason == "the peer closed the connection")
        await server.end()
    }

    @Test func `plaintext is held back while paused and comes after resuming`() async throws {
        let certificates = Certificates()
        let files = await certificates.make("server")
        let (server, client) = try await pair(
            server: TLSContext(server: files, protocols: .http2OrHTTP1),
            client: TLSContext(authorities: files.certificateChain, protocols: .http2OrHTTP1), echo: false
        )
        #expect(await client.next() == .established)
        #expect(await server.next() == .accepted)
        #expect(await server.next() == .established)
        await server.pause()
        let before = await server.bytes().received
        let bytes = pattern(1 << 20)
        await client.write(bytes)
        await client.lookForEvents()
        #expect(await client.bytes().sent > 0)
        await server.lookForEvents()
        #expect(await server.bytes().received == before)
        await server.resume()
        #expect(await server.received(bytes.count) == bytes)
        await client.end()
        await server.end()
    }

    @Test func `nothing is read after the peer's close_notify, whatever it sends`() async throws {
        let certificates = Certificates()
        let files = await certificates.make("server")
        let server = try Stage()
        let endpoint = try await server.listen(tls: TLSContext(server: files, protocols: .http2OrHTTP1))
        let client = try await LoopbackClient(port: endpoint.port)
        try await client.sayGoodbyeOverTLS(TLSContext(authorities: files.certificateChain, protocols: .http2OrHTTP1))
        #expect(await server.next() == .accepted)
        #expect(await server.next() == .established)
        #expect(await server.next() == .ended)
        let before = await server.bytes().received
        // As a record would begin, so that nothing but the end keeps it from being read.
        for _ in 0..<4 { try await client.send([23, 3, 3, 64, 0] + pattern(10_000)) }
        // Asking again changes nothing.
        await server.resume()
        await server.lookForEvents()
        #expect(await server.bytes().received == before)
        await server.write([1, 2, 3])
        #expect(try await !client.receive().isEmpty)
        await client.close()
        await server.end()
    }

    @Test func `renewed files are used by the next session`() async throws {
        let certificates = Certificates()
        let files = await certificates.make("server")
        let context = try TLSContext(server: files, protocols: .http2OrHTTP1)
        let old = try TLSContext(authorities: files.certificateChain, protocols: .http2OrHTTP1)
        _ = await certificates.make("server")
        try context.reload()
        let renewed = try TLSContext(authorities: files.certificateChain, protocols: .http2OrHTTP1)
        let (server, client) = try await pair(server: context, client: renewed)
        #expect(await client.next() == .established)
        await client.end()
        await server.end()
        let (again, refused) = try await pair(server: context, client: old)
        guard case .closed(.insecure) = await refused.next() else {
            Issue.record("the old certificate is still in use")
            return
        }
        await refused.end()
        await again.end()
    }

    @Test func `a bad file is named with what is wrong, and a failed reload keeps the old files`() async throws {
        let certificates = Certificates()
        let files = await certificates.make("server")
        let other = await certificates.make("other")
        let missing = certificates.folder.path + "/" + "missing.crt"
        let error = #expect(throws: TLSError.self) {
            try TLSContext(server: TLSFiles(certificateChain: missing, privateKey: files.privateKey), protocols: .http2)
        }
        #expect(error?.description == "cannot load the certificate chain \(missing): No such file or directory")
        let mismatch = #expect(throws: TLSError.self) {
            let mixed = TLSFiles(certificateChain: files.certificateChain, privateKey: other.privateKey)
            _ = try TLSContext(server: mixed, protocols: .http2)
        }
        #expect(mismatch?.description.contains(other.privateKey) == true)
        let text = certificates.folder.write("text", "not a certificate")
        let garbage = #expect(throws: TLSError.self) {
            try TLSContext(server: TLSFiles(certificateChain: text, privateKey: files.privateKey), protocols: .http2)
        }
        #expect(garbage?.description.contains(text) == true)
        let context = try TLSContext(server: files, protocols: .http2OrHTTP1)
        certificates.folder.write("server.crt", "broken")
        #expect(throws: TLSError.self) { try context.reload() }
    }
}

extension LoopbackClient {
    /// Completes a handshake and sends close_notify.
    func sayGoodbyeOverTLS(_ context: TLSContext) throws {
        var session = TLSSession(context, serverName: "localhost")
        while try !session.handshake() {
            try flush(&session)
            let bytes = try receive()
            try unsafe session.feed(bytes.span.bytes)
        }
        session.closeNotify()
        try flush(&session)
    }

    private func flush(_ session: inout TLSSession) throws {
        var bytes: [UInt8] = []
        session.takeCiphertext { part in unsafe part.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) } }
        if !bytes.isEmpty { try send(bytes) }
    }
}
