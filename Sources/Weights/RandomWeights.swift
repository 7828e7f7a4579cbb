package import Kernels
package import Platform

extension WeightStore {
    /// Random weights for `plan`, in memory, with the numbers that trained models have (`ModelLikeNumbers`): matrices of about deviation
    /// 1/√columns, so that values neither grow nor vanish from layer to layer; norms 1; other vectors small. The same numbers for the same
    /// plan and name, whatever the form.
    ///
    /// - Throws: `FileError` when the system refuses the memory.
    package init(random plan: WeightPlan, weights form: WeightForm, named name: String, team: ThreadTeam) throws(FileError) {
        let key = WeightImageHeader.Key(
            source: Digest(of: "random \(name)"), plan: plan.digest, weights: form, layout: WeightStore.layoutVersion)
        let most = plan.operands.filter { $0.form != .vector }.map { $0.rows * $0.columns * 2 }.max() ?? 0
        var rows = try Slab(bytes: max(1, most), purpose: "the random weights of \(name)")
        func draw(_ index: Int, _ operand: WeightPlan.Operand, into rows: inout Slab) {
            var numbers = ModelLikeNumbers(seed: key.source.low &+ UInt64(index), columns: operand.columns)
            var bytes = rows.first(operand.rows * operand.columns * 2)
            numbers.fill(&bytes)
        }
        var offsets: [Int: PanelOffsets] = [:]
        var parts: [(element: WeightForm, bytes: Int)] = []
        for (index, operand) in plan.operands.enumerated() {
            var element = WeightBuilder.element(of: operand, in: form)
            if element == .enec {
                draw(index, operand, into: &rows)
                let drawn = rows.first(operand.rows * operand.columns * 2)
                offsets[index] = team.measurePanels(drawn.bytes, columns: operand.columns)
                element = offsets[index] == nil ? .bf16 : .enec
            }
            parts.append((element, offsets[index]?.end ?? WeightBuilder.byteCount(operand, as: element)))
        }
        let header = WeightImageHeader(placing: plan, key: key, parts: parts)
        var draft = try FileDraft(inMemoryFor: "the random weights of \(name)", bytes: header.imageBytes)
        for (index, operand) in plan.operands.enumerated() {
            let entry = header.entries[index]
            if entry.form == .vector {
                draft.change(entry.range) { bytes in
                    let value: Float = entry.name.hasSuffix("norm") ? 1 : 0.01
                    for offset in stride(from: 0, to: bytes.byteCount, by: 4) { bytes.storeBytes(of: value, toByteOffset: offset, as: Float.self) }
                }
            } else {
                draw(index, operand, into: &rows)
                let drawn = rows.first(operand.rows * operand.columns * 2)
                let numbers = drawn.bytes
                if entry.form == .table, offsets[index] == nil {
                    WeightBuilder.convert(
                        numbers, as: .bf16, to: entry.element.elementType, columns: entry.columns, into: &draft, at: entry.range.lowerBound)
                } else {
                    draft.change(entry.range) { bytes in
                        if let offsets = offsets[index] {
                            team.codePanels(numbers, columns: entry.columns, at: offsets, into: &bytes)
                        } else {
                            PanelMatrix.pack(numbers, as: .bf16, columns: entry.columns, first: 0, form: entry.element, into: &bytes)
                        }
                    }
                }
            }
        }
        draft.replace(at: 0, with: header.encoded().rawSpan)
        self = Self.store(of: draft.map(), plan, key)
    }
}

/// Numbers like those of a trained linear map, in bf16: normal, with one deviation per row (log-normal, 0.30), one per column (0.15), and one
/// for every 64 columns of a row, so that tails are those of Student's t with 12 degrees of freedom. Their exponents have an entropy of about
/// 2.70 bits, as published models have 2.57 to 2.74 (ZipServ, arXiv 2603.17435).
struct ModelLikeNumbers {
    private var generator: WordGenerator
    private let columns: [Float]
    private let deviation: Float

    /// Draws of a normal distribution: sums of twelve uniform ones.
    private static let normals: [Float] = {
        var generator = WordGenerator(state: 12)
        return (0..<4096).map { _ in
            (0..<12).reduce(Float(-6)) { sum, _ in sum + Float(generator.next() >> 40) / Float(1 << 24) }
        }
    }()

    init(seed: UInt64, columns count: Int) {
        var generator = WordGenerator(state: seed)
        columns = (0..<count).map { _ in Self.exponential(0.15 * Self.normals[Int(generator.next() >> 52)]) }
        deviation = 1 / Float(count).squareRoot()
        self.generator = generator
    }

    /// e^x for small x: ((1 + x / 1024)^2)^2...
    private static func exponential(_ x: Float) -> Float {
        var power = 1 + Double(x) / 1024
        for _ in 0..<10 { power *= power }
        return Float(power)
    }

    /// Whole rows.
    mutating func fill(_ rows: inout MutableRawSpan) {
        let normals = Self.normals
        var offset = 0
        while offset < rows.byteCount {
            let row = deviation * Self.exponential(0.3 * normals[Int(generator.next() >> 52)])
            for first in stride(from: 0, to: columns.count, by: 64) {
                var squares: Float = 0
                for _ in 0..<3 {
                    let word = generator.next()
                    for shift in stride(from: 0, to: 48, by: 12) {
                        let normal = normals[Int(word >> UInt64(shift) & 4095)]
                        squares += normal * normal
                    }
                }
                let scale = row * (12 / squares).squareRoot()
                var word: UInt64 = 0
                for column in first..<min(columns.count, first + 64) {
                    word = (column - first) % 5 == 0 ? generator.next() : word >> 12
                    let bits = (normals[Int(word & 4095)] * scale * columns[column]).bitPattern
                    let rounded = (bits &+ 0x7fff &+ (bits >> 16 & 1)) >> 16
                    rows.storeBytes(of: UInt16(truncatingIfNeeded: rounded), toByteOffset: offset, as: UInt16.self)
                    offset += 2
                }
            }
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct WordGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
