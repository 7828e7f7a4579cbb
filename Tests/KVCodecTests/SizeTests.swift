import Foundation
import Kernels
import TestSupport
import Testing

@testable import KVCodec

/// What blocks come to.
@Suite struct SizeTests {
    /// Bytes of the frame around each block.
    private static let frame = 64

    @Test func `two bits with a scale and an offset for each group of 32 are a ratio of 5·33`() throws {
        let sample = try KeyValueSample(layers: 1)
        let (_, sizes) = try sample.encode(KeyValueProfile("kivi-2"), sample.block())
        let raw = 128 * 2 * 64 * 2 * 2
        #expect(sizes.symbols + sizes.statistics == raw * 3 / 16)
        #expect(sizes.header < 64)
    }

    @Test(arguments: ["none/mm(k6,v4)/rans", "had/mm(k4,v3)/rans", "had/mm(k12,v8)/rans", "had/mm(k8,v5)/rans(channel)", "had/mm(k40,v255)/rans"])
    func `entropy coded symbols take two hundredths more than their entropy at most`(text: String) throws {
        let sample = try KeyValueSample(layers: 1)
        let profile = try KeyValueProfile(text)
        let (_, sizes) = try sample.encode(profile, sample.block())
        let entropy = try Self.entropy(profile, sample)
        #expect(Double(sizes.symbols + sizes.tables) <= 1.02 * entropy, "\(sizes), \(entropy)")
    }

    /// Bytes of all runs' order-0 entropy.
    private static func entropy(_ profile: KeyValueProfile, _ sample: KeyValueSample) throws -> Double {
        let scratch = BlockScratch(sample.geometry, on: .best)
        let pipeline = try BlockPipeline(profile, scratch: scratch, signs: HadamardSigns(sample.geometry), calibration: nil)
        var plan = LayerPlan(profile, layer: 0, geometry: sample.geometry, isLow: [], calibration: nil)
        pipeline.encode(sample.block(), &plan, pages: sample.pages, of: sample.memory)
        var (bits, first) = (0.0, 0)
        for run in scratch.runs {
            var counts = [Double](repeating: 0, count: 256)
            for index in first..<first + run.count { counts[Int(scratch.symbols[index])] += 1 }
            for count in counts where count > 0 { bits -= count * log2(count / Double(run.count)) }
            first += run.count
        }
        return bits / 8
    }

    @Test func `symbols of two bits that go together are coded in pairs, in half the steps`() throws {
        let sample = try KeyValueSample(layers: 1)
        let scratch = BlockScratch(sample.geometry, on: .best)
        let coder = RansSymbols(perChannel: false, geometry: sample.geometry)
        var random = SeededGenerator(seed: 31)
        let lines = (0..<32).map { _ in UInt8(random.next() % 4) }
        scratch.runs = [SymbolRun(alphabet: 4, style: .centred, count: 4096), SymbolRun(alphabet: 7, style: .centred, count: 999)]
        scratch.symbolCount = 5095
        for index in 0..<5095 { scratch.symbols[index] = index < 4096 ? lines[index % 32] : UInt8(random.next() % 7) }
        let symbols = scratch.symbols
        coder.encode(scratch)
        #expect(coder.steps == 2048 + 999 && scratch.codedCount < 4096 * 2 / 8 / 2 + 999 * 3 / 8 + 200)
        scratch.input = [UInt8](repeating: 0, count: 64) + scratch.coded[..<scratch.codedCount] + [UInt8](repeating: 0, count: 64)
        SymbolPlanes.zero(&scratch.symbols, 0..<5095)
        var tables = ByteCursor("tables", scratch.tables, 0..<scratch.tables.count)
        try coder.decode(scratch, tables: &tables, 64..<64 + scratch.codedCount)
        #expect(scratch.symbols[..<5095] == symbols[..<5095])
    }

    @Test func `a short prompt keeps most of a ratio of eight`() throws {
        // Two blocks of a 256-token prompt; a profile that is a little above 8 without all that surrounds its symbols.
        let sample = try KeyValueSample(layers: 1)
        let profile = try KeyValueProfile("had/mm(k6,v4)/rans")
        let (bytes, sizes) = try sample.encode(profile, sample.block())
        let raw = Double(128 * 2 * 64 * 2 * 2)
        let bare = raw / Double(sizes.symbols)
        let all = raw / Double(bytes.count + Self.frame)
        #expect(bare >= 8 && all / bare >= 7.0 / 8, "\(bare) becomes \(all): \(sizes)")
    }
}
