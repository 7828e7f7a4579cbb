import Inference
import Platform
import Reactor
import TestSupport
import Testing
import Wire

@testable import Transfer

/// KV on its way between two workers, over real sockets.
@Suite(.timeLimit(.minutes(5)))
struct KeyValueTransferTests {
    private func isFailed(_ news: TransferNews?, _ part: String) -> Bool {
        if case .failed(_, let reason) = news { reason.contains(part) } else { false }
    }

    @Test func `KV begins to travel before the prefill ends`() async throws {
        let pair = try await TransferPair()
        let blocks = makeBlocks(3)
        await pair.offer(blocks, ready: 1)
        await pair.fetch()
        #expect(await pair.sink.sink.next() == .asked(from: 0))
        #expect(await pair.sink.sink.next() == .blocks(1))
        pair.clock.set(seconds: 3)
        pair.source.source.finish(pair.transfer, chosen: 7)
        await pair.source.pump()
        guard case .arrived(pair.transfer, token: 7, let summary) = await pair.sink.nextNews() else {
            Issue.record("it did not arrive")
            return
        }
        #expect(pair.sink.sink.blocks(of: pair.transfer) == blocks)
        #expect((summary.rawBytes, summary.blocks, summary.connections) == (3000, 3, 1))
        #expect(summary.sentBytes == 3 * (1000 + BlockHeader.byteCount) + BlockHeader.byteCount + TransferEnd.byteCount)
        #expect((summary.wait, summary.exposed) == (.seconds(3), .zero))
        #expect(await pair.source.nextNews() == .released(pair.transfer))
        #expect(await pair.source.openLeases == 0)
        #expect(await pair.sink.openTransfers == 0)
        await pair.end()
    }

    @Test(arguments: [false, true])
    func `what breaks is resumed after the last whole block, a stream or a whole connection`(wholeConnection: Bool) async throws {
        var limits = FetchLimits()
        // So that the time in which nobody listens is no reason to give up.
        if wholeConnection { (limits.connections, limits.retryAfter) = (.max, .zero) }
        // A file's name stays this test's while nobody listens; a port could be another's by then.
        let folder = ScratchFolder()
        let pair = try await TransferPair(limits: limits, on: "unix:\(folder.path)/source")
        let blocks = makeBlocks(3)
        await pair.offer(blocks, ready: 2)
        await pair.fetch()
        #expect(await pair.sink.sink.next() == .asked(from: 0))
        #expect(await pair.sink.sink.next() == .blocks(1))
        #expect(await pair.sink.sink.next() == .blocks(2))
        pair.source.source.finish(pair.transfer, chosen: 7)
        if wholeConnection {
            await pair.source.stop()
            try await pair.source.listen(on: pair.endpoint.description)
        } else {
            await pair.source.breakStreams()
        }
        await pair.sink.tickUntilSettled()
        guard case .arrived(_, token: 7, let summary) = await pair.sink.nextNews() else {
            Issue.record("it did not arrive")
            return
        }
        #expect(await pair.sink.sink.next() == .asked(from: 2))
        #expect(pair.sink.sink.blocks(of: pair.transfer) == blocks)
        #expect((summary.connections, summary.blocks) == (2, 3))
        await pair.end()
    }

