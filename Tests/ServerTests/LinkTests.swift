import HTTP
import Platform
import Reactor
import TestSupport
import Testing

@testable import Server

@Suite(.timeLimit(.minutes(5)))
struct LinkTests {
    @Test func `requests and answers of a link arrive whole, many at once`() async throws {
        let service = try await Service()
        let stage = try LinkStage()
        await stage.open(service.endpoint)
        #expect(await stage.next() == .opened)
        await stage.request("GET", "/trailers?3000000")
        await stage.request("GET", "/hello")
        await stage.request("POST", "/echo", endStream: false)
        let sent = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        #expect(await stage.write("/echo", sent))
        await stage.finish("/echo")
        var closed = 0
        let news = await stage.news {
            if case .streamClosed = $0 { closed += 1 }
            return closed == 3
        }
        #expect(news.contains(.end("/trailers", trailers: 1)))
        #expect(news.contains(.body("/trailers", 3_000_000)))
        for path in ["/trailers", "/hello", "/echo"] {
            #expect(news.contains(.response(path, 200)))
            #expect(news.contains(.streamClosed(path, .completed)))
        }
        #expect(await stage.body("/hello") == Array("hello\n".utf8))
        #expect(await stage.body("/echo") == sent)
        #expect(await stage.statistics != nil)
        await stage.close()
        #expect(await stage.next() == .closed(.closed))
        await stage.end()
        await service.end()
    }

    @Test func `a streamed exchange goes both ways over a link, for as long as both want`() async throws {
        let service = try await Service()
        let stage = try LinkStage()
        await stage.open(service.endpoint)
        #expect(await stage.next() == .opened)
        await stage.request("POST", "/live-echo", endStream: false)
        #expect(await stage.next() == .response("/live-echo", 200))
        _ = await stage.write("/live-echo", [1, 2, 3])
        await stage.finish("/live-echo")
        #expect(
            await stage.news { if case .streamClosed = $0 { true } else { false } } == [
                .body("/live-echo", 3), .end("/live-echo", trailers: 1), .streamClosed("/live-echo", .completed),
            ])
        await stage.close()
        await stage.end()
        await service.end()
    }

    @Test func `nobody listens, and the attempt fails with the system's words`() async throws {
        let vacant = try LoopbackSocket(listening: false)
        defer { extendLifetime(vacant) }
        let endpoint = Endpoint.tcp(host: "127.0.0.1", port: vacant.port)
        let stage = try LinkStage()
        await stage.open(endpoint)
        let refusal = UVError(.connectionRefused, attempt: "connect to \(endpoint)")
        #expect(await stage.next() == .failed(.failed(refusal)))
        await stage.end()
    }

    @Test func `a peer that accepts and says nothing is given up after the connect timeout`() async throws {
        let stage = try LinkStage()
        let silent = try LoopbackSocket(listening: true)
        defer { extendLifetime(silent) }
        let endpoint = Endpoint.tcp(host: "127.0.0.1", port: silent.port)
        var limits = HTTPLinkLimits.manual
        (limits.tick, limits.connectTimeout) = (.milliseconds(1), .milliseconds(5))
        await stage.open(endpoint, limits: limits)
        #expect(await stage.next() == .failed(.connectTimedOut(peer: endpoint.description, .milliseconds(5))))
        await stage.end()
    }

    @Test func `an attempt that is cancelled says so once`() async throws {
        let stage = try LinkStage()
        let silent = try LoopbackSocket(listening: true)
        defer { extendLifetime(silent) }
        let endpoint = Endpoint.tcp(host: "127.0.0.1", port: silent.port)
        await stage.open(endpoint)
        await stage.cancel()
        #expect(await stage.next() == .failed(.closed))
        await stage.cancel()
        await stage.end()
    }

    @Test func `a frozen peer is noticed, and streams hear of it before the link`() async throws {
        let service = try await Service()
        let stage = try LinkStage()
        await stage.open(service.endpoint)
        #expect(await stage.next() == .opened)
        await stage.request("GET", "/hold")
        #expect(await service.next() == .handled("/hold"))
        await service.withReactorBusy {
            await stage.pass(.seconds(1))
            #expect(await stage.isOpen)
            await stage.pass(.seconds(3))
            await stage.pass(.seconds(8))
            let lost = LinkError.silent(peer: service.endpoint.description, .seconds(6))
            #expect(await stage.next() == .streamClosed("/hold", .linkLost(lost)))
            #expect(await stage.next() == .closed(lost))
        }
        await stage.end()
        await service.end()
    }

    @Test func `a link whose peer answers stays open, however much time passes`() async throws {
        let service = try await Service()
        let stage = try LinkStage()
        await stage.open(service.endpoint)
        #expect(await stage.next() == .opened)
        for second in 1...30 {
            await stage.pass(.seconds(2 * second))
            // The answer to the ping has come when this one has.
            await stage.request("GET", "/hello")
            _ = await stage.news { if case .streamClosed = $0 { true } else { false } }
        }
        #expect(await stage.isOpen)
        await stage.close()
        await stage.end()
        await service.end()
    }

    @Test func `a peer that ends is told to streams and link`() async throws {
        let service = try await Service()
        let stage = try LinkStage()
        await stage.open(service.endpoint)
        #expect(await stage.next() == .opened)
        await stage.request("GET", "/hold")
        #expect(await service.next() == .handled("/hold"))
        await service.server.drain(within: .zero)
        let lost = LinkError.peerClosed(peer: service.endpoint.description)
        #expect(await stage.news { if case .closed = $0 { true } else { false } } == [.streamClosed("/hold", .linkLost(lost)), .closed(lost)])
        #expect(await !stage.request("GET", "/hello"))
        await stage.end()
        await service.end()
    }

    @Test func `a stream that we break off and one that the peer breaks off are told apart`() async throws {
        let service = try await Service()
        let stage = try LinkStage()
        await stage.open(service.endpoint)
        #expect(await stage.next() == .opened)
        await stage.request("GET", "/hold")
        await stage.reset("/hold")
        #expect(await stage.next() == .streamClosed("/hold", .aborted))
        await stage.request("GET", "/abort")
        #expect(await stage.news { if case .streamClosed = $0 { true } else { false } }.last == .streamClosed("/abort", .reset(.internalError)))
        #expect(await stage.isOpen)
        await stage.close()
        await stage.end()
        await service.end()
    }

    @Test func `a peer takes no more streams than it allows`() async throws {
        var limits = ServerLimits.manual
        limits.http.maximumConcurrentStreams = 2
        let service = try await Service(limits: limits)
        let stage = try LinkStage()
        await stage.open(service.endpoint)
        #expect(await stage.next() == .opened)
        #expect(await stage.request("GET", "/hold"))
        #expect(await stage.request("POST", "/live-count", endStream: false))
        #expect(await !stage.request("GET", "/hello"))
        await stage.close()
        await stage.end()
        await service.end()
    }

    @Test(.enabled(if: Command.exists("openssl"))) func `under TLS a link asks for HTTP-2 and for the right name`() async throws {
        let folder = ScratchFolder()
        let files = TLSFiles(certificateChain: folder.path + "/" + "crt", privateKey: folder.path + "/" + "key")
        let made = await Command.run("openssl", [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", files.privateKey, "-out", files.certificateChain,
        ])
        #expect(made.status == 0, "\(made.complaints)")
        let trust = try TLSContext(client: nil, authorities: files.certificateChain, protocols: .http2)
        let service = try await Service(tls: TLSContext(server: files, protocols: .http2OrHTTP1))
        let stage = try LinkStage()
        await stage.open(service.endpoint, tls: trust)
        #expect(await stage.next() == .opened)
        await stage.request("GET", "/stream?3000000")
        #expect(await stage.news { if case .streamClosed = $0 { true } else { false } }.contains(.body("/stream", 3_000_000)))
        await stage.close()
        #expect(await stage.next() == .closed(.closed))
        await stage.end()
        await service.end()
        let old = try await Service(tls: TLSContext(server: files, protocols: .http1))
        let other = try LinkStage()
        await other.open(old.endpoint, tls: trust)
        let refused = if case .failed = await other.next() { true } else { false }
        #expect(refused)
        await other.end()
        await old.end()
    }
}

