import Glibc
import Kernels
import TestSupport
import Testing

/// Lengths around the lanes of every instruction set.
private let lengths = [1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 100]

private func halves(_ x: [Float], _ type: SourceType, _ set: InstructionSet) -> [UInt16] {
    let bytes = bytes(x, as: type, on: set)
    return (0..<x.count).map { UInt16(bytes[2 * $0]) | UInt16(bytes[2 * $0 + 1]) << 8 }
}

@Suite struct RowTests {
    /// `body` run on `variant` and on the scalar twin: equal, or close where bf16 instructions differ.
    private func expectTwin(_ variant: Variant, _ what: String, _ body: (Variant) throws -> [Float]) throws {
        let found = try body(variant)
        let twin = try body(Variant(set: .scalar, type: variant.type))
        if variant.equalsScalar {
            #expect(bits(found) == bits(twin), "\(what)")
        } else {
            #expect(distance(found, twin.map(Double.init)) < 0.01, "\(what)")
        }
    }

    @Test(arguments: variants)
    func `the norm divides by the root mean square`(variant: Variant) throws {
        var random = SeededGenerator(seed: 10)
        for n in lengths {
            let (x, w) = (random.floats(5 * n, in: -3...3), random.floats(n))
            func norm(_ variant: Variant, threads: Int = 1) throws -> [Float] {
                let team = ThreadTeam(threads: threads, instructionSet: variant.set)
                var out = try OperandMatrix(rows: 5, columns: n, type: variant.type, instructionSet: variant.set)
                team.normalize(try matrix(x, columns: n), rows: 0..<5, weight: w.span, epsilon: 1e-5, into: &out)
                return values(out)
            }
            try expectTwin(variant, "\(n) columns") { try norm($0) }
            let reference = (0..<5 * n).map { i -> Double in
                let row = x[i / n * n..<(i / n + 1) * n]
                let square = row.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(n)
                return Double(x[i]) / (square + 1e-5).squareRoot() * Double(w[i % n])
            }
            #expect(distance(try norm(variant, threads: 2), reference) < (variant.type == .bf16 ? 0.005 : 1e-6))
        }
    }

    @Test(arguments: variants)
    func `the norm of picked rows is the norm of those rows`(variant: Variant) throws {
        var random = SeededGenerator(seed: 11)
        let (x, w) = (random.floats(6 * 40), random.floats(40))
        let team = ThreadTeam(threads: 2, instructionSet: variant.set)
        let source = try matrix(x, columns: 40)
        var all = try OperandMatrix(rows: 6, columns: 40, type: variant.type, instructionSet: variant.set)
        team.normalize(source, rows: 0..<6, weight: w.span, epsilon: 1e-5, into: &all)
        var some = try OperandMatrix(rows: 3, columns: 40, type: variant.type, instructionSet: variant.set)
        let picked: [Int32] = [5, 0, 3]
        team.normalize(source, picked: picked.span, weight: w.span, epsilon: 1e-5, into: &some)
        let rows = values(all)
        #expect(values(some) == picked.flatMap { rows[Int($0) * 40..<(Int($0) + 1) * 40] })
    }

    @Test(arguments: variants)
    func `head norms work on each head and leave other columns alone`(variant: Variant) throws {
        var random = SeededGenerator(seed: 12)
        for dimension in [8, 10, 16, 64, 80] {
            let x = random.floats(3 * dimension * 4)
            let w = random.floats(dimension)
            try expectTwin(variant, "heads of \(dimension)") { variant in
                let team = ThreadTeam(threads: 1, instructionSet: variant.set)
                var m = try matrix(x, columns: dimension * 4)
                team.normalizeHeads(&m, rows: 1..<3, columns: dimension..<3 * dimension, weight: w.span, epsilon: 1e-6)
                let found = values(m)
                for i in found.indices {
                    let (row, head) = (i / (dimension * 4), i / dimension % 4)
                    #expect((row > 0 && (head == 1 || head == 2)) || found[i] == x[i])
                }
                return found
            }
        }
    }

