import Kernels
import TestSupport
import Testing

@Suite struct ProductTests {
    /// a . w^T in double precision, of values rounded as the type demands.
    private func reference(_ a: [Float], _ w: [Float], columns: Int, _ type: ElementType) -> [Double] {
        let (a, w) = (rounded(a, type), rounded(w, type))
        let (m, n) = (a.count / columns, w.count / columns)
        var result = [Double](repeating: 0, count: m * n)
        for i in 0..<m {
            for j in 0..<n {
                for k in 0..<columns { result[i * n + j] += Double(a[i * columns + k]) * Double(w[j * columns + k]) }
            }
        }
        return result
    }

    private func product(
        _ a: [Float], _ w: [Float], columns: Int, _ variant: Variant, threads: Int = 1, start: Float? = nil
    ) throws -> [Float] {
        let team = ThreadTeam(threads: threads, instructionSet: variant.set)
        let x = try operands(a, columns: columns, variant)
        let panels = try weights(w, columns: columns, variant.type)
        var c = try FloatMatrix(rows: x.rows, columns: panels.rows)
        if let start {
            let bias = [Float](repeating: start, count: panels.rows)
            c.fill(rows: 0..<c.rows, with: bias.span)
        }
        team.multiply(x, rows: 0..<x.rows, by: panels, into: &c, accumulate: start != nil)
        return values(c)
    }

    @Test(arguments: variants)
    func `a product is close to double precision`(variant: Variant) throws {
        var random = SeededGenerator(seed: 1)
        for (m, n, k) in [(1, 1, 1), (3, 70, 33), (17, 64, 128), (26, 100, 250)] {
            let (a, w) = (random.floats(m * k), random.floats(n * k))
            let found = try product(a, w, columns: k, variant)
            #expect(distance(found, reference(a, w, columns: k, variant.type)) < 1e-5, "\(m) x \(n) x \(k)")
        }
    }

    @Test(arguments: variants.filter { $0.set != .scalar && $0.equalsScalar })
    func `every shape equals the scalar twin bit for bit`(variant: Variant) throws {
        let scalar = Variant(set: .scalar, type: variant.type)
        var random = SeededGenerator(seed: 2)
        for n in [1, 15, 16, 17, 63, 64, 65, 130] {
            for k in [1, 2, 15, 16, 66, 197] {
                let w = random.floats(n * k)
                for m in (k == 66 ? Array(1...17) + [24, 25, 31] : [1, 2, 6, 7, 25]) {
                    let a = random.floats(m * k)
                    let found = try product(a, w, columns: k, variant)
                    #expect(bits(found) == bits(try product(a, w, columns: k, scalar)), "\(m) x \(n) x \(k)")
                }
            }
        }
    }

    @Test(arguments: variants)
    func `a row's results do not depend on the rows beside it or on the number of threads`(variant: Variant) throws {
        var random = SeededGenerator(seed: 3)
        let (n, k) = (80, 402)
        let (a, w) = (random.floats(140 * k), random.floats(n * k))
        let all = bits(try product(a, w, columns: k, variant))
        for (m, threads) in [(1, 1), (2, 3), (5, 2), (6, 1), (7, 3), (16, 2), (23, 1), (33, 2), (140, 3)] {
            let some = bits(try product(Array(a[..<(m * k)]), w, columns: k, variant, threads: threads))
            #expect(some == Array(all[..<(m * n)]), "\(m) rows on \(threads) threads")
        }
    }

    @Test(arguments: variants)
    func `an accumulating product continues the chain that starts at the bias`(variant: Variant) throws {
        var random = SeededGenerator(seed: 4)
        let (m, n, k) = (9, 37, 50)
        let (a, w) = (random.floats(m * k), random.floats(n * k))
        let found = try product(a, w, columns: k, variant, start: 2.5)
        #expect(distance(found, reference(a, w, columns: k, variant.type).map { $0 + 2.5 }) < 1e-5)
        // Two halves of k in two products are one chain (k pairs are not torn).
        let team = ThreadTeam(threads: 1, instructionSet: variant.set)
        func columns(_ x: [Float], _ range: Range<Int>) -> [Float] { stride(from: 0, to: x.count, by: k).flatMap { x[$0..<$0 + k][($0 + range.lowerBound)..<($0 + range.upperBound)] } }
        var c = try FloatMatrix(rows: m, columns: n)
        for (range, accumulate) in [(0..<26, false), (26..<50, true)] {
            let x = try operands(columns(a, range), columns: range.count, variant)
            team.multiply(x, rows: 0..<m, by: try weights(columns(w, range), columns: range.count, variant.type), into: &c, accumulate: accumulate)
        }
        #expect(bits(values(c)) == bits(try product(a, w, columns: k, variant)))
    }

