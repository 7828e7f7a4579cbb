import Reactor
import TestSupport
import Testing

/// The certificates of `deploy/fleet-ca.sh` and what the fleet's listener asks for: TLS 1.3, and a certificate of its authority.
@Suite(.timeLimit(.minutes(5)), .enabled(if: Certificates.canBeMade))
struct FleetSecurityTests {
    private static func make(_ folder: String, _ names: [String]) async -> Command {
        await Command.run("sh", [SharedFiles.repository + "/deploy/fleet-ca.sh", folder] + names)
    }

    /// An authority with certificates for a gateway and a worker.
    private struct Fleet {
        let folder = ScratchFolder()

        init() async {
            let result = await FleetSecurityTests.make(folder.path, ["gateway", "worker-1"])
            #expect(result.status == 0, "\(result.complaints)")
        }

        func files(_ name: String) -> TLSFiles {
            TLSFiles(
                certificateChain: "\(folder.path)/\(name).crt", privateKey: "\(folder.path)/\(name).key", peerAuthorities: folder.path + "/ca.crt")
        }

        func server() throws -> TLSContext { try TLSContext(server: files("gateway"), protocols: .http2, minimumVersion: .tls13) }
        func client() throws -> TLSContext { try TLSContext(client: files("worker-1"), protocols: .http2, minimumVersion: .tls13) }
    }

    private func pair(server: TLSContext, client: TLSContext, name: String) async throws -> (server: Stage, client: Stage) {
        let (here, there) = (try Stage(name: "client"), try Stage(name: "server"))
        let endpoint = try await there.listen(echo: true, tls: server)
        try await here.connect(to: endpoint.description, tls: client, serverName: name)
        #expect(await here.next() == .connected)
        #expect(await there.next() == .accepted)
        return (there, here)
    }

    @Test(arguments: ["ferry-fleet", "gateway"])
    func `a member of the fleet is let in, under the fleet's name or the other side's own`(name: String) async throws {
        let fleet = await Fleet()
        let (server, client) = try await pair(server: fleet.server(), client: fleet.client(), name: name)
        #expect(await client.next() == .established)
        await client.write(Array("hello".utf8))
        #expect(await client.received(5) == Array("hello".utf8))
        #expect(await server.fingerprint() != nil)
        #expect(await client.fingerprint() != server.fingerprint())
        await client.end()
        await server.end()
    }

    @Test(arguments: ["worker-1", "localhost", "127.0.0.1"])
    func `another name than the expected one is refused`(name: String) async throws {
        let fleet = await Fleet()
        let (server, client) = try await pair(server: fleet.server(), client: fleet.client(), name: name)
        guard case .closed(.insecure(let error)) = await client.next() else {
            Issue.record("expected the client to refuse")
            return
        }
        #expect(error.reason.contains("mismatch"), "\(error)")
        await client.end()
        await server.end()
    }

    @Test(arguments: [false, true])
    func `a client without a certificate, or with another fleet's, is refused and hears why`(withCertificate: Bool) async throws {
        let (fleet, others) = (await Fleet(), await Fleet())
        let stranger = try TLSContext(
            client: withCertificate ? others.files("worker-1") : nil, authorities: fleet.folder.path + "/ca.crt", protocols: .http2,
            minimumVersion: .tls13)
        let (server, client) = try await pair(server: fleet.server(), client: stranger, name: "ferry-fleet")
        guard case .closed(.insecure(let refusal)) = await server.next() else {
            Issue.record("expected the server to refuse")
            return
        }
        #expect(refusal.reason.contains(withCertificate ? "certificate verify failed" : "peer did not return a certificate"), "\(refusal)")
        // Its own side of the handshake was complete before.
        #expect(await client.next() == .established)
        guard case .closed(.insecure(let news)) = await client.next() else {
            Issue.record("expected the client to hear of it")
            return
        }
        #expect(news.reason.contains(withCertificate ? "unknown ca" : "certificate required"), "\(news)")
        await client.end()
        await server.end()
    }

    @Test func `a client with the right certificate but only TLS 1.2 is refused`() async throws {
        let fleet = await Fleet()
        let files = fleet.files("worker-1")
        for (version, isWelcome) in [("-tls1_2", false), ("-tls1_3", true)] {
            let server = try Stage()
            let endpoint = try await server.listen(tls: fleet.server())
            async let client = Command.run("openssl", [
                "s_client", "-connect", endpoint.description, version, "-cert", files.certificateChain, "-key", files.privateKey,
                "-CAfile", fleet.folder.path + "/ca.crt", "-alpn", "h2",
            ])
            #expect(await server.next() == .accepted)
            switch await server.next() {
            case .established: #expect(isWelcome)
            case .closed(.insecure(let error)):
                #expect(!isWelcome)
                #expect(error.reason.contains("unsupported protocol"), "\(error)")
            case let other: Issue.record("\(String(describing: other))")
            }
            await server.end()
            _ = await client
        }
    }

    @Test func `a server with only TLS 1.2 is refused`() async throws {
        let fleet = await Fleet()
        var client = TLSSession(try fleet.client(), serverName: "ferry-fleet")
        #expect(try !client.handshake())
        var hello: [UInt8] = []
        client.takeCiphertext { part in unsafe part.withUnsafeBytes { unsafe hello.append(contentsOf: $0) } }
        // A server hello of TLS 1.2: version, random, no session, a cipher suite, no compression, no extensions.
        let body: [UInt8] = [3, 3] + [UInt8](repeating: 7, count: 32) + [0, 0xC0, 0x2B, 0]
        let message: [UInt8] = [2, 0, 0, UInt8(body.count)] + body
        let record: [UInt8] = [22, 3, 3, 0, UInt8(message.count)] + message
        try unsafe client.feed(record.span.bytes)
        do throws(TLSError) {
            _ = try client.handshake()
            Issue.record("expected the client to refuse")
        } catch {
            #expect(error.reason.contains("unsupported protocol"), "\(error)")
        }
    }

    @Test func `keys are their owner's alone, and nothing is overwritten`() async throws {
        let fleet = await Fleet()
        let folder = fleet.folder
        #expect(folder.names() == ["ca.crt", "ca.key", "gateway.crt", "gateway.key", "worker-1.crt", "worker-1.key"])
        for key in ["ca", "gateway", "worker-1"] { #expect(fileMode("\(folder.path)/\(key).key").map { $0 & 0o777 } == 0o600) }
        let before = try folder.names().map { try folder.read($0) }
        let again = await Self.make(folder.path, ["worker-2", "gateway"])
        #expect(again.status == 1)
        #expect(again.complaints == "fleet-ca.sh: \(folder.path)/gateway.key exists and is not overwritten\n")
        #expect(try folder.names().map { try folder.read($0) } == before)
        let another = await Self.make(folder.path, ["worker-2"])
        #expect(another.status == 0, "\(another.complaints)")
        #expect(try folder.read("ca.crt") == before[0])
        for name in ["gateway", "worker-2"] {
            let verified = await Command.run("openssl", ["verify", "-x509_strict", "-CAfile", folder.path + "/ca.crt", "\(folder.path)/\(name).crt"])
            #expect(verified.status == 0, "\(verified.complaints)")
        }
    }

    @Test(arguments: ["", "A", "a b", "../a", "ca", String(repeating: "a", count: 65)])
    func `an impossible name makes nothing`(name: String) async {
        let folder = ScratchFolder()
        let result = await Self.make(folder.path, ["good", name])
        #expect(result.status == 1)
        #expect(result.complaints.contains("the name \"\(name)\""))
        #expect(folder.names() == [])
    }
}