    @Test(arguments: [nil, 1] as [Int?])
    func `what came whole has arrived when it is decoded, and what was none comes again`(lost: Int?) async throws {
        let pair = try await TransferPair()
        let blocks = makeBlocks(3)
        await pair.offer(blocks, ready: 2)
        await pair.fetch()
        #expect(await pair.sink.sink.next() == .asked(from: 0))
        pair.sink.sink.beginDecoding(pair.transfer)
        pair.source.source.finish(pair.transfer, chosen: 7)
        await pair.source.pump()
        for count in 1...3 { #expect(await pair.sink.sink.next() == .blocks(count)) }
        #expect(await pair.sink.sink.next() == .settling)
        // Neither time nor the end of the stream is a reason to ask again.
        for _ in 0..<20 { await pair.sink.tick() }
        #expect(await pair.sink.openTransfers == 1)
        pair.sink.sink.decoded(pair.transfer, lost: lost)
        await pair.sink.pump()
        if let lost { #expect(await pair.sink.sink.next() == .asked(from: lost)) }
        guard case .arrived(_, token: 7, let summary) = await pair.sink.nextNews() else {
            Issue.record("it did not arrive")
            return
        }
        #expect(summary.profile == "kept" && summary.connections == (lost == nil ? 1 : 2))
        #expect(pair.sink.sink.blocks(of: pair.transfer) == blocks)
        await pair.end()
    }

    @Test func `what is decoded for too long has failed`() async throws {
        let pair = try await TransferPair()
        await pair.offer(makeBlocks(1), ready: 0)
        await pair.fetch()
        #expect(await pair.sink.sink.next() == .asked(from: 0))
        pair.sink.sink.beginDecoding(pair.transfer)
        pair.source.source.finish(pair.transfer, chosen: 7)
        await pair.source.pump()
        #expect(await pair.sink.sink.next() == .blocks(1))
        #expect(await pair.sink.sink.next() == .settling)
        await pair.sink.tickUntilSettled { pair.clock.set(seconds: 100) }
        #expect(await pair.sink.nextNews() == .failed(pair.transfer, "what came from source was not decoded in 60.0 seconds"))
        await pair.end()
    }

    @Test func `a stream that breaks too often has failed, and its offer is released`() async throws {
        let pair = try await TransferPair()
        await pair.offer(makeBlocks(2), ready: 1)
        await pair.fetch()
        for from in [0, 1, 1] {
            while let request = await pair.source.nextRequest() {
                guard request.hasPrefix("GET") else { continue }
                #expect(request.hasSuffix("start=0&from=\(from)"))
                break
            }
            if from == 0 {
                #expect(await pair.sink.sink.next() == .asked(from: 0))
                #expect(await pair.sink.sink.next() == .blocks(1))
            }
            await pair.source.breakStreams()
        }
        #expect(await pair.sink.nextNews() == .failed(pair.transfer, "the stream from source broke after 1 blocks"))
        #expect(await pair.source.nextNews() == .released(pair.transfer))
        await pair.end()
    }

    @Test(arguments: [1, 2])
    func `a corrupt block is asked for again, once`(times: Int) async throws {
        let pair = try await TransferPair()
        let blocks = makeBlocks(3)
        await pair.offer(blocks, chosen: 7)
        await pair.fetch(faults: [1: times])
        let news = await pair.sink.nextNews()
        if times == 1 {
            guard case .arrived(_, token: 7, let summary) = news else {
                Issue.record("it did not arrive: \(String(describing: news))")
                return
            }
            #expect(summary.connections == 2)
            #expect(pair.sink.sink.blocks(of: pair.transfer) == blocks)
        } else {
            #expect(news == .failed(pair.transfer, "block 1 is damaged"))
        }
        for event in [KeepingSink.Event.asked(from: 0), .blocks(1), .asked(from: 1)] { #expect(await pair.sink.sink.next() == event) }
        #expect(await pair.source.nextNews() == .released(pair.transfer))
        await pair.end()
    }

    @Test(arguments: [false, true])
    func `an offer that is gone fails at once`(isHeld: Bool) async throws {
        let pair = try await TransferPair()
        if isHeld { await pair.source.offer(pair.transfer) }
        await pair.fetch()
        #expect(await pair.sink.nextNews() == .failed(pair.transfer, "source answered 404"))
        #expect(await pair.sink.sink.next() == .asked(from: 0))
        await pair.end()
        var fetches = 0
        pair.source.finishReports()
        for await request in pair.source.requests where request.hasPrefix("GET") { fetches += 1 }
        #expect(fetches == 1)
    }

    @Test func `an offer that is withdrawn on its way fails`() async throws {
        let pair = try await TransferPair()
        await pair.offer(makeBlocks(2), ready: 1)
        await pair.fetch()
        #expect(await pair.sink.sink.next() == .asked(from: 0))
        #expect(await pair.sink.sink.next() == .blocks(1))
        pair.source.source.forget(pair.transfer)
        await pair.source.withdraw(pair.transfer)
        #expect(await pair.sink.nextNews() == .failed(pair.transfer, "source answered 404"))
        await pair.end()
    }

    @Test func `a peer with another fingerprint gets nothing`() async throws {
        let pair = try await TransferPair(fingerprint: 0xF2)
        await pair.offer(makeBlocks(1), chosen: 7)
        await pair.fetch()
        #expect(await pair.sink.nextNews() == .failed(pair.transfer, "source answered 409"))
        #expect(pair.source.source.counts == (0, 0))
        await pair.end()
    }

    @Test func `a stream without a block for too long counts as broken`() async throws {
        let pair = try await TransferPair()
        await pair.offer(makeBlocks(1), ready: 0)
        await pair.fetch()
        for attempt in 1...3 {
            #expect(await pair.sink.sink.next() == .asked(from: 0))
            // The clock goes on once the stream has begun, which is later in the turn that asked.
            #expect(await pair.sink.openTransfers == 1)
            pair.clock.set(seconds: UInt64(attempt) * 60 - 1)
            await pair.sink.tick()
            #expect(await pair.sink.openTransfers == 1)
            pair.clock.set(seconds: UInt64(attempt) * 60)
            await pair.sink.tick()
        }
        #expect(isFailed(await pair.sink.nextNews(), "no block from source for 60"))
        await pair.end()
    }

    @Test func `what the engine no longer wants is let go of, and released`() async throws {
        let pair = try await TransferPair()
        await pair.offer(makeBlocks(2), ready: 1)
        await pair.fetch()
        #expect(await pair.sink.sink.next() == .asked(from: 0))
        #expect(await pair.sink.sink.next() == .blocks(1))
        pair.sink.sink.forget(pair.transfer)
        pair.source.source.finish(pair.transfer, chosen: 7)
        await pair.source.pump()
        #expect(await pair.source.nextNews() == .released(pair.transfer))
        #expect(await pair.sink.openTransfers == 0)
        await pair.end()
    }

    @Test func `to abandon resets the stream and releases the offer`() async throws {
        let pair = try await TransferPair()
        await pair.offer(makeBlocks(2), ready: 1)
        await pair.fetch()
        #expect(await pair.sink.sink.next() == .asked(from: 0))
        #expect(await pair.sink.sink.next() == .blocks(1))
        await pair.sink.abandon(pair.transfer)
        await pair.sink.abandon(pair.transfer)
        #expect(await pair.source.nextNews() == .released(pair.transfer))
        let asked = pair.source.source.counts.asked
        await pair.source.pump()
        #expect(pair.source.source.counts.asked == asked)
        await pair.end()
    }

    @Test func `a peer that cannot be reached fails its transfers after so many attempts`() async throws {
        let pair = try await TransferPair()
        await pair.source.stop()
        await pair.sink.announce([pair.other], from: pair.address)
        await pair.fetch()
        await pair.sink.tick { $0.first?.state == .failed }
        // It rests: however often it is looked at, there is no second attempt yet.
        for _ in 0..<10 { await pair.sink.tick() }
        #expect(await pair.sink.openTransfers == 2)
        var seconds: UInt64 = 0
        await pair.sink.tickUntilSettled {
            seconds += 1
            pair.clock.set(seconds: seconds / 1000)
        }
        for transfer in [pair.other, pair.transfer] {
            let news = await pair.sink.nextNews()
            #expect(isFailed(news, "source could not be reached: cannot connect to \(pair.endpoint)"), "\(String(describing: news))")
            if case .failed(let id, _) = news { #expect(id == transfer) }
        }
        #expect(await pair.sink.figures.allSatisfy { $0.state != .open })
        await pair.end()
    }

    @Test func `peers are connected to before they are needed, and let go of when nothing is wanted from them`() async throws {
        let pair = try await TransferPair()
        await pair.sink.setPeers([pair.address])
        await pair.sink.tick { $0.first?.state == .open }
        await pair.offer(makeBlocks(1), ready: 0)
        await pair.fetch()
        #expect(await pair.sink.sink.next() == .asked(from: 0))
        await pair.sink.setPeers([])
        await pair.sink.tick()
        #expect(await pair.sink.figures.map(\.state) == [.open])
        pair.source.source.finish(pair.transfer, chosen: 7)
        await pair.source.pump()
        guard case .arrived = await pair.sink.nextNews() else {
            Issue.record("it did not arrive")
            return
        }
        #expect(await pair.source.nextNews() == .released(pair.transfer))
        await pair.sink.tick()
        #expect(await pair.sink.figures.isEmpty)
        await pair.end()
    }
}