    @Test(arguments: variants)
    func `a product writes its rows and columns and nothing else`(variant: Variant) throws {
        var random = SeededGenerator(seed: 5)
        let (n, k) = (19, 20)
        let team = ThreadTeam(threads: 2, instructionSet: variant.set)
        let x = try operands(random.floats(8 * k), columns: k, variant)
        var c = try matrix([Float](repeating: 7, count: 8 * 60), columns: 60)
        team.multiply(x, rows: 2..<5, by: try weights(random.floats(n * k), columns: k, variant.type), into: &c, at: 21)
        for row in 0..<8 {
            for column in 0..<60 where !((2..<5).contains(row) && (21..<21 + n).contains(column)) {
                #expect(c[row, column] == 7)
            }
            #expect((c[row, 21] != 7) == (2..<5).contains(row))
        }
    }

    @Test(arguments: [ElementType.bf16, .f32], [SourceType.bf16, .f16, .f32])
    func `packed rows come back, stacked and from every source type`(type: ElementType, source: SourceType) throws {
        // Multiples of 1/8 up to 8 are exact in all types.
        let columns = 7
        let rows = (0..<100 * columns).map { Float($0 * 37 % 128 - 64) / 8 }
        let bytes = bytes(rows, as: source)
        let cut = 41 * columns * source.byteCount
        var builder = try PanelBuilder(rows: 100, columns: columns, type: type)
        unsafe builder.pack(Array(bytes[cut...]).span.bytes, as: source, first: 41)
        unsafe builder.pack(Array(bytes[..<cut]).span.bytes, as: source, first: 0)
        let panels = builder.seal()
        for row in 0..<100 {
            var out = [Float](repeating: -1, count: columns)
            var span = out.mutableSpan
            panels.copyRow(row, to: &span)
            #expect(out == Array(rows[row * columns..<(row + 1) * columns]))
        }
        panels.withBytes { #expect($0.byteCount == 128 * 8 * type.byteCount) }
    }

    @Test func `chunks of a product cover every element once, and each thread's follow one another`() {
        for threads in [1, 2, 3, 16] {
            for (rows, columns) in [(1, 1), (1, 576), (6, 576), (16, 49152), (33, 100), (128, 64), (512, 3072), (513, 577)] {
                let cut = ProductCut(rows: rows, columns: columns, threads: threads)
                var seen = [Int](repeating: 0, count: rows * columns)
                var last: (thread: Int, column: Int?)?
                for chunk in 0..<cut.chunks {
                    let part = cut.part(chunk)
                    #expect(!part.rows.isEmpty)
                    guard !part.columns.isEmpty else { continue }
                    #expect(part.columns.lowerBound % 16 == 0)
                    for row in part.rows { for column in part.columns { seen[row * columns + column] += 1 } }
                    let thread = cut.thread(of: chunk)
                    if let last, last.thread == thread { #expect(last.column == part.columns.lowerBound) }
                    if last?.thread != thread { #expect(cut.firstColumn(of: thread) == part.columns.lowerBound && last?.column == nil) }
                    last = (thread, cut.column(after: chunk))
                }
                #expect(last?.column == nil)
                #expect(seen.allSatisfy { $0 == 1 }, "\(rows) x \(columns) on \(threads)")
            }
        }
    }

    @Test func `two threads have equal shares of the columns`() {
        for columns in [576, 960, 3072, 49152] {
            let cut = ProductCut(rows: 4, columns: columns, threads: 2)
            var area = [0, 0]
            for chunk in 0..<cut.chunks { area[cut.thread(of: chunk)] += cut.part(chunk).columns.count }
            #expect(area == [columns / 2, columns / 2])
        }
    }
}
