import HTTP
import Reactor
import Server
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5)))
struct HTTP2ServerTests {
    @Test func `a client that stops reading pauses only its own stream`() async throws {
        let service = try await Service()
        let client = try await H2Client(service)
        let slow = try await client.request("GET", "/stream?10000000")
        #expect(try await client.status(slow) == 200)
        #expect(try await client.body(slow, atLeast: 256 << 10, consuming: false) == 256 << 10)
        for _ in 0..<20 {
            let quick = try await client.request("GET", "/hello")
            #expect(try await client.status(quick) == 200)
            #expect(try await client.body(quick, atLeast: 6, consuming: true) == 6)
        }
        // Reading on sets it free again.
        try await client.consume(slow, 256 << 10)
        #expect(try await client.body(slow, atLeast: 10_000_000 - (256 << 10), consuming: true) == 10_000_000 - (256 << 10))
        #expect(await service.closed("/stream") == .completed)
        await client.close()
        await service.end()
    }

    @Test func `a stream whose client takes nothing is reset after the stall timeout, its neighbours are not`() async throws {
        let service = try await Service()
        let client = try await H2Client(service)
        let slow = try await client.request("GET", "/stream?10000000")
        let waiting = try await client.request("GET", "/hold")
        #expect(try await client.body(slow, atLeast: 256 << 10, consuming: false) == 256 << 10)
        // What was taken until now is noticed at the first look.
        await service.server.checkDeadlines(ahead: .seconds(31))
        await service.server.checkDeadlines(ahead: .seconds(45))
        #expect(await service.countersNow().slowReaders == 0)
        await service.server.checkDeadlines(ahead: .seconds(62))
        #expect(try await client.resetCode(slow) == .enhanceYourCalm)
        await service.counters { $0.slowReaders == 1 }
        let release = try await client.request("GET", "/release")
        #expect(try await client.status(release) == 200)
        #expect(try await client.status(waiting) == 200)
        await client.close()
        await service.end()
    }

    @Test func `a cancelled stream is told to the handler once, and the connection goes on`() async throws {
        let service = try await Service()
        let client = try await H2Client(service)
        let held = try await client.request("GET", "/hold")
        #expect(await service.next() == .handled("/hold"))
        try await client.reset(held)
        #expect(await service.next() == .closed("/hold", .clientGone(.cancel)))
        let release = try await client.request("GET", "/release")
        #expect(try await client.status(release) == 200)
        await client.close()
        let counters = await service.end()
        #expect(counters.clientResets == 1)
        #expect(counters.connectionsAccepted == 1)
    }

    @Test func `a flood of cancelled requests ends the connection`() async throws {
        let service = try await Service()
        let client = try await H2Client(service)
        for _ in 0..<2000 { try await client.reset(try await client.request("GET", "/hold")) }
        await client.close()
        let counters = await service.end()
        #expect(counters.protocolErrors == 1)
        #expect(counters.requests < 2000)
        #expect(counters.requests == counters.clientResets)
    }

    @Test func `a request body that stops coming resets its stream only`() async throws {
        let service = try await Service()
        let client = try await H2Client(service)
        let upload = try await client.request("POST", "/size", body: [1, 2, 3])
        await service.counters { $0.bufferedRequestBytes == 3 }
        await service.server.checkDeadlines(ahead: .seconds(21))
        #expect(try await client.resetCode(upload) == .cancel)
        let hello = try await client.request("GET", "/hello")
        #expect(try await client.status(hello) == 200)
        await client.close()
        #expect(await service.end().slowSenders == 1)
    }

    @Test func `streams of a connection that dies are all told`() async throws {
        let service = try await Service()
        let client = try await H2Client(service)
        for _ in 0..<50 { _ = try await client.request("GET", "/hold") }
        await service.counters { $0.exchangesOpen == 50 }
        await client.close()
        for _ in 0..<50 { #expect(await service.closed("/hold") == .clientGone(.cancel)) }
        #expect(await service.end().clientResets == 50)
    }
}

/// An independent client, if the machine has one.
@Suite(.timeLimit(.minutes(5)), .enabled(if: Command.exists("curl")))
struct CurlTests {
    private func curl(_ arguments: String...) async -> Command {
        await Command.run("curl", ["-s", "-S", "--max-time", "20"] + arguments)
    }

    @Test(arguments: ["--http1.1", "--http2-prior-knowledge", "--http2"])
    func `curl gets answers in clear, whichever way it begins`(mode: String) async throws {
        let service = try await Service()
        let hello = await curl(mode, "-w", "%{http_version} %{http_code}", service.url + "/hello")
        #expect(hello.text == (mode == "--http1.1" ? "hello\n1.1 200" : "hello\n2 200"), "\(hello.complaints)")
        let big = await curl(mode, "-o", "/dev/null", "-w", "%{size_download}", service.url + "/trailers?10000000")
        #expect(big.text == "10000000", "\(big.complaints)")
        await service.end()
    }

