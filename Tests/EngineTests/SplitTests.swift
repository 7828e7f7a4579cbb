import Engine
import Inference
import Kernels
import Platform
import Scheduling
import Testing
import Transfer
import Wire

/// Two workers and one answer: whatever happens between them, the tokens are those that one alone would have chosen.
@Suite(.timeLimit(.minutes(2))) struct SplitTests {
    private static func prompt(_ count: Int, seed: TokenID = 0) -> [TokenID] { (0..<TokenID(count)).map { ($0 &* 31 &+ seed &* 977) & 0x7FFF } }

    private static func request(
        _ id: UInt64, _ prompt: [TokenID], generate: Int = 12, emitted: [TokenID] = [], _ handoff: Handoff = .none
    ) -> WorkerCommand {
        var sampling = SamplingParameters()
        sampling.maxTokens = generate
        return .start(SequenceRequest(id: SequenceID(id), prompt: prompt, sampling: sampling, emitted: emitted, handoff: handoff))
    }

    private static func transfer(_ number: UInt64) -> TransferID { TransferID(high: 3, low: number) }

    /// Runs a split sequence and gives its tokens by index, as a client would have them.
    private func split(
        _ id: UInt64, _ prompt: [TokenID], generate: Int = 12, emitted: [TokenID] = [], from p: Member, to d: Member
    ) async throws -> (tokens: [Int: TokenID], ending: SequenceEnding?) {
        try p.channel.send([Self.request(id, prompt, generate: generate, emitted: emitted, .send(Self.transfer(id)))])
        await p.ledger.begin(SequenceID(id))
        try d.channel.send([Self.request(id, prompt, generate: generate, emitted: emitted, .receive(Self.transfer(id), from: p.address))])
        _ = await p.ledger.ending(SequenceID(id))
        let ending = await d.ledger.ending(SequenceID(id))
        return (p.ledger.tokens(of: SequenceID(id)).merging(d.ledger.tokens(of: SequenceID(id))) { first, second in
            #expect(first == second)
            return first
        }, ending)
    }

    private static func indexed(_ tokens: [TokenID], from start: Int = 0) -> [Int: TokenID] {
        Dictionary(uniqueKeysWithValues: tokens.indices.filter { $0 >= start }.map { ($0, tokens[$0]) })
    }

    private func end(_ members: Member..., tasks: [Task<Void, Never>]) async {
        for member in members { member.channel.close() }
        for task in tasks { await task.value }
    }

    @Test(arguments: [16, 33, 64, 100, 200, 512]) func splitInTwoTheAnswerIsTheSame(stepTokens: Int) async throws {
        let transfer = InMemoryTransfer(piece: 700)
        let p = try Member("p", transfer: transfer, stepTokens: stepTokens)
        let d = try Member("d", transfer: transfer)
        let tasks = [p.run(), d.run()]
        for (index, count) in [1, 63, 64, 65, 128, 200, 450].enumerated() {
            let prompt = Self.prompt(count, seed: TokenID(index))
            let (tokens, ending) = try await split(UInt64(index), prompt, from: p, to: d)
            #expect(tokens == Self.indexed(PageModel.answer(to: prompt, count: 12)), "\(count) tokens")
            #expect(d.ledger.tokens(of: SequenceID(UInt64(index))).count == 11)
            #expect(ending?.transfer?.connections == 1 && ending?.transfer?.rawBytes == Page.count(forTokens: count) * PageModel.geometry.pageBytes)
        }
        // The same again: the prefix is there and does not travel.
        let again = Self.prompt(450, seed: 6)
        let (tokens, ending) = try await split(20, again, from: p, to: d)
        #expect(tokens == Self.indexed(PageModel.answer(to: again, count: 12)))
        #expect(ending?.transfer?.cachedTokens == 448 && ending?.transfer?.rawBytes == PageModel.geometry.pageBytes)
        await p.expectRest()
        await d.expectRest()
        #expect([transfer.open.offers, transfer.open.fetches] == [0, 0])
        await end(p, d, tasks: tasks)
    }

    @Test(arguments: [1, 5, 30]) func aReplayMayBeSplitToo(known: Int) async throws {
        let transfer = InMemoryTransfer()
        let p = try Member("p", transfer: transfer)
        let d = try Member("d", transfer: transfer)
        let tasks = [p.run(), d.run()]
        let prompt = Self.prompt(170)
        let answer = PageModel.answer(to: prompt, count: 40)
        let (tokens, ending) = try await split(1, prompt, generate: 40, emitted: Array(answer[..<known]), from: p, to: d)
        #expect(tokens == Self.indexed(answer, from: known) && ending?.generatedTokens == 40)
        await p.expectRest()
        await d.expectRest()
        await end(p, d, tasks: tasks)
    }

    @Test(arguments: [
        [InMemoryTransfer.Fault.cut(0)], [.cut(63)], [.cut(5000)], [.cut(5000), .cut(9)], [.damage(3)], [.damage(70)], [.damage(9000)],
        [.damage(9000), .damage(100)],
    ]) func neitherABrokenNorADamagedStreamChangesTheAnswer(faults: [InMemoryTransfer.Fault]) async throws {
        let transfer = InMemoryTransfer(piece: 300)
        let p = try Member("p", transfer: transfer)
        let d = try Member("d", transfer: transfer)
        let tasks = [p.run(), d.run()]
        let prompt = Self.prompt(333)
        transfer.plan(faults, for: Self.transfer(1))
        let (tokens, ending) = try await split(1, prompt, from: p, to: d)
        #expect(tokens == Self.indexed(PageModel.answer(to: prompt, count: 12)))
        let isTwiceDamaged = faults == [.damage(9000), .damage(100)]
        #expect((ending?.transfer == nil) == isTwiceDamaged)
        #expect(ending?.transfer.map { $0.connections == faults.count + 1 } ?? true)
        await p.expectRest()
        await d.expectRest()
        await end(p, d, tasks: tasks)
    }

    @Test func manyAtOnceAreAsOneAlone() async throws {
        let transfer = InMemoryTransfer()
        let p = try Member("p", transfer: transfer, pages: 24, stepTokens: 70)
        let d = try Member("d", transfer: transfer, pages: 16, stepTokens: 70)
        let tasks = [p.run(), d.run()]
        let prompts = (0..<20).map { Self.prompt(20 + $0 * 23, seed: TokenID($0 % 7)) }
        let answers = prompts.map { PageModel.answer(to: $0, count: 30) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, prompt) in prompts.enumerated() {
                group.addTask {
                    let (tokens, _) = try await split(UInt64(index), prompt, generate: 30, from: p, to: d)
                    #expect(tokens == Self.indexed(answers[index]), "\(index)")
                }
            }
            try await group.waitForAll()
        }
        await p.expectRest()
        await d.expectRest()
        #expect([transfer.open.offers, transfer.open.fetches] == [0, 0])
        await end(p, d, tasks: tasks)
    }

    @Test func aLeaseNobodyAsksForExpiresAndAFetchThatHangsIsComputedHere() async throws {
        let transfer = InMemoryTransfer(lease: .seconds(10), patience: .seconds(30))
        let p = try Member("p", transfer: transfer)
        let d = try Member("d", transfer: transfer)
        let tasks = [p.run(), d.run()]
        let prompt = Self.prompt(200)
        transfer.plan([.hold], for: Self.transfer(1))
        try p.channel.send([Self.request(1, prompt, .send(Self.transfer(1)))])
        try d.channel.send([Self.request(1, prompt, .receive(Self.transfer(1), from: p.address))])
        #expect(await p.ledger.ending(SequenceID(1))?.reason == .handedOff)
        await d.ledger.hear { $0.imports == 1 && $0.pagesAvailable == 36 }
        #expect(p.station.open.exports == 1)
        transfer.advance(by: .seconds(11))
        await p.expectRest()
        transfer.advance(by: .seconds(20))
        let ending = await d.ledger.ending(SequenceID(1))
        #expect(ending?.reason == .length && ending?.transfer == nil)
        #expect(d.ledger.tokens(of: SequenceID(1)) == Self.indexed(PageModel.answer(to: prompt, count: 12)))
        await d.expectRest()
        await end(p, d, tasks: tasks)
    }

    @Test func aCancelWhileBytesArriveFreesBothSides() async throws {
        let transfer = InMemoryTransfer()
        let p = try Member("p", transfer: transfer)
        let d = try Member("d", transfer: transfer)
        let tasks = [p.run(), d.run()]
        for id in 1...20 as ClosedRange<UInt64> {
            let prompt = Self.prompt(300, seed: TokenID(id))
            if id % 2 == 0 { transfer.plan([.hold], for: Self.transfer(id)) }
            try p.channel.send([Self.request(id, prompt, .send(Self.transfer(id)))])
            await p.ledger.begin(SequenceID(id))
            try d.channel.send([Self.request(id, prompt, .receive(Self.transfer(id), from: p.address))])
            try d.channel.send([.cancel(SequenceID(id))])
            if id % 3 == 0 { try p.channel.send([.cancel(SequenceID(id))]) }
            // It may have been quicker.
            let reason = await d.ledger.ending(SequenceID(id))?.reason
            #expect(reason == .cancelled || (id % 2 == 1 && reason == .length))
            _ = await p.ledger.ending(SequenceID(id))
            try p.channel.send([.cancel(SequenceID(id))])
        }
        await p.expectRest()
        await d.expectRest()
        await end(p, d, tasks: tasks)
    }

    @Test func aWaitingWorkerNeitherSpinsNorForgetsDeadlines() async throws {
        let transfer = InMemoryTransfer()
        let p = try Member("p", transfer: transfer)
        let tasks = [p.run()]
        try p.channel.send([Self.request(1, Self.prompt(100), .send(Self.transfer(1)))])
        #expect(await p.ledger.ending(SequenceID(1))?.reason == .handedOff)
        // What is said in vain costs no report.
        let reports = p.ledger.reports
        for _ in 0..<50 { p.channel.wake() }
        try p.channel.send([Self.request(2, Self.prompt(10), generate: 1)])
        _ = await p.ledger.ending(SequenceID(2))
        #expect(p.ledger.reports <= reports + 2)
        await end(p, tasks: tasks)
        #expect(p.station.open.exports == 0)
    }

    @Test func withoutPeersAHandoffFailsByName() async throws {
        let alone = try Member("alone", transfer: nil)
        let tasks = [alone.run()]
        try alone.channel.send([Self.request(1, Self.prompt(10), .send(Self.transfer(1)))])
        let ending = await alone.ledger.ending(SequenceID(1))
        #expect(ending?.reason == .failed("a hand-off was asked for, this worker has no way to others"))
        await end(alone, tasks: tasks)
    }
}
