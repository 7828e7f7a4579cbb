import Engine
import Inference
import Kernels
import Model
import Platform
import Scheduling
import TestSupport
import Testing
import Transfer
import Wire

/// The promise of `SameAnswerTests`, kept between two workers with the bundled model: the hand-off, a replay and a transfer that fails
/// change no token.
@Suite(.timeLimit(.minutes(5))) struct PilotSplitTests {
    private static let directory = SharedFiles.repository + "/models/pilot"

    private static let requests: [SequenceRequest] = (0..<8).map { index in
        var sampling = SamplingParameters()
        sampling.temperature = index % 2 == 0 ? 0 : 0.8
        sampling.frequencyPenalty = index % 3 == 0 ? 0.4 : 0
        sampling.presencePenalty = index % 3 == 1 ? 0.2 : 0
        sampling.repetitionPenalty = index % 3 == 2 ? 1.1 : 1
        sampling.seed = UInt64(index) * 6007
        sampling.minTokens = index == 5 ? 12 : 0
        sampling.maxTokens = 24
        let common: [TokenID] = index % 2 == 0 ? (0..<130).map { TokenID(300 + $0 * 7 % 900) } : []
        let own: [TokenID] = (0..<(5 + index * 23)).map { TokenID(300 + ($0 * 31 + index * 17) % 1500) }
        return SequenceRequest(id: SequenceID(UInt64(index)), prompt: common + own, sampling: sampling)
    }

    private func member(
        _ name: String, _ transfer: InMemoryTransfer?, _ weights: DecoderWeights, stepTokens: Int = 128, pages: Int = 64
    ) throws -> Member {
        let context = min(weights.configuration.shape.context, pages * Page.tokens)
        return try Member(
            name, transfer: transfer, pages: pages, stepTokens: stepTokens, context: context, vocabulary: weights.configuration.shape.vocabulary,
            geometry: weights.keyValueGeometry,
            coding: KeyValueCoding(geometry: weights.keyValueGeometry, calibration: nil, threads: 2, on: .best)
        ) { memory in
            let team = ThreadTeam(threads: 2, instructionSet: .best)
            let limits = DecoderModel.Limits(rows: stepTokens, logitRows: stepTokens, context: context)
            return try ModelRunner(model: DecoderModel(weights, limits: limits, team: team), memory: memory)
        }
    }

    private static func indexed(_ tokens: [Int: TokenID], from start: Int) -> [Int: TokenID] { tokens.filter { $0.key >= start } }

    /// Every request from `p` to `d`, all at once, by its index.
    private func split(
        _ requests: [SequenceRequest], from p: Member, to d: Member, faults: [InMemoryTransfer.Fault], _ transfer: InMemoryTransfer
    ) async throws -> [SequenceID: [Int: TokenID]] {
        for request in requests {
            let name = TransferID(high: 5, low: request.id.value)
            transfer.plan(faults, for: name)
            var sent = request
            sent.handoff = .send(name)
            try p.channel.send([.start(sent)])
            await p.ledger.begin(request.id)
            var received = request
            received.handoff = .receive(name, from: p.address)
            try d.channel.send([.start(received)])
        }
        var answers: [SequenceID: [Int: TokenID]] = [:]
        for request in requests {
            // What is over with the first token is not handed off: then nothing comes and the other one finds the same end by itself.
            let isOver = request.emitted.count + 1 == request.sampling.maxTokens
            #expect(await p.ledger.ending(request.id)?.reason == (isOver ? .length : .handedOff))
            #expect(await d.ledger.ending(request.id)?.reason == .length)
            answers[request.id] = p.ledger.tokens(of: request.id).merging(d.ledger.tokens(of: request.id)) { first, second in
                #expect(first == second, "\(request.id)")
                return second
            }
        }
        await p.expectRest()
        await d.expectRest()
        return answers
    }

    @Test func aSeedGivesTheSameTokensOnOneWorkerOnTwoAfterAReplayAndAfterAFailure() async throws {
        let team = ThreadTeam(threads: 1, instructionSet: .best)
        let weights = try DecoderModel.loadWeights(directory: Self.directory, weights: .bf16, cache: nil, team: team).weights
        // Alone, one after the other.
        var alone: [SequenceID: [Int: TokenID]] = [:]
        let single = try member("single", nil, weights, stepTokens: 512)
        let running = single.run()
        for request in Self.requests {
            try single.channel.send([.start(request)])
            _ = await single.ledger.ending(request.id)
            alone[request.id] = single.ledger.tokens(of: request.id)
        }
        single.channel.close()
        await running.value
        #expect(alone.values.allSatisfy { $0.count == 24 })

        let lossless = TransferProfile(name: "lossless", isExact: true)
        for (stepTokens, known, faults, profile) in [
            (512, 0, [], .raw), (16, 0, [], .raw), (33, 0, [], lossless), (128, 1, [], .raw), (128, 9, [], lossless), (64, 23, [], .raw),
            (100, 0, [.damage(5000), .damage(5000)], .raw), (100, 0, [.damage(5000), .damage(5000)], lossless), (100, 4, [.cut(40_000)], .raw),
            (512, 0, [.cut(20_000)], lossless),
        ] as [(Int, Int, [InMemoryTransfer.Fault], TransferProfile)] {
            let transfer = InMemoryTransfer(piece: 4096)
            let p = try member("p", transfer, weights, stepTokens: stepTokens)
            let d = try member("d", transfer, weights)
            let tasks = [p.run(), d.run()]
            let requests = Self.requests.map { request in
                var request = request
                request.emitted = (0..<known).compactMap { alone[request.id]?[$0] }
                request.profile = profile
                return request
            }
            let answers = try await split(requests, from: p, to: d, faults: faults, transfer)
            #expect(
                answers == alone.mapValues { Self.indexed($0, from: known) }, "\(stepTokens) tokens a step, \(known) known, \(faults), \(profile)")
            #expect([transfer.open.offers, transfer.open.fetches] == [0, 0])
            for member in [p, d] { member.channel.close() }
            for task in tasks { await task.value }
        }
    }

    @Test func whatArrivesChangedIsNotTakenForWhatWouldBeComputed() async throws {
        let team = ThreadTeam(threads: 1, instructionSet: .best)
        let weights = try DecoderModel.loadWeights(directory: Self.directory, weights: .bf16, cache: nil, team: team).weights
        let transfer = InMemoryTransfer(piece: 4096)
        let p = try member("p", transfer, weights)
        let d = try member("d", transfer, weights)
        let tasks = [p.run(), d.run()]
        let lossy = TransferProfile(name: "none/mm(k4,v4)/pack", isExact: false)
        // One after the other: a lossy one, an exact one of the same prompt, the lossy one again. By then all would be in the prefix cache.
        var cached: [Int] = []
        for (index, profile) in [lossy, .raw, lossy, .raw].enumerated() {
            var request = Self.requests[6]
            request.id = SequenceID(UInt64(100 + index))
            request.profile = profile
            request.handoff = .send(TransferID(high: 6, low: UInt64(index)))
            try p.channel.send([.start(request)])
            await p.ledger.begin(request.id)
            request.handoff = .receive(TransferID(high: 6, low: UInt64(index)), from: p.address)
            try d.channel.send([.start(request)])
            let summary = await d.ledger.ending(request.id)?.transfer
            #expect(summary?.profile == profile.name)
            cached.append(summary?.cachedTokens ?? -1)
            await p.expectRest()
            await d.expectRest()
        }
        let whole = Self.requests[6].prompt.count / Page.tokens * Page.tokens
        #expect(cached == [0, 0, whole, whole])
        for member in [p, d] { member.channel.close() }
        for task in tasks { await task.value }
    }
}
