import Kernels
import Platform
import TestSupport
import Testing

/// Weights of bf16 that are computed on in fewer bits: every bit pattern comes back, products are those of bf16.
@Suite struct Planes3Tests {
    /// What weights may be like.
    enum Kind: CaseIterable, Sendable {
        case model, bits, oneExponent, zeros, extremes, patterns, infinitiesAndNaN

        func weights(_ count: Int, _ random: inout SeededGenerator) -> [UInt16] {
            (0..<count).map { index in
                switch self {
                case .model: UInt16(truncatingIfNeeded: roundToBF16(random.normal() * 0.02).bitPattern >> 16)
                case .bits: UInt16(truncatingIfNeeded: random.next())
                case .oneExponent: 0x3f80 | UInt16(truncatingIfNeeded: random.next()) & 0x807f
                case .zeros: 0
                case .extremes: index % 2 == 0 ? 0x7fff : 0x8000
                case .patterns: UInt16(truncatingIfNeeded: index)
                case .infinitiesAndNaN: 0x7f80 | UInt16(truncatingIfNeeded: random.next()) & 0x8003
                }
            }
        }
    }

    /// A coded block between bytes that nobody may touch.
    private func encode(_ weights: [UInt16], _ codec: Planes3Codec, on set: InstructionSet) -> [UInt8] {
        let bound = codec.bound(elements: weights.count)
        var bytes = [UInt8](repeating: 0xa5, count: bound + BlockSlack.bytes)
        var span = bytes.mutableSpan
        var out = unsafe span.mutableBytes
        let count = unsafe codec.encode(weights.span.bytes, into: &out, on: set)
        #expect(count <= bound && bytes[bound...].allSatisfy { $0 == 0xa5 })
        return Array(bytes[..<count])
    }

    /// Nil where the block is refused.
    private func decode(_ block: [UInt8], count: Int, _ codec: Planes3Codec, on set: InstructionSet) -> [UInt16]? {
        var weights = [UInt16](repeating: 0xdead, count: count + 64)
        let blob = block + [UInt8](repeating: 0xee, count: BlockSlack.bytes)
        var span = weights.mutableSpan
        let all = unsafe span.mutableBytes
        var out = all
        let isBlock = unsafe out.withUnsafeMutableBytes { memory in
            var part = unsafe MutableRawSpan(_unsafeStart: memory.baseAddress!, byteCount: count * 2)
            return codec.decode(blob.rawSpan, block: 0..<block.count, into: &part, on: set)
        }
        #expect(weights[count...].allSatisfy { $0 == 0xdead }, "weights behind the last")
        return isBlock ? Array(weights[..<count]) : nil
    }

    @Test(arguments: Kind.allCases)
    func `every pattern comes back from the same bytes on every instruction set`(kind: Kind) {
        var random = SeededGenerator(seed: 1)
        for columns in [1, 2, 31, 32, 33, 64, 100, 288] {
            let codec = Planes3Codec(columns: columns)
            for rows in [1, 15, 16, 17, 33, 63, 64] {
                let weights = kind.weights(rows * columns, &random)
                let block = encode(weights, codec, on: .scalar)
                #expect(block.count % 64 == 0)
                for set in supported {
                    #expect(encode(weights, codec, on: set) == block, "\(rows) x \(columns), \(set)")
                    #expect(decode(block, count: weights.count, codec, on: set) == weights, "\(rows) x \(columns), \(set)")
                }
            }
        }
    }