@Suite struct LinkWatchTests {
    private var limits: HTTPLinkLimits {
        var limits = HTTPLinkLimits()
        (limits.pingInterval, limits.silenceLimit, limits.stallTimeout) = (.seconds(2), .seconds(6), .seconds(4))
        return limits
    }

    private func at(_ second: UInt64) -> MonotonicInstant { MonotonicInstant(nanoseconds: second * 1_000_000_000) }

    @Test func `a link pings at its interval and gives up after silence`() {
        var watch = LinkWatch(limits: limits, now: at(10))
        #expect(watch.tick(now: at(11), received: 0, sent: 0, waiting: 0) == .fine)
        #expect(watch.tick(now: at(12), received: 0, sent: 0, waiting: 0) == .ping)
        #expect(watch.tick(now: at(13), received: 0, sent: 17, waiting: 0) == .fine)
        #expect(watch.tick(now: at(14), received: 17, sent: 17, waiting: 0) == .ping)
        #expect(watch.tick(now: at(19), received: 17, sent: 34, waiting: 0) == .ping)
        #expect(watch.tick(now: at(20), received: 17, sent: 51, waiting: 0) == .silent)
    }

    @Test func `bytes that the socket does not take end the link, a slow one does not`() {
        var watch = LinkWatch(limits: limits, now: at(10))
        #expect(watch.tick(now: at(11), received: 1, sent: 5, waiting: 100) == .fine)
        #expect(watch.tick(now: at(14), received: 2, sent: 6, waiting: 99) == .ping)
        #expect(watch.tick(now: at(17), received: 3, sent: 6, waiting: 99) == .ping)
        #expect(watch.tick(now: at(18), received: 4, sent: 6, waiting: 99) == .stalled)
    }

    @Test func `time in which we stood still ourselves does not count`() {
        var watch = LinkWatch(limits: limits, now: at(10))
        watch.wasAway(.seconds(100))
        #expect(watch.tick(now: at(111), received: 0, sent: 0, waiting: 0) == .ping)
        #expect(watch.tick(now: at(116), received: 0, sent: 0, waiting: 0) == .silent)
    }
}
