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

    @Test func `channels in a row whose symbols are alike share a table`() throws {
        let geometry = KeyValueGeometry(layers: 1, heads: 1, dimension: 64, type: .bf16)
        let scratch = BlockScratch(geometry, on: .best)
        let coder = RansSymbols(perChannel: true, geometry: geometry)
        var random = SeededGenerator(seed: 5)
        // 128 rows of 64 channels: the first half wide, the second nearly still.
        scratch.runs = [SymbolRun(alphabet: 16, style: .deadzone, count: 128 * 64, rows: 128, columns: 64, width: 64)]
        scratch.symbolCount = 128 * 64
        for index in 0..<128 * 64 {
            scratch.symbols[index] = index % 64 < 32 ? UInt8(random.next() % 5 + 5) : random.next() % 16 == 0 ? 8 : 7
        }
        let symbols = scratch.symbols
        coder.encode(scratch)
        // The form; twice a table and a length.
        #expect(scratch.tables.count <= 1 + 3 * 2 && scratch.tables.first == 6, "\(scratch.tables)")
        scratch.input = [UInt8](repeating: 0, count: 64) + scratch.coded[..<scratch.codedCount] + [UInt8](repeating: 0, count: 64)
        SymbolPlanes.zero(&scratch.symbols, 0..<128 * 64)
        var tables = ByteCursor("tables", scratch.tables, 0..<scratch.tables.count)
        try coder.decode(scratch, tables: &tables, 64..<64 + scratch.codedCount)
        #expect(scratch.symbols == symbols)
        // A length beyond the channels.
        scratch.tables[2] = 64
        tables = ByteCursor("tables", scratch.tables, 0..<scratch.tables.count)
        #expect(throws: KeyValueBlockError.self) { try coder.decode(scratch, tables: &tables, 64..<64 + scratch.codedCount) }
    }

    @Test func `what both sides share is coded once`() throws {
        // Values are the keys, so that half of the components of the right basis are nothing.
        let sample = try KeyValueSample(layers: 1)
        let block = sample.block()
        let plain = try KeyValueProfile("none/ec(k.5,v.5)/rans(channel)")
        let joint = try KeyValueProfile("joint/ec(k.5,v.5)/rans(channel)")
        let geometry = sample.geometry
        let channels = geometry.heads * geometry.dimension
        let half = Float(0.5).squareRoot()
        var matrix = [Float](repeating: 0, count: 4 * channels * channels)
        for channel in 0..<channels {
            matrix[channel * 2 * channels + channel] = half
            matrix[(channels + channel) * 2 * channels + channel] = half
            matrix[channel * 2 * channels + channels + channel] = half
            matrix[(channels + channel) * 2 * channels + channels + channel] = -half
        }
        let calibration = try KeyValueCalibration(
            geometry: geometry,
            joint: [.init(mean: Array(repeating: 0, count: 2 * channels), orthonormal: matrix, units: Array(repeating: 1, count: 2 * channels))],
            digest: 1)
        for head in 0..<geometry.heads {
            var plane = [Float](repeating: 0, count: 128 * geometry.dimension)
            let shape = PlaneShape(rows: 128, columns: geometry.dimension, stride: geometry.dimension)
            func place(_ side: KeyValueSide) -> KeyValuePlace { KeyValuePlace(layer: 0, side: side, head: head, tokens: 0..<128) }
            sample.memory.load(place(.keys), pages: sample.pages, into: &plane, shape, on: .best)
            sample.memory.store(plane, shape, to: place(.values), pages: sample.pages, on: .best)
        }
        let apart = try sample.encode(plain, block).sizes
        let together = try sample.encode(joint, block, calibration: calibration).sizes
        // Half of the symbols say nothing; the others are of numbers greater by the root of two: half a bit more.
        #expect(Double(together.symbols) < 0.66 * Double(apart.symbols), "\(together), \(apart)")
    }
}