    @Test(arguments: ["--http1.1", "--http2-prior-knowledge"])
    func `curl sends ten megabytes and gets them back`(mode: String) async throws {
        let service = try await Service()
        let folder = ScratchFolder()
        let line = String(repeating: "0123456789abcdef", count: 64) + "\n"
        let file = folder.write("body", String(repeating: line, count: 10_240))
        let answer = await curl(mode, "--data-binary", "@" + file, service.url + "/echo")
        #expect(answer.text.utf8.count == 10_240 * 1025, "\(answer.complaints)")
        #expect(answer.text == String(repeating: line, count: 10_240))
        await service.end()
    }

    @Test(.enabled(if: Command.exists("openssl")), arguments: ["--http1.1", "--http2"])
    func `curl speaks TLS, choosing the protocol by ALPN`(mode: String) async throws {
        let folder = ScratchFolder()
        let files = TLSFiles(certificateChain: folder.path + "/" + "crt", privateKey: folder.path + "/" + "key")
        let made = await Command.run("openssl", [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", files.privateKey, "-out", files.certificateChain,
        ])
        #expect(made.status == 0, "\(made.complaints)")
        let service = try await Service(tls: TLSContext(server: files, protocols: .http2OrHTTP1))
        let url = "https://\(service.endpoint)"
        let peer = await curl(mode, "--cacert", files.certificateChain, "-w", " %{http_version}", url + "/peer")
        #expect(peer.text.hasPrefix("https true 127.0.0.1:"), "\(peer.complaints)")
        #expect(peer.text.hasSuffix(mode == "--http2" ? " 2" : " 1.1"))
        let big = await curl(
            mode, "--cacert", files.certificateChain, "-o", "/dev/null", "-w", "%{size_download}", url + "/stream?10000000")
        #expect(big.text == "10000000", "\(big.complaints)")
        let plain = await curl("--http1.1", service.url + "/hello")
        #expect(plain.status != 0)
        let counters = await service.end()
        #expect(counters.handshakeFailures == 1)
    }

    @Test(arguments: ["--http1.1", "--http2-prior-knowledge"])
    func `a body too large is answered with 413`(mode: String) async throws {
        let service = try await Service()
        let body = String(repeating: "x", count: 200)
        let answer = await curl(mode, "--data-binary", body, "-w", "%{http_code}", service.url + "/small")
        #expect(answer.text.hasSuffix("413"), "\(answer.text) \(answer.complaints)")
        await service.end()
    }

    @Test func `a stream that is aborted is no complete answer`() async throws {
        let service = try await Service()
        let answer = await curl("--http2-prior-knowledge", service.url + "/abort")
        #expect(answer.status != 0)
        #expect(await service.closed("/abort") == .aborted)
        await service.end()
    }

    @Test func `draining ends HTTP-2 connections after their open streams`() async throws {
        let service = try await Service()
        async let answer = curl(
            "--http2-prior-knowledge", "-o", "/dev/null", "-w", "%{size_download}", service.url + "/stream?20000000")
        #expect(await service.next() == .handled("/stream"))
        #expect(await service.server.drain(within: .seconds(20)) == 0)
        let got = await answer
        #expect(got.text == "20000000", "\(got.complaints)")
        #expect(await service.closed("/stream") == .completed)
        await service.end()
    }
}

@Suite(.timeLimit(.minutes(5)), .enabled(if: Command.exists("h2load")))
struct H2LoadTests {
    @Test func `ten thousand requests over HTTP-2 all succeed`() async throws {
        let service = try await Service()
        let load = await Command.run("h2load", ["-n", "10000", "-c", "10", "-m", "50", service.url + "/hello"])
        #expect(load.text.contains("10000 succeeded, 0 failed, 0 errored, 0 timeout"), "\(load.text) \(load.complaints)")
        let counters = await service.end()
        #expect(counters.requests == 10_000)
    }

    @Test func `ten thousand requests over HTTP-1.1 all succeed`() async throws {
        let service = try await Service()
        let load = await Command.run("h2load", ["--h1", "-n", "10000", "-c", "20", service.url + "/hello"])
        #expect(load.text.contains("10000 succeeded, 0 failed, 0 errored, 0 timeout"), "\(load.text) \(load.complaints)")
        await service.end()
    }

    @Test func `fifty streams of a megabyte on one connection all arrive`() async throws {
        let service = try await Service()
        let load = await Command.run("h2load", ["-n", "100", "-c", "2", "-m", "50", service.url + "/stream?1000000"])
        #expect(load.text.contains("100 succeeded, 0 failed, 0 errored, 0 timeout"), "\(load.text) \(load.complaints)")
        let counters = await service.end()
        #expect(counters.bytesSent > 100_000_000)
    }
}
