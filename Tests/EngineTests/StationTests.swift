import Engine
import Inference
import Kernels
import Platform
import TestSupport
import Testing
import Wire

/// Blocks out of one worker's pages and into another's: their order, and what becomes of bytes that are not what they should be.
@Suite struct StationTests {
    private static let geometry = KeyValueGeometry(layers: 3, heads: 2, dimension: 8, type: .f32)
    private static let transfer = TransferID(high: 1, low: 2)
    private static let fingerprint: UInt64 = 99
    private static let tokens = 330
    /// Six pages, in no order.
    private static let pages: [PageIndex] = [4, 1, 6, 3, 7, 0]

    private static func memory(filled: Bool) throws -> KeyValueMemory {
        let memory = try KeyValueMemory(geometry: geometry, pages: 8)
        let count = geometry.layerBytes
        for page in 0..<8 as Range<PageIndex> {
            for layer in 0..<geometry.layers {
                let bytes = (0..<count).map { filled ? UInt8(truncatingIfNeeded: $0 &* 7 &+ Int(page) &* 131 &+ layer &* 29 &+ $0 >> 8) : 0xEE }
                memory.write(bytes.rawSpan, toLayer: layer, ofPage: page, at: 0)
            }
        }
        return memory
    }

    private static func station(_ memory: KeyValueMemory) -> KeyValueStation { KeyValueStation(memory: memory, fingerprint: fingerprint, vocabulary: 1000) }

    /// Offers all tokens, computed in steps that end at these.
    private static func offer(_ station: KeyValueStation, known: Int = 64, steps: [Int] = [100, 300, 330]) {
        station.open(transfer, pages: pages, known: known, tokens: tokens)
        for end in steps {
            station.advance(transfer, to: end)
            for layer in 0..<geometry.layers { station.layerIsDone(layer, of: transfer) }
        }
        station.finish(transfer, chosen: 17)
    }

    /// Every block of a pull, and the end.
    private static func blocks(_ station: KeyValueStation, start: Int = 0, after: Int = 0) -> [[UInt8]] {
        var pull = Pull(transfer: transfer, start: start, blocks: after)
        var blocks: [[UInt8]] = []
        while true {
            var bytes: [UInt8] = []
            switch station.next(&pull, into: &bytes) {
            case .block: blocks.append(bytes)
            case .end(let tokens, let chosen):
                let end = TransferEnd(tokens: tokens, chosen: chosen, blocks: pull.blocks, rawBytes: 0, sentBytes: 0, wire: .zero, hidden: .zero)
                return blocks + [end.frame(fingerprint: fingerprint)]
            case .wait, .gone: return blocks
            }
        }
    }

    private static func header(_ block: [UInt8]) throws -> BlockHeader { try BlockHeader(block.rawSpan.extracting(0..<64)) }

    // MARK: Sending

    @Test func blocksComeByStretchThenLayerThenGroupOfTwoPages() throws {
        let station = Self.station(try Self.memory(filled: true))
        Self.offer(station)
        let headers = try Self.blocks(station).dropLast().map(Self.header)
        #expect(headers.prefix(3).map { [$0.layer, $0.firstToken, $0.tokens] } == (0..<3).map { [$0, 0, 64] })
        // The step to 100 fills no page; the one to 300 fills pages 1 to 3, the last one the rest.
        let second = headers[3..<9].map { [$0.layer, $0.firstToken, $0.tokens] }
        #expect(second == (0..<3).flatMap { [[$0, 64, 128], [$0, 192, 64]] })
        #expect(headers[9...].map { [$0.layer, $0.firstToken, $0.tokens] } == (0..<3).map { [$0, 256, 74] })
        #expect(headers.map(\.number) == Array(headers.indices))
    }

