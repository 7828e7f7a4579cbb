import Kernels
import TestSupport
import Testing

/// Products of bytes: exact sums, so every instruction set gives the same bits.
@Suite struct ByteProductTests {
    private static let forms: [WeightForm] = [.int8, .int8g32]

    private static let variants: [(WeightForm, InstructionSet)] = forms.flatMap { form in supported.map { (form, $0) } }

    private func panels(_ w: [Float], columns: Int, _ form: WeightForm) throws -> PanelMatrix {
        var builder = try PanelBuilder(rows: w.count / columns, columns: columns, form: form)
        unsafe builder.pack(w.span.bytes, as: .f32, first: 0)
        return builder.seal()
    }

    private func operands(_ a: [Float], columns: Int, _ form: WeightForm, on set: InstructionSet) throws -> OperandMatrix {
        let team = ThreadTeam(threads: 1, instructionSet: set)
        let source = try matrix(a, columns: columns)
        var result = try OperandMatrix(rows: source.rows, columns: columns, form: form, instructionSet: set)
        team.convert(source, rows: 0..<source.rows, into: &result)
        return result
    }

    private func product(
        _ a: [Float], _ w: [Float], columns: Int, _ form: WeightForm, on set: InstructionSet, threads: Int = 1, start: Float? = nil
    ) throws -> [Float] {
        let team = ThreadTeam(threads: threads, instructionSet: set)
        let x = try operands(a, columns: columns, form, on: set)
        let panels = try panels(w, columns: columns, form)
        var c = try FloatMatrix(rows: x.rows, columns: panels.rows)
        if let start { c.fill(rows: 0..<c.rows, with: [Float](repeating: start, count: panels.rows).span) }
        team.multiply(x, rows: 0..<x.rows, by: panels, into: &c, accumulate: start != nil)
        return values(c)
    }

    /// Scale and whole numbers of some values, as the kernels have to find them.
    private func quantized(_ x: ArraySlice<Float>, narrow: Bool, byReciprocal: Bool) -> (scale: Float, values: [Int]) {
        let greatest = x.map(abs).max() ?? 0
        guard greatest >= 0x1p-100 else { return (0, x.map { _ in 0 }) }
        let scale = narrow ? roundToBF16(greatest / 127) : greatest / 127
        let inverse = 127 / greatest
        return (scale, x.map { max(-127, min(127, Int((byReciprocal ? $0 * inverse : $0 / scale).rounded(.toNearestOrEven)))) })
    }

    /// The product as `ckernels.h` promises it, in plain whole numbers.
    private func reference(_ a: [Float], _ w: [Float], columns: Int, _ form: WeightForm, start: Float = 0) -> [Float] {
        let group = form == .int8 ? columns : 32
        var result: [Float] = []
        for row in stride(from: 0, to: a.count, by: columns) {
            let operand = quantized(a[row..<row + columns], narrow: false, byReciprocal: true)
            for first in stride(from: 0, to: w.count, by: columns) {
                var sum: Float = 0
                for j in stride(from: 0, to: columns, by: group) {
                    let end = min(columns, j + group)
                    let weight = quantized(w[first + j..<first + end], narrow: form == .int8g32, byReciprocal: false)
                    let whole = Float((j..<end).reduce(0) { $0 + operand.values[$1] * weight.values[$1 - j] })
                    sum = form == .int8 ? start.addingProduct(whole * operand.scale, weight.scale) : sum.addingProduct(whole, weight.scale)
                }
                result.append(form == .int8 ? sum : start.addingProduct(sum, operand.scale))
            }
        }
        return result
    }

    @Test(arguments: variants)
    func `every shape equals the exact sums bit for bit`(form: WeightForm, set: InstructionSet) throws {
        var random = SeededGenerator(seed: 1)
        for n in [1, 16, 17, 63, 64, 65, 130] {
            for k in [1, 3, 4, 31, 32, 33, 66, 197] {
                let w = random.floats(n * k)
                for m in (k == 66 ? [1, 2, 3, 4, 5, 7, 12, 13, 24, 33, 34] : [1, 5]) {
                    let a = random.floats(m * k)
                    let start: Float? = m % 2 == 0 ? 1.5 : nil
                    let found = try product(a, w, columns: k, form, on: set, start: start)
                    #expect(bits(found) == bits(reference(a, w, columns: k, form, start: start ?? 0)), "\(m) x \(n) x \(k)")
                }
            }
        }
    }

    @Test(arguments: variants)
    func `a row's results do not depend on the rows beside it or on the number of threads`(form: WeightForm, set: InstructionSet) throws {
        var random = SeededGenerator(seed: 3)
        let (n, k) = (80, 402)
        let (a, w) = (random.floats(140 * k), random.floats(n * k))
        let all = bits(try product(a, w, columns: k, form, on: set))
        for (m, threads) in [(1, 1), (2, 3), (5, 2), (6, 1), (7, 3), (16, 2), (23, 1), (33, 2), (140, 3)] {
            let some = bits(try product(Array(a[..<(m * k)]), w, columns: k, form, on: set, threads: threads))
            #expect(some == Array(all[..<(m * n)]), "\(m) rows on \(threads) threads")
        }
    }

