package import Inference
package import Kernels
internal import KVCodec
internal import Platform
internal import Synchronization
package import Wire

/// Where a worker's pages and the links to other workers meet: the engine says which pages are offered or awaited and what is ready,
/// the transfer reads and writes them on its own thread, without stopping the engine.
///
/// Pages that were withdrawn or closed are touched no more when the call returns.
package final class KeyValueStation: Sendable {
    private let memory: KeyValueMemory
    private let coding: KeyValueCoding?
    private let port = Mutex<WeakPort>(WeakPort())
    private let fingerprint: UInt64
    private let vocabulary: Int
    private let exports = Mutex<[TransferID: KeyValueExport]>([:])
    private let intakes = Mutex<[TransferID: KeyValueIntake]>([:])

    /// - Parameters:
    ///   - coding: for profiles other than raw.
    ///   - fingerprint: of everything that must be equal on both sides for pages to mean the same.
    ///   - vocabulary: what a chosen token must be below.
    package init(memory: KeyValueMemory, coding: KeyValueCoding? = nil, fingerprint: UInt64, vocabulary: Int) {
        self.memory = memory
        self.coding = coding
        self.fingerprint = fingerprint
        self.vocabulary = vocabulary
    }

    private struct WeakPort: Sendable {
        weak var port: (any TransferPort)?
    }

    /// Who is told when blocks were coded or decoded.
    func join(_ port: any TransferPort) { self.port.withLock { $0.port = port } }

    private func tell() { port.withLock { $0.port }?.layerIsDone() }

    // MARK: Sending; the engine's thread

    /// Why KV cannot be coded so here; nil: it can.
    package func refusal(of profile: TransferProfile) -> String? {
        guard profile != .raw else { return nil }
        guard let coding else { return "KV is sent raw here, \(profile.name) was asked for" }
        do throws(KeyValueProfileError) {
            _ = try coding.accept(profile)
            return nil
        } catch {
            return error.description
        }
    }

    /// The KV of `tokens` tokens will be in `pages`; that of the first `known`, whole pages, is there. `profile` is one that is not refused.
    package func open(_ transfer: TransferID, pages: [PageIndex], known: Int, tokens: Int, profile: TransferProfile = .raw) {
        var ahead: CodingAhead?
        if profile != .raw, let coding, let profile = try? coding.accept(profile) {
            ahead = CodingAhead(profile, coding: coding) { [weak self] in self?.tell() }
        }
        let export = KeyValueExport(pages: pages, known: known, tokens: tokens, layers: memory.geometry.layers, ahead: ahead)
        exports.withLock {
            precondition($0[transfer] == nil, "\(transfer) is being sent already")
            $0[transfer] = export
        }
    }

    /// A step begins that computes the offer's tokens up to `end`; `layerIsDone` tells of its layers.
    package func advance(_ transfer: TransferID, to end: Int) { export(transfer)?.advance(to: end) }

    /// Keys and values of a layer are in place, for all tokens of the step.
    package func layerIsDone(_ layer: Int, of transfer: TransferID) { export(transfer)?.layerIsDone(layer) }

    /// Everything is in place, and `chosen` follows it.
    package func finish(_ transfer: TransferID, chosen: TokenID) { export(transfer)?.finish(chosen: chosen) }

    /// Returns when nobody reads the pages any more.
    package func withdraw(_ transfer: TransferID) { exports.withLock { $0.removeValue(forKey: transfer) }?.withdraw() }

    private func export(_ transfer: TransferID) -> KeyValueExport? { exports.withLock { $0[transfer] } }

    // MARK: Receiving; the engine's thread

    /// The KV of `tokens` tokens is expected in `pages`; that of the first `known`, whole pages, is there and is not written.
    package func expect(_ transfer: TransferID, pages: [PageIndex], known: Int, tokens: Int) {
        let intake = KeyValueIntake(
            KeyValueIntake.Expectation(pages: pages, known: known, tokens: tokens, fingerprint: fingerprint, vocabulary: vocabulary), memory: memory,
            coding: coding, wake: { [weak self] in self?.tell() })
        intakes.withLock {
            precondition($0[transfer] == nil, "\(transfer) is being received already")
            $0[transfer] = intake
        }
    }

    /// Returns when nobody writes the pages any more.
    package func close(_ transfer: TransferID) { intakes.withLock { $0.removeValue(forKey: transfer) }?.close() }

    private func intake(_ transfer: TransferID) -> KeyValueIntake? { intakes.withLock { $0[transfer] } }

    /// Offers and intakes that are open.
    package var open: (exports: Int, intakes: Int) { (exports.withLock { $0.count }, intakes.withLock { $0.count }) }
}

extension KeyValueStation: KeyValueSource {
    package func next(_ pull: inout Pull, into bytes: inout [UInt8]) -> PullProgress {
        export(pull.transfer)?.next(&pull, into: &bytes, memory: memory, fingerprint: fingerprint) ?? .gone
    }
}

extension KeyValueStation: KeyValueSink {
    package func resumption(of transfer: TransferID) -> (start: Int, blocks: Int)? { intake(transfer)?.resumption() }

    package func receive(_ bytes: RawSpan, of transfer: TransferID) -> IntakeProgress { intake(transfer)?.receive(bytes) ?? .gone }
}