    @Test func aPullIsTakenUpAfterAnyBlock() throws {
        let station = Self.station(try Self.memory(filled: true))
        Self.offer(station)
        for start in [0, 64, 128, 256, 320] {
            let whole = Self.blocks(station, start: start)
            for count in 0..<whole.count { #expect(Self.blocks(station, start: start, after: count) == Array(whole[count...])) }
            #expect(Self.blocks(station, start: start, after: whole.count).isEmpty)
            let covered = try whole.dropLast().map(Self.header).reduce(0) { $0 + Page.count(forTokens: $1.tokens) }
            #expect(covered == (6 - start / 64) * 3)
        }
        for (start, after) in [(-64, 0), (1, 0), (0, -1), (0, 1000)] { #expect(Self.blocks(station, start: start, after: after).isEmpty) }
    }

    @Test func aLayerIsSentWhenItIsDoneAndNothingAfterAWithdrawal() throws {
        let station = Self.station(try Self.memory(filled: true))
        var pull = Pull(transfer: Self.transfer, start: 0, blocks: 0)
        var bytes: [UInt8] = []
        #expect(station.next(&pull, into: &bytes) == .gone)
        station.open(Self.transfer, pages: Self.pages, known: 0, tokens: Self.tokens)
        #expect(station.next(&pull, into: &bytes) == .wait)
        station.advance(Self.transfer, to: 64)
        #expect(station.next(&pull, into: &bytes) == .wait)
        for layer in 0..<3 {
            station.layerIsDone(layer, of: Self.transfer)
            #expect(station.next(&pull, into: &bytes) == .block(rawBytes: Self.geometry.layerBytes, isPrefilling: true))
            #expect(station.next(&pull, into: &bytes) == .wait)
        }
        station.advance(Self.transfer, to: 330)
        station.layerIsDone(0, of: Self.transfer)
        station.withdraw(Self.transfer)
        let count = bytes.count
        #expect(station.next(&pull, into: &bytes) == .gone && bytes.count == count)
        #expect(station.open.exports == 0)
    }

    // MARK: Receiving

    /// Everything of `stream` into fresh pages, cut as `random` likes.
    private static func receive(
        _ stream: [UInt8], known: Int, random: inout SeededGenerator, memory: KeyValueMemory
    ) -> IntakeProgress {
        let station = station(memory)
        station.expect(transfer, pages: pages, known: known, tokens: tokens)
        defer { station.close(transfer) }
        var offset = 0
        var answer = IntakeProgress.more(blocks: 0)
        while offset < stream.count, case .more = answer {
            let end = min(stream.count, offset + 1 + random.next(below: random.next(below: 4) == 0 ? 9000 : 100))
            answer = station.receive(stream.rawSpan.extracting(offset..<end), of: transfer)
            offset = end
        }
        return answer
    }

    private static func page(_ memory: KeyValueMemory, _ page: PageIndex) -> Digest { memory.withPage(page) { Digest(of: $0) } }

    private static func resumption(_ station: KeyValueStation) -> [Int]? { station.resumption(of: transfer).map { [$0.start, $0.blocks] } }

    private static func hand(_ bytes: [UInt8], to station: KeyValueStation) -> IntakeProgress { station.receive(bytes.rawSpan, of: transfer) }

    private static func isCorrupt(_ answer: IntakeProgress) -> Bool { if case .corrupt = answer { true } else { false } }

    private static func isComplete(_ answer: IntakeProgress) -> Bool { if case .complete = answer { true } else { false } }

    @Test(arguments: [0, 64, 320]) func whatIsSentArrivesHoweverItIsCut(known: Int) throws {
        let source = try Self.memory(filled: true)
        let station = Self.station(source)
        Self.offer(station)
        var random = SeededGenerator(seed: UInt64(known))
        let stream = Self.blocks(station, start: known).flatMap { $0 }
        let untouched = Self.page(try Self.memory(filled: false), 0)
        for _ in 0..<20 {
            let target = try Self.memory(filled: false)
            guard case .complete(let end, _) = Self.receive(stream, known: known, random: &random, memory: target) else {
                Issue.record("not complete")
                return
            }
            #expect(end.chosen == 17 && end.tokens == 330)
            for (index, page) in Self.pages.enumerated() {
                #expect(Self.page(target, page) == (index < known / 64 ? untouched : Self.page(source, page)))
            }
            for page in [2, 5] as [PageIndex] { #expect(Self.page(target, page) == untouched) }
        }
    }

    @Test func aBrokenStreamIsResumedAfterTheLastWholeBlock() throws {
        let source = try Self.memory(filled: true)
        let station = Self.station(source)
        Self.offer(station)
        let blocks = Self.blocks(station)
        let target = Self.station(try Self.memory(filled: false))
        target.expect(Self.transfer, pages: Self.pages, known: 0, tokens: Self.tokens)
        let half = blocks[..<4].flatMap { $0 } + blocks[4].dropLast(5)
        #expect(Self.hand(half, to: target) == .more(blocks: 4))
        #expect(Self.resumption(target) == [0, 4])
        #expect(Self.isCorrupt(Self.hand(blocks[5], to: target)), "block 5 after 3 was taken")
        #expect(Self.isCorrupt(Self.hand(blocks[4], to: target)), "a broken stream went on")
        #expect(Self.resumption(target) == [0, 4])
        let rest = blocks[4...].flatMap { $0 }
        #expect(Self.isComplete(Self.hand(rest, to: target)), "not complete")
        #expect(Self.resumption(target) == nil)
        target.close(Self.transfer)
        #expect(Self.hand(rest, to: target) == .gone)
    }

    @Test func hostileBytesAreNamedAndNeverTakenForOthers() throws {
        let source = try Self.memory(filled: true)
        let station = Self.station(source)
        Self.offer(station)
        let blocks = Self.blocks(station, start: 64)
        let stream = blocks.flatMap { $0 }
        let untouched = Self.page(try Self.memory(filled: false), 0)
        let target = try Self.memory(filled: false)
        var random = SeededGenerator(seed: 4711)
        var refused = 0
        for round in 0..<3000 {
            var bytes = stream
            switch round % 6 {
            case 0: bytes[random.next(below: bytes.count)] ^= UInt8(1 << random.next(below: 8))
            case 1: bytes.removeSubrange(random.next(below: bytes.count)...)
            case 2:
                let at = random.next(below: bytes.count)
                bytes.removeSubrange(at..<min(bytes.count, at + 1 + random.next(below: 200)))
            case 3: bytes.insert(contentsOf: (0..<(1 + random.next(below: 80))).map { UInt8(truncatingIfNeeded: $0) }, at: random.next(below: bytes.count))
            case 4: bytes = (0..<blocks.count).flatMap { _ in blocks[random.next(below: blocks.count)] }
            default:
                // Headers that are sound and lie.
                bytes = (0..<blocks.count).flatMap { index -> [UInt8] in
                    guard random.next(below: 5) == 0, var header = try? Self.header(blocks[index]) else { return blocks[index] }
                    let lie = [0, 1, 63, 64, 128, 129, 384, 1 << 20, 0xFFFF_FFFF][random.next(below: 9)]
                    switch random.next(below: 9) {
                    case 0: header.layer = lie
                    case 1: header.firstToken = lie
                    case 2: header.tokens = lie
                    case 3: header.payloadBytes = lie
                    case 4: header.rawBytes = lie
                    case 5: header.number = lie
                    case 6: header.fingerprint = UInt64(lie)
                    case 7: header.kind = header.kind == .end ? .block : .end
                    default: header.checksum ^= 1
                    }
                    var changed: [UInt8] = []
                    header.write(to: &changed)
                    return changed + blocks[index].dropFirst(64)
                }
            }
            let answer = Self.receive(bytes, known: 64, random: &random, memory: target)
            if case .complete = answer {
                for page in Self.pages[1...] { #expect(Self.page(target, page) == Self.page(source, page), "round \(round)") }
            } else {
                refused += 1
            }
            for page in [4, 2, 5] as [PageIndex] { #expect(Self.page(target, page) == untouched, "round \(round) wrote page \(page)") }
        }
        #expect(refused > 2500)
    }

    @Test func anEndThatLiesIsNoEnd() throws {
        let station = Self.station(try Self.memory(filled: true))
        Self.offer(station)
        let blocks = Self.blocks(station)
        for (tokens, chosen, count) in [(329, 17, 12), (330, 1000, 12), (330, -1, 12), (330, 17, 11), (Int.max, 17, 12)] as [(Int, Int32, Int)] {
            let target = Self.station(try Self.memory(filled: false))
            target.expect(Self.transfer, pages: Self.pages, known: 0, tokens: Self.tokens)
            let end = TransferEnd(tokens: tokens, chosen: chosen, blocks: count, rawBytes: 0, sentBytes: 0, wire: .zero, hidden: .zero)
            let stream = blocks.dropLast().flatMap { $0 } + end.frame(fingerprint: Self.fingerprint)
            #expect(Self.isCorrupt(Self.hand(stream, to: target)), "\(tokens), \(chosen), \(count)")
        }
    }
}