    @Test(arguments: supported)
    func `the greatest sums are exact`(set: InstructionSet) throws {
        let k = 65_536
        for sign: Float in [1, -1] {
            let found = try product(
                [Float](repeating: 127 * sign, count: k), [Float](repeating: 127, count: k), columns: k, .int8, on: set)
            #expect(found == [Float(127 * 127 * k) * sign])
        }
    }

    @Test(arguments: variants)
    func `a product is close to that of the numbers themselves`(form: WeightForm, set: InstructionSet) throws {
        var random = SeededGenerator(seed: 5)
        let (m, n, k) = (3, 70, 256)
        let (a, w) = (random.floats(m * k), random.floats(n * k))
        var exact = [Double](repeating: 0, count: m * n)
        for i in 0..<m { for j in 0..<n { for l in 0..<k { exact[i * n + j] += Double(a[i * k + l]) * Double(w[j * k + l]) } } }
        #expect(distance(try product(a, w, columns: k, form, on: set), exact) < 0.02)
    }

    @Test(arguments: variants)
    func `rows of zeros give zeros, and what is not finite gives NaN in its own row only`(form: WeightForm, set: InstructionSet) throws {
        var random = SeededGenerator(seed: 6)
        let (n, k) = (20, 70)
        var (a, w) = (random.floats(4 * k), random.floats(n * k))
        for j in 0..<k { a[k + j] = 0 }
        a[2 * k + 69] = .infinity
        a[3 * k] = .nan
        for j in 0..<k { w[5 * k + j] = -0.0 }
        w[7 * k + 40] = -.infinity
        w[9 * k + 1] = .nan
        let found = try product(a, w, columns: k, form, on: set)
        for column in 0..<n {
            let broken = column == 7 || column == 9
            #expect(found[column].isNaN == broken)
            #expect(broken ? found[n + column].isNaN : found[n + column] == 0)
            #expect(found[2 * n + column].isNaN && found[3 * n + column].isNaN)
        }
        #expect(found[5] == 0)
    }

    @Test(arguments: forms, [SourceType.bf16, .f16, .f32])
    func `packed rows come back rounded, stacked and from every source type`(form: WeightForm, source: SourceType) throws {
        let columns = 70
        // Whole numbers and a greatest one of 127 are exact, whatever the group.
        let rows = (0..<100 * columns).map { $0 % columns % 32 == 0 ? Float(127) : Float($0 * 37 % 200 - 100) }
        let bytes = bytes(rows, as: source)
        let cut = 41 * columns * source.byteCount
        var builder = try PanelBuilder(rows: 100, columns: columns, form: form)
        unsafe builder.pack(Array(bytes[cut...]).span.bytes, as: source, first: 41)
        unsafe builder.pack(Array(bytes[..<cut]).span.bytes, as: source, first: 0)
        let panels = builder.seal()
        for row in 0..<100 {
            var out = [Float](repeating: -1, count: columns)
            var span = out.mutableSpan
            panels.copyRow(row, to: &span)
            #expect(out == Array(rows[row * columns..<(row + 1) * columns]))
        }
        panels.withBytes { #expect($0.byteCount == PanelMatrix.byteCount(rows: 100, columns: columns, form: form)) }
    }

    @Test(arguments: supported.filter { $0 != .scalar })
    func `operands out of norms, gates and attention equal the scalar twin's`(set: InstructionSet) throws {
        var random = SeededGenerator(seed: 7)
        for columns in [1, 15, 33, 64, 100] {
            let x = random.floats(5 * 2 * columns), weight = random.floats(columns)
            func all(_ set: InstructionSet) throws -> [[Float]] {
                let team = ThreadTeam(threads: 2, instructionSet: set)
                let source = try matrix(x, columns: 2 * columns), half = try matrix(Array(x[..<(5 * columns)]), columns: columns)
                func operands() throws -> OperandMatrix {
                    try OperandMatrix(rows: 5, columns: columns, form: .int8, instructionSet: set)
                }
                var norm = try operands()
                var picked = try operands()
                var gate = try operands()
                var attended = try operands()
                team.normalize(half, rows: 0..<5, weight: weight.span, epsilon: 1e-5, into: &norm)
                team.normalize(half, picked: [4, 0, 0, 2, 1].span, weight: weight.span, epsilon: 1e-5, into: &picked)
                team.siluMultiply(source, rows: 0..<5, into: &gate)
                var narrow = try OperandMatrix(rows: 5, columns: columns, type: .bf16, instructionSet: set)
                team.convert(half, rows: 0..<5, into: &narrow)
                team.convert(narrow, rows: 0..<5, into: &attended)
                return [values(norm), values(picked), values(gate), values(attended)]
            }
            #expect(try all(set).map(bits) == all(.scalar).map(bits), "\(columns) columns")
        }
    }
}
