import Kernels

/// Instruction sets that this machine can run.
let supported = InstructionSet.allCases.filter(\.isSupported)

/// All pairs of what can be run here.
let variants: [Variant] = supported.flatMap { set in ElementType.allCases.map { Variant(set: set, type: $0) } }

struct Variant: Sendable, CustomStringConvertible {
    var set: InstructionSet
    var type: ElementType
    var description: String { "\(set) \(type)" }

    /// Whether results equal the scalar twin's bits; otherwise they are only close.
    var equalsScalar: Bool { self.set != .avx512bf16 || type == .f32 }
}

func roundToBF16(_ x: Float) -> Float {
    let bits = x.bitPattern
    return Float(bitPattern: (bits &+ 0x7fff &+ (bits >> 16 & 1)) & 0xffff_0000)
}

func rounded(_ x: [Float], _ type: ElementType) -> [Float] { type == .bf16 ? x.map(roundToBF16) : x }

/// A matrix of these rows; `padding` more columns hold `filler`.
func matrix(_ values: [Float], columns: Int, padding: Int = 0, filler: Float = 99) throws -> FloatMatrix {
    var result = try FloatMatrix(rows: values.count / columns, columns: columns + padding)
    for row in 0..<result.rows {
        result.withMutableRow(row) { span in
            for column in 0..<columns { span[column] = values[row * columns + column] }
            for column in columns..<columns + padding { span[column] = filler }
        }
    }
    return result
}

func values(_ m: borrowing FloatMatrix) -> [Float] {
    var result: [Float] = []
    for row in 0..<m.rows {
        m.withRow(row) { span in for column in 0..<span.count { result.append(span[column]) } }
    }
    return result
}

func values(_ m: borrowing OperandMatrix) -> [Float] {
    var result: [Float] = []
    for row in 0..<m.rows {
        for column in 0..<m.columns { result.append(m[row, column]) }
    }
    return result
}

func operands(_ x: [Float], columns: Int, _ variant: Variant) throws -> OperandMatrix {
    let team = ThreadTeam(threads: 1, instructionSet: variant.set)
    let source = try matrix(x, columns: columns)
    var result = try OperandMatrix(rows: source.rows, columns: columns, type: variant.type, instructionSet: variant.set)
    team.convert(source, rows: 0..<source.rows, into: &result)
    return result
}

func weights(_ w: [Float], columns: Int, _ type: ElementType) throws -> PanelMatrix {
    var builder = try PanelBuilder(rows: w.count / columns, columns: columns, type: type)
    unsafe builder.pack(w.span.bytes, as: .f32, first: 0)
    return builder.seal()
}

/// The greatest difference, relative to the greatest magnitude.
func distance(_ a: [Float], _ b: [Double]) -> Double {
    precondition(a.count == b.count)
    var difference = 0.0
    var magnitude = 1e-9
    for (x, y) in zip(a, b) {
        difference = max(difference, abs(Double(x) - y))
        magnitude = max(magnitude, abs(y))
    }
    return difference / magnitude
}

/// Floats as numbers of `type`, byte by byte.
func bytes(_ x: [Float], as type: SourceType, on set: InstructionSet = .scalar) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: x.count * type.byteCount)
    var span = result.mutableSpan
    var out = unsafe span.mutableBytes
    set.convert(x.span, to: type, into: &out)
    return result
}

func bits(_ x: [Float]) -> [UInt32] { x.map(\.bitPattern) }
