import Inference
import Platform
import Synchronization
import Wire

/// A source that says what a test wants: so many blocks, of which so many are ready.
final class ScriptedSource: KeyValueSource {
    private struct Offer {
        var blocks: [[UInt8]]
        var ready: Int
        var chosen: TokenID?
    }

    private struct State {
        var offers: [TransferID: Offer] = [:]
        var asked = 0
        var copied = 0
    }

    private let state = Mutex(State())
    let fingerprint: UInt64 = 0xF1

    /// With a chosen token, the prefill has ended.
    func offer(_ transfer: TransferID, _ blocks: [[UInt8]], ready: Int? = nil, chosen: TokenID? = nil) {
        state.withLock { $0.offers[transfer] = Offer(blocks: blocks, ready: ready ?? blocks.count, chosen: chosen) }
    }

    func forget(_ transfer: TransferID) { state.withLock { $0.offers[transfer] = nil } }

    func finish(_ transfer: TransferID, chosen: TokenID) {
        state.withLock {
            $0.offers[transfer]?.ready = .max
            $0.offers[transfer]?.chosen = chosen
        }
    }

    /// How often it was asked for a block, and how many bytes it gave.
    var counts: (asked: Int, copied: Int) { state.withLock { ($0.asked, $0.copied) } }

    func next(_ pull: inout Pull, into bytes: inout [UInt8]) -> PullProgress {
        state.withLock { state in
            state.asked += 1
            guard let offer = state.offers[pull.transfer], pull.blocks <= offer.blocks.count else { return .gone }
            if pull.blocks < min(offer.ready, offer.blocks.count) {
                let payload = offer.blocks[pull.blocks]
                BlockHeader(
                    kind: .block, fingerprint: fingerprint, layer: 0, firstToken: 0, tokens: 1, payloadBytes: payload.count, rawBytes: payload.count,
                    number: pull.blocks, checksum: 0
                ).write(to: &bytes)
                bytes += payload
                state.copied += bytes.count
                pull.blocks += 1
                return .block(rawBytes: payload.count, isPrefilling: offer.chosen == nil)
            }
            guard let chosen = offer.chosen else { return .wait }
            return .end(tokens: offer.blocks.count, chosen: chosen)
        }
    }
}

/// A sink that keeps what comes, and finds fault where a test wants it.
final class KeepingSink: KeyValueSink {
    enum Event: Sendable, Equatable {
        /// A stream was asked for, from this block on.
        case asked(from: Int)
        /// So many whole blocks are here.
        case blocks(Int)
        /// Everything is here, and not decoded yet.
        case settling
    }

    private struct Intake {
        var pending: [UInt8] = []
        var blocks: [[UInt8]] = []
        /// How often still this block is not what it says it is.
        var faults: [Int: Int] = [:]
        /// Whether it decodes until it is told otherwise, and the end that came meanwhile.
        var isDecoding = false
        var end: TransferEnd?
        /// What decoding found.
        var failure: String?

        var outcome: IntakeProgress {
            if let failure { return .corrupt(failure) }
            guard let end else { return .more(blocks: blocks.count) }
            return isDecoding ? .settling : .complete(end, profile: "kept")
        }
    }

    private let intakes = Mutex<[TransferID: Intake]>([:])
    private let report: AsyncStream<Event>.Continuation
    let events: AsyncStream<Event>

    init() { (events, report) = AsyncStream.makeStream() }

    func expect(_ transfer: TransferID, faults: [Int: Int] = [:]) { intakes.withLock { $0[transfer] = Intake(faults: faults) } }
    /// From now on it decodes for as long as nobody says `decoded`.
    func beginDecoding(_ transfer: TransferID) { intakes.withLock { $0[transfer]?.isDecoding = true } }

    /// Nothing is being decoded any more; with a failure, from this block on all is lost.
    func decoded(_ transfer: TransferID, lost: Int? = nil) {
        intakes.withLock {
            $0[transfer]?.isDecoding = false
            guard let lost, let count = $0[transfer]?.blocks.count else { return }
            $0[transfer]?.blocks.removeLast(count - lost)
            $0[transfer]?.failure = "block \(lost) is none"
        }
    }

    func forget(_ transfer: TransferID) { intakes.withLock { $0[transfer] = nil } }
    func blocks(of transfer: TransferID) -> [[UInt8]] { intakes.withLock { $0[transfer]?.blocks ?? [] } }
    func next() async -> Event? { await events.first { _ in true } }

    func resumption(of transfer: TransferID) -> (start: Int, blocks: Int)? {
        intakes.withLock { intakes -> (start: Int, blocks: Int)? in
            guard let blocks = intakes[transfer]?.blocks.count else { return nil }
            intakes[transfer]?.pending = []
            intakes[transfer]?.end = nil
            intakes[transfer]?.failure = nil
            report.yield(.asked(from: blocks))
            return (0, blocks)
        }
    }

    func receive(_ bytes: RawSpan, of transfer: TransferID) -> IntakeProgress {
        intakes.withLock { intakes in
            guard var intake = intakes[transfer] else { return .gone }
            defer { intakes[transfer] = intake }
            intake.pending.append(contentsOf: bytes.array)
            while intake.pending.count >= BlockHeader.byteCount {
                guard let header = try? BlockHeader(intake.pending.rawSpan.extracting(0..<BlockHeader.byteCount)) else { return .corrupt("no header") }
                let length = BlockHeader.byteCount + header.payloadBytes
                guard intake.pending.count >= length else { break }
                let payload = Array(intake.pending[BlockHeader.byteCount..<length])
                intake.pending.removeFirst(length)
                if header.kind == .end {
                    intake.end = try? TransferEnd(payload.rawSpan)
                    if intake.isDecoding { report.yield(.settling) }
                    return intake.end == nil ? .corrupt("no end") : intake.outcome
                }
                guard header.number == intake.blocks.count else { return .corrupt("block \(header.number), \(intake.blocks.count) was expected") }
                if let left = intake.faults[header.number], left > 0 {
                    intake.faults[header.number] = left - 1
                    return .corrupt("block \(header.number) is damaged")
                }
                intake.blocks.append(payload)
                report.yield(.blocks(intake.blocks.count))
            }
            return intake.outcome
        }
    }
}

extension RawSpan {
    var array: [UInt8] { unsafe withUnsafeBytes { unsafe Array($0) } }
}

/// Blocks whose bytes tell where they belong.
func makeBlocks(_ count: Int, of size: Int = 1000) -> [[UInt8]] {
    (0..<count).map { block in (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ block) } }
}