    @Test func `all 65536 patterns in one block come back`() {
        let codec = Planes3Codec(columns: 1024)
        let weights = (0...UInt16.max).map { $0 }
        for set in supported { #expect(decode(encode(weights, codec, on: set), count: weights.count, codec, on: set) == weights, "\(set)") }
    }

    @Test func `weights of a model take less than 11 and a half bits`() {
        var random = SeededGenerator(seed: 2)
        let codec = Planes3Codec(columns: 1024)
        let block = encode(Kind.model.weights(64 * 1024, &random), codec, on: .best)
        #expect(Double(block.count) * 8 / Double(64 * 1024) < 11.5)
    }

    /// Bytes written down once: what is in files must stay readable.
    @Test func `the bytes of a block are those of the format`() {
        let weights: [UInt16] = (0..<6).map { [0x3f80, 0xbf81, 0x4000, 0x0000, 0x3c02, 0xff81][$0] }
        let block = encode(weights, Planes3Codec(columns: 3), on: .scalar)
        #expect(block.count == 128 + 704)
        // Row 0: exponents 127, 127, 128: base 122. Row 1: 0, 120, 255: base 0, as every window covers one.
        #expect(Array(block[0..<3]) == [122, 0, 0] && block[3..<64].allSatisfy { $0 == 0 })
        // Two escapes, both in the first part.
        #expect(Array(block[64..<80]) == [2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0])
        // 120 and 255, rotated right by one bit.
        #expect(Array(block[80..<82]) == [60, 255] && block[82..<128].allSatisfy { $0 == 0 })
        // Bytes 0, 1: columns 0 and 1 of row 0; 2, 3: of row 1; 8, 10: column 2.
        let codes = Array(block[128..<144]), rest = Array(block[320..<336])
        #expect(codes == [5, 5, 0, 7, 0, 0, 0, 0, 6, 0, 7, 0, 0, 0, 0, 0])
        #expect(rest == [0x00, 0x81, 0x00, 0x02, 0, 0, 0, 0, 0x00, 0, 0x81, 0, 0, 0, 0, 0])
    }

    @Test(arguments: supported)
    func `a block that was cut, changed or made up is refused or decoded, and nothing outside is read or written`(set: InstructionSet) {
        var random = SeededGenerator(seed: 3)
        let (rows, columns) = (20, 70)
        let codec = Planes3Codec(columns: columns)
        let block = encode(Kind.model.weights(rows * columns, &random), codec, on: set)
        for count in [0, 1, 79, 80, 128, block.count - 64, block.count - 1] {
            #expect(decode(Array(block[..<count]), count: rows * columns, codec, on: set) == nil, "\(count) bytes")
        }
        #expect(decode(block + [UInt8](repeating: 0, count: 64), count: rows * columns, codec, on: set) == nil)
        // Lengths of escapes that lie, a base that is too great, an escape more, a row that is not there.
        for (offset, value) in [(64, UInt8(255)), (67, 255), (76, 255), (0, 250), (30, 1), (80, 0)] where block[offset] != value {
            var changed = block
            changed[offset] = value
            let isHarmless = offset == 80
            #expect((decode(changed, count: rows * columns, codec, on: set) == nil) != isHarmless, "byte \(offset)")
        }
        for _ in 0..<2000 {
            var changed = block
            for _ in 0...random.next(below: 4) { changed[random.next(below: changed.count)] = UInt8(truncatingIfNeeded: random.next()) }
            _ = decode(changed, count: rows * columns, codec, on: set)
        }
        for _ in 0..<200 {
            let made = (0..<random.next(below: 9000)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            #expect(decode(made, count: rows * columns, codec, on: set) == nil)
        }
    }

    // MARK: Matrices

    private func bytes(_ weights: [UInt16]) -> [UInt8] { weights.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] } }

    /// The matrix in planes3, in memory.
    private func coded(_ weights: [UInt16], columns: Int, _ team: ThreadTeam) throws -> PanelMatrix? {
        let rows = bytes(weights)
        guard let offsets = team.measurePanels(rows.rawSpan, columns: columns) else { return nil }
        var draft = try FileDraft(inMemoryFor: "a test", bytes: offsets.end)
        draft.change(0..<offsets.end) { team.codePanels(rows.rawSpan, columns: columns, at: offsets, into: &$0) }
        let file = draft.map()
        let read = PanelOffsets(frontOf: file.bytes, rows: weights.count / columns)
        let isSound = team.checkPanels(file.bytes, at: offsets, rows: weights.count / columns, columns: columns)
        #expect(read == offsets && isSound)
        return PanelMatrix(file: file, offset: 0, offsets: offsets, rows: weights.count / columns, columns: columns)
    }

    private func dense(_ weights: [UInt16], columns: Int) throws -> PanelMatrix {
        let rows = bytes(weights)
        var builder = try PanelBuilder(rows: weights.count / columns, columns: columns, form: .bf16)
        builder.pack(rows.rawSpan, as: .bf16, first: 0)
        return builder.seal()
    }

