import Engine
import Inference
import Kernels
import Platform
import Synchronization
import TestSupport
import Testing
import Wire

/// Coded blocks between two stations: coded and decoded by threads of their own, they come in the order of raw ones, and what is no block is
/// asked for again.
@Suite(.timeLimit(.minutes(5))) struct CodedStationTests {
    private static let geometry = KeyValueGeometry(layers: 3, heads: 2, dimension: 64, type: .bf16)
    private static let transfer = TransferID(high: 1, low: 2)
    private static let fingerprint: UInt64 = 99
    private static let tokens = 330
    private static let pages: [PageIndex] = [4, 1, 6, 3, 7, 0]
    private static let lossless = TransferProfile(name: "lossless", isExact: true)
    private static let lossy = TransferProfile(name: "none/mm(k16,v16)/pack", isExact: false)

    /// Tells when a station has coded or decoded something.
    private final class Bell: TransferPort {
        let rings: AsyncStream<Void>
        private let ring: AsyncStream<Void>.Continuation

        init() { (rings, ring) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

        func perform(_ orders: [TransferOrder]) {}
        func layerIsDone() { ring.yield() }
        func takeNews() -> [TransferNews] { [] }
        func wait() async { for await _ in rings { return } }
    }

    /// A worker's memory with its station.
    private struct Side {
        let memory: KeyValueMemory
        let station: KeyValueStation
        let bell = Bell()

        init(filled: Bool, threads: Int = 2) throws {
            memory = try KeyValueMemory(geometry: geometry, pages: 8)
            var random = SeededGenerator(seed: 5)
            for page in 0..<8 as Range<PageIndex> {
                for layer in 0..<geometry.layers {
                    var bytes: [UInt8] = []
                    for _ in 0..<geometry.layerBytes / 2 {
                        let value = filled ? Float.random(in: -2...2, using: &random) : .nan
                        let bits = UInt16(value.bitPattern >> 16)
                        bytes += [UInt8(truncatingIfNeeded: bits), UInt8(bits >> 8)]
                    }
                    memory.write(bytes.rawSpan, toLayer: layer, ofPage: page, at: 0)
                }
            }
            let coding = KeyValueCoding(geometry: geometry, calibration: nil, threads: threads, on: .best)
            station = KeyValueStation(memory: memory, coding: coding, fingerprint: fingerprint, vocabulary: 1000)
            _ = Peers(station: station, port: bell)
        }

        /// Everything is computed.
        func offer(_ profile: TransferProfile) {
            station.open(transfer, pages: pages, known: 64, tokens: tokens, profile: profile)
            for end in [100, 300, 330] {
                station.advance(transfer, to: end)
                for layer in 0..<geometry.layers { station.layerIsDone(layer, of: transfer) }
            }
            station.finish(transfer, chosen: 17)
        }

        /// Every frame of a pull with the end, or those before it was gone.
        func frames(start: Int = 0, after: Int = 0) async -> [[UInt8]] {
            var pull = Pull(transfer: transfer, start: start, blocks: after)
            var frames: [[UInt8]] = []
            while true {
                var bytes: [UInt8] = []
                switch station.next(&pull, into: &bytes) {
                case .block: frames.append(bytes)
                case .end(let tokens, let chosen):
                    let end = TransferEnd(tokens: tokens, chosen: chosen, blocks: pull.blocks, rawBytes: 0, sentBytes: 0, wire: .zero, hidden: .zero)
                    return frames + [end.frame(fingerprint: fingerprint)]
                case .wait: await bell.wait()
                case .gone: return frames
                }
            }
        }

        func expect(known: Int = 0) { station.expect(transfer, pages: pages, known: known, tokens: tokens) }

        /// What comes of a stream once everything is decoded.
        func take(_ stream: [UInt8], piece: Int = 5000) async -> IntakeProgress {
            var answer = IntakeProgress.more(blocks: 0)
            for start in stride(from: 0, to: stream.count, by: piece) {
                guard case .more = answer else { break }
                answer = station.receive(stream.rawSpan.extracting(start..<min(stream.count, start + piece)), of: transfer)
            }
            while answer == .settling {
                await bell.wait()
                answer = station.receive(RawSpan(), of: transfer)
            }
            return answer
        }

        func page(_ page: PageIndex) -> [UInt8] { memory.withPage(page) { unsafe $0.withUnsafeBytes { unsafe Array($0) } } }
    }

    private static func header(_ frame: [UInt8]) throws -> BlockHeader { try BlockHeader(frame.rawSpan.extracting(0..<64)) }

    @Test(arguments: [0, 64, 320]) func losslessBlocksArriveAsTheyWere(known: Int) async throws {
        let (source, target) = (try Side(filled: true), try Side(filled: false))
        source.offer(Self.lossless)
        let frames = await source.frames(start: known)
        let headers = try frames.dropLast().map(Self.header)
        #expect(headers.allSatisfy { $0.profile == .coded && $0.payloadBytes < $0.rawBytes } && headers.map(\.number) == Array(headers.indices))
        target.expect(known: known)
        guard case .complete(let end, let profile) = await target.take(frames.flatMap { $0 }) else {
            Issue.record("not complete")
            return
        }
        #expect(end.chosen == 17 && profile == "lossless")
        target.station.close(Self.transfer)
        for (index, page) in Self.pages.enumerated() where index >= known / 64 && index < 5 { #expect(target.page(page) == source.page(page), "page \(index)") }
    }

    @Test func blocksComeInTheOrderOfRawOnesFromAnyOnOn() async throws {
        let (coded, raw) = (try Side(filled: true, threads: 1), try Side(filled: true))
        coded.offer(Self.lossy)
        raw.offer(.raw)
        let (whole, plain) = (await coded.frames(), await raw.frames())
        #expect(whole.count == plain.count)
        for (one, other) in zip(whole, plain).dropLast() {
            let (one, other) = (try Self.header(one), try Self.header(other))
            #expect(one.layer == other.layer && one.firstToken == other.firstToken && one.tokens == other.tokens && one.rawBytes == other.rawBytes)
        }
        for count in 0..<whole.count { #expect(await coded.frames(after: count) == Array(whole[count...])) }
        #expect(await coded.frames(after: whole.count + 1).isEmpty)
        coded.station.withdraw(Self.transfer)
        #expect(await coded.frames().isEmpty)
    }

    @Test func whatWasCodedForAnEarlierPullComesInNoLaterOne() async throws {
        let source = try Side(filled: true)
        source.offer(Self.lossy)
        let (whole, rest) = (await source.frames(), await source.frames(start: 128))
        #expect(whole.count > rest.count)
        for _ in 0..<30 {
            // Has the first blocks coded, of which the next pull, which starts elsewhere, finds some under way.
            var abandoned = Pull(transfer: Self.transfer, start: 0, blocks: 0)
            var bytes: [UInt8] = []
            _ = source.station.next(&abandoned, into: &bytes)
            #expect(await source.frames(start: 128) == rest)
            guard case .gone = source.station.next(&abandoned, into: &bytes) else {
                Issue.record("the abandoned pull goes on")
                return
            }
        }
    }

    @Test func aBlockThatIsNoneTakesThoseBehindItAlongAndComesAgain() async throws {
        let (source, target) = (try Side(filled: true), try Side(filled: false))
        source.offer(Self.lossy)
        let frames = await source.frames()
        // Under a checksum that fits it.
        var lying = frames[2]
        lying[64] ^= 0xFF
        var header = try Self.header(lying)
        header.checksum = Digest(of: lying.rawSpan.extracting(64..<lying.count)).low
        var bytes: [UInt8] = []
        header.write(to: &bytes)
        lying.replaceSubrange(0..<64, with: bytes)
        target.expect()
        let answer = await target.take((frames[..<2] + [lying] + frames[3...]).flatMap { $0 }, piece: .max)
        guard case .corrupt(let reason) = answer else {
            Issue.record("\(answer)")
            return
        }
        #expect(reason.hasPrefix("block 2, layer 2 from token 0 on: "))
        #expect(target.station.resumption(of: Self.transfer).map { [$0.start, $0.blocks] } == [0, 2])
        guard case .complete(_, let profile) = await target.take(await source.frames(after: 2).flatMap { $0 }) else {
            Issue.record("not complete")
            return
        }
        #expect(profile == Self.lossy.name)
    }

    @Test func whatAPageHasBehindTheLastTokenIsFinite() async throws {
        let (source, target) = (try Side(filled: true), try Side(filled: false))
        source.offer(Self.lossy)
        target.expect()
        let frames = await source.frames()
        guard case .complete = await target.take(frames.flatMap { $0 }) else {
            Issue.record("not complete")
            return
        }
        for (index, page) in Self.pages.enumerated() {
            let bytes = target.page(page)
            let finite = stride(from: 0, to: bytes.count, by: 2).allSatisfy { Float(bitPattern: (UInt32(bytes[$0 + 1]) << 24) | UInt32(bytes[$0]) << 16).isFinite }
            #expect(finite, "page \(index)")
        }
    }

    @Test func profilesThatCannotBeHereAreRefusedByName() throws {
        let side = try Side(filled: false)
        #expect(side.station.refusal(of: .raw) == nil && side.station.refusal(of: Self.lossless) == nil)
        #expect(side.station.refusal(of: TransferProfile(name: "nonsense", isExact: false))?.contains("nonsense") == true)
        let bare = KeyValueStation(memory: side.memory, fingerprint: 1, vocabulary: 10)
        #expect(bare.refusal(of: Self.lossless) == "KV is sent raw here, lossless was asked for")
    }
}
