import Platform
import TestSupport
import Testing
import Wire

@testable import Transfer

/// Leases between two workers.
@Suite(.timeLimit(.minutes(5)))
struct LeaseTests {
    @Test func `leases are renewed from the announcement on, in one message per peer`() async throws {
        let pair = try await TransferPair()
        await pair.source.offer(pair.transfer)
        await pair.source.offer(pair.other)
        await pair.sink.announce([pair.transfer, pair.other], from: pair.address)
        #expect(await pair.source.nextRequest() == "POST /x/lease 2")
        for seconds in stride(from: UInt64(4), through: 60, by: 4) {
            pair.clock.set(seconds: seconds)
            await pair.sink.tick()
            // It answers before it is asked what it holds.
            if seconds % 8 == 0 { #expect(await pair.source.nextRequest() == "POST /x/lease 2") }
            await pair.source.tick()
            if seconds < 60 { #expect(await pair.source.openLeases == 2) }
        }
        await pair.end()
    }

    @Test func `short leases are renewed more often than long ones`() {
        #expect(FetchLimits().renewing(leases: .seconds(1)).renewal == .milliseconds(250))
        #expect(FetchLimits().renewing(leases: .seconds(30)).renewal == .seconds(5))
    }

    @Test func `an announcement that lasts too long fails, and its offer is released`() async throws {
        let pair = try await TransferPair(lease: .seconds(1000))
        await pair.source.offer(pair.transfer)
        await pair.sink.announce([pair.transfer], from: pair.address)
        #expect(await pair.source.nextRequest() == "POST /x/lease 1")
        pair.clock.set(seconds: 59)
        await pair.sink.tick()
        #expect(await pair.sink.openTransfers == 1)
        pair.clock.set(seconds: 60)
        await pair.sink.tick()
        #expect(await pair.sink.nextNews() == .failed(pair.transfer, "it was announced and not fetched for 60.0 seconds"))
        #expect(await pair.source.nextNews() == .released(pair.transfer))
        await pair.end()
    }

    @Test func `time before the order to fetch is not time of the announcement any more`() async throws {
        let pair = try await TransferPair(lease: .seconds(1000))
        await pair.offer(makeBlocks(1), ready: 0)
        await pair.sink.announce([pair.transfer], from: pair.address)
        pair.clock.set(seconds: 59)
        await pair.fetch()
        #expect(await pair.sink.sink.next() == .asked(from: 0))
        pair.clock.set(seconds: 61)
        await pair.sink.tick()
        #expect(await pair.sink.openTransfers == 1)
        await pair.end()
    }

    @Test func `what the source does not know fails while it is announced`() async throws {
        let pair = try await TransferPair()
        await pair.source.offer(pair.other)
        await pair.sink.announce([pair.transfer, pair.other], from: pair.address)
        #expect(await pair.sink.nextNews() == .failed(pair.transfer, "source does not offer it, or no more"))
        #expect(await pair.sink.openTransfers == 1)
        // As after a restart.
        await pair.source.withdraw(pair.other)
        pair.clock.set(seconds: 5)
        await pair.sink.tick()
        #expect(await pair.sink.nextNews() == .failed(pair.other, "source does not offer it, or no more"))
        await pair.end()
    }

    @Test func `an offer that nobody renews expires, and its stream ends`() async throws {
        let pair = try await TransferPair()
        await pair.offer(makeBlocks(2), ready: 1)
        await pair.fetch()
        #expect(await pair.sink.sink.next() == .asked(from: 0))
        #expect(await pair.sink.sink.next() == .blocks(1))
        pair.clock.set(seconds: 29)
        await pair.source.tick()
        #expect(await pair.source.openLeases == 1)
        pair.clock.set(seconds: 30)
        await pair.source.tick()
        #expect(await pair.source.nextNews() == .expired(pair.transfer))
        #expect(await pair.sink.nextNews() == .failed(pair.transfer, "source answered 404"))
        await pair.end()
    }
}