    private func product(_ a: [Float], by w: PanelMatrix, on set: InstructionSet, threads: Int, start: Float?) throws -> [UInt32] {
        let team = ThreadTeam(threads: threads, instructionSet: set)
        let source = try matrix(a, columns: w.columns)
        var x = try OperandMatrix(rows: source.rows, columns: w.columns, form: w.form, instructionSet: set)
        team.convert(source, rows: 0..<source.rows, into: &x)
        var c = try FloatMatrix(rows: x.rows, columns: w.rows)
        if let start { c.fill(rows: 0..<c.rows, with: [Float](repeating: start, count: w.rows).span) }
        team.multiply(x, rows: 0..<x.rows, by: w, into: &c, accumulate: start != nil, ahead: w)
        return bits(values(c))
    }

    @Test(arguments: supported)
    func `products equal those of bf16 bit for bit, for any rows, columns and threads`(set: InstructionSet) throws {
        var random = SeededGenerator(seed: 4)
        let team = ThreadTeam(threads: 2, instructionSet: set)
        for (n, k) in [(64, 96), (130, 288), (200, 320), (65, 130)] {
            let weights = Kind.model.weights(n * k, &random)
            let (planes, panels) = (try #require(try coded(weights, columns: k, team)), try dense(weights, columns: k))
            for (m, threads) in [(1, 1), (2, 2), (3, 1), (4, 3), (5, 1), (6, 2), (7, 1), (8, 2), (9, 1), (16, 2), (33, 3), (130, 2)] {
                let a = random.floats(m * k)
                for start in [nil, Float(0.75)] {
                    let expected = try product(a, by: panels, on: set, threads: threads, start: start)
                    #expect(try product(a, by: planes, on: set, threads: threads, start: start) == expected, "\(m) x \(n) x \(k), \(threads) threads")
                }
            }
        }
    }

    @Test(arguments: supported)
    func `rows come out of panels as embeddings`(set: InstructionSet) throws {
        var random = SeededGenerator(seed: 5)
        let (n, k) = (100, 96)
        let weights = Kind.model.weights(n * k, &random)
        let team = ThreadTeam(threads: 2, instructionSet: set)
        let (planes, panels) = (try #require(try coded(weights, columns: k, team)), try dense(weights, columns: k))
        let tokens: [Int32] = [0, 63, 64, 99, 17]
        var x = try FloatMatrix(rows: 5, columns: k)
        var y = try FloatMatrix(rows: 5, columns: k)
        team.embed(tokens.span, from: planes, into: &x)
        team.embed(tokens.span, from: panels, into: &y)
        #expect(bits(values(x)) == bits(values(y)))
    }

    @Test func `a matrix that would not shrink is not coded, and offsets that lie are refused`() throws {
        var random = SeededGenerator(seed: 6)
        let team = ThreadTeam(threads: 1, instructionSet: .scalar)
        #expect(try coded(Kind.bits.weights(64 * 64, &random), columns: 64, team) == nil)
        #expect(try coded(Kind.model.weights(64 * 33, &random), columns: 33, team) == nil)
        let offsets = try #require(PanelOffsets(sizes: [128, 192]))
        #expect(offsets.units == [1, 3, 6] && offsets.byteCount == 320 && offsets.end == 384)
        func read(_ units: [UInt32], bytes: Int = 384) -> PanelOffsets? {
            var blob = [UInt8](repeating: 0, count: bytes)
            for (i, unit) in units.enumerated() where i * 4 + 3 < bytes {
                for shift in 0..<4 { blob[i * 4 + shift] = UInt8(truncatingIfNeeded: unit >> (8 * UInt32(shift))) }
            }
            return PanelOffsets(frontOf: blob.rawSpan, rows: 100)
        }
        #expect(read([1, 3, 6]) == offsets)
        for lie in [[0, 3, 6], [1, 3, 7], [1, 7, 6], [2, 3, 6], [1, 3, .max]] as [[UInt32]] { #expect(read(lie) == nil, "\(lie)") }
        #expect(read([1, 3, 6], bytes: 320) == nil && read([], bytes: 8) == nil)
    }
}