    @Test(arguments: variants)
    func `rotation turns pairs half a head apart by the angle of their position`(variant: Variant) throws {
        var random = SeededGenerator(seed: 13)
        for (dimension, half) in [(8, 4), (64, 32), (80, 40), (20, 5)] {
            let x = random.floats(3 * dimension * 2)
            let table = try RotaryTable(positions: 10, half: half) { position, pair in
                let angle = Float(position) * (0.3 + Float(pair) * 0.01)
                return (angle * 0.5, 1 - angle * 0.25)
            }
            let positions: [Int32] = [9, 0, 4]
            func rotate(_ variant: Variant) throws -> [Float] {
                let team = ThreadTeam(threads: 1, instructionSet: variant.set)
                var m = try matrix(x, columns: dimension * 2)
                team.rotate(&m, rows: 0..<3, columns: 0..<dimension * 2, dimension: dimension, positions: positions.span, table: table)
                return values(m)
            }
            try expectTwin(variant, "heads of \(dimension)", rotate)
            var reference = x.map(Double.init)
            for row in 0..<3 {
                for head in 0..<2 {
                    for pair in 0..<half {
                        let angle = Double(positions[row]) * (0.3 + Double(pair) * 0.01)
                        let (c, s) = (angle * 0.5, 1 - angle * 0.25)
                        let at = row * dimension * 2 + head * dimension + pair
                        reference[at] = Double(x[at]) * c - Double(x[at + half]) * s
                        reference[at + half] = Double(x[at + half]) * c + Double(x[at]) * s
                    }
                }
            }
            #expect(distance(try rotate(variant), reference) < 1e-6)
        }
    }

    @Test(arguments: variants)
    func `silu of gate times up`(variant: Variant) throws {
        var random = SeededGenerator(seed: 14)
        for n in lengths {
            var x = random.floats(4 * 2 * n, in: -8...8)
            x[0] = -1000
            x[2 * n] = 1000
            func silu(_ variant: Variant, threads: Int = 1) throws -> [Float] {
                let team = ThreadTeam(threads: threads, instructionSet: variant.set)
                var out = try OperandMatrix(rows: 4, columns: n, type: variant.type, instructionSet: variant.set)
                team.siluMultiply(try matrix(x, columns: 2 * n), rows: 0..<4, into: &out)
                return values(out)
            }
            try expectTwin(variant, "\(n) columns") { try silu($0) }
            let reference = (0..<4 * n).map { i -> Double in
                let (gate, up) = (Double(x[i / n * 2 * n + i % n]), Double(x[i / n * 2 * n + n + i % n]))
                return gate / (1 + exp(-gate)) * up
            }
            #expect(distance(try silu(variant, threads: 2), reference) < (variant.type == .bf16 ? 0.005 : 1e-6))
        }
    }

    @Test(arguments: supported)
    func `embeddings are copied from row-major tables and from panels`(set: InstructionSet) throws {
        let columns = 19
        let table = (0..<30 * columns).map { Float($0 % 101) / 4 }
        let tokens: [Int32] = [29, 0, 7]
        let expected = tokens.flatMap { table[Int($0) * columns..<(Int($0) + 1) * columns] }
        let team = ThreadTeam(threads: 1, instructionSet: set)
        for type in SourceType.allCases {
            let bytes = bytes(table, as: type, on: set)
            var x = try FloatMatrix(rows: 3, columns: columns)
            unsafe team.embed(tokens.span, from: bytes.span.bytes, as: type, into: &x)
            #expect(values(x) == expected)
        }
        for type in ElementType.allCases {
            var x = try FloatMatrix(rows: 4, columns: columns)
            team.embed(tokens.span, from: try weights(table, columns: columns, type), into: &x, at: 1)
            #expect(Array(values(x)[columns...]) == expected)
        }
    }

    @Test(arguments: supported)
    func `numbers convert as the standard says`(set: InstructionSet) {
        // Every half float, against the language's own; every bf16 by its bits.
        let patterns = (0...UInt16.max).map { $0 }
        var floats = [Float](repeating: 0, count: patterns.count)
        for type in [SourceType.f16, .bf16] {
            var out = floats.mutableSpan
            unsafe set.convert(patterns.span.bytes, as: type, to: &out)
            for (pattern, value) in zip(patterns, floats) {
                let expected = type == .f16 ? Float(Float16(bitPattern: pattern)) : Float(bitPattern: UInt32(pattern) << 16)
                if expected.isNaN { #expect(value.isNaN) } else { #expect(value.bitPattern == expected.bitPattern) }
            }
            for (pattern, half) in zip(patterns, halves(floats, type, set)) where !floats[Int(pattern)].isNaN { #expect(half == pattern) }
        }
        var random = SeededGenerator(seed: 15)
        var x = (0..<5003).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: random.next())) }
        x += [0, -0.0, .infinity, -.infinity, 65519.996, 65520, 5.9604645e-8, 2.9802322e-8, 2.9802326e-8, 3.4e38]
        for (value, half) in zip(x, halves(x, .f16, set)) where !value.isNaN { #expect(half == Float16(value).bitPattern, "\(value)") }
        for (value, half) in zip(x, halves(x, .bf16, set)) where value.isFinite { #expect(half == UInt16(roundToBF16(value).bitPattern >> 16), "\(value)") }
    }
}
