package import Kernels
package import Platform

/// The weights of a model as the kernels read them: parts of images, mapped read-only and shared by all processes that use the same
/// cache file; or panels inside a packed model's own files.
package struct WeightStore: Sendable {
    let key: WeightImageHeader.Key
    let parts: [String: Part]

    /// One operand in mapped memory.
    struct Part: Sendable {
        var file: MappedFile
        /// Of panels of enec: what the offsets count from on.
        var range: Range<Int>
        var form: WeightPlan.Form
        var element: WeightForm
        var rows: Int
        var columns: Int
        /// Of panels of enec.
        var offsets: PanelOffsets?
    }

    init(_ key: WeightImageHeader.Key, parts: [String: Part]) {
        self.key = key
        self.parts = parts
    }

    /// Raised whenever the kernels arrange the elements of a panel differently: older images are then made anew.
    package static let layoutVersion: UInt32 = 1

    /// Where weights came from, and what the operator should know about it.
    package struct Origin: Sendable {
        package enum Source: Sendable, Equatable {
            /// Nothing was made: the packed model's files are computed on as they are.
            case packed(directory: String)
            /// Made by an earlier start.
            case cache(path: String)
            /// Made now.
            case built(path: String)
            /// Made now, in memory: of this process only, or under the path for others while this process holds the weights.
            case memory(path: String?)
            /// Made in memory by another process.
            case shared(path: String)

            /// One word.
            package var name: String {
                switch self {
                case .packed: "packed"
                case .cache: "cache"
                case .built: "built"
                case .memory: "memory"
                case .shared: "shared"
                }
            }
        }

        package var source: Source
        /// Sentences for the log that somebody should look into.
        package var warnings: [String] = []
        /// Tensors that lost precision, by stored type.
        package var rounded: [String]
        /// Why the weights come from there, where that was a choice.
        package var notes: [String] = []
        /// What is to be written beside serving, for the starts to come.
        package var later: LaterImage?
    }

    package var form: WeightForm { key.weights }

    /// Names the numbers that this store computes with: equal wherever the same weights were loaded the same way. Those of enec are those
    /// of bf16.
    package var fingerprint: Digest { Digest(of: "\(key.source) \(key.plan) \(key.weights.operandForm)") }

    package func panels(_ name: String) -> PanelMatrix { panels(part(name, .panels)) }

    private func panels(_ part: Part) -> PanelMatrix {
        if let offsets = part.offsets {
            return PanelMatrix(file: part.file, offset: part.range.lowerBound, offsets: offsets, rows: part.rows, columns: part.columns)
        }
        return PanelMatrix(
            file: part.file, offset: part.range.lowerBound, rows: part.rows, columns: part.columns, form: part.element)
    }

    package func vector(_ name: String) -> [Float] {
        let part = part(name, .vector)
        var values = [Float](repeating: 0, count: part.rows * part.columns)
        var span = values.mutableSpan
        InstructionSet.scalar.convert(part.file.bytes.extracting(part.range), as: .f32, to: &span)
        return values
    }

    package func table(_ name: String) -> WeightTable {
        let part = part(name, .table)
        if part.element == .enec { return .panels(panels(part)) }
        return .rows(
            WeightRows(file: part.file, range: part.range, rows: part.rows, columns: part.columns, type: part.element.elementType))
    }

    private func part(_ name: String, _ form: WeightPlan.Form) -> Part {
        guard let part = parts[name], part.form == form else { preconditionFailure("no \(form) \(name) among the planned weights") }
        return part
    }
}

/// Rows for look-up.
package enum WeightTable: Sendable {
    case rows(WeightRows)
    /// Of weights that are kept as enec.
    case panels(PanelMatrix)
}

/// Rows one behind another inside a mapped image.
package struct WeightRows: Sendable {
    private let file: MappedFile
    private let range: Range<Int>
    package let rows: Int
    package let columns: Int
    package let type: ElementType

    init(file: MappedFile, range: Range<Int>, rows: Int, columns: Int, type: ElementType) {
        self.file = file
        self.range = range
        self.rows = rows
        self.columns = columns
        self.type = type
    }

    /// Row after row of `columns` numbers.
    package func withBytes<Result>(_ body: (RawSpan) -> Result) -> Result { body(file.bytes.extracting(range)) }
}
