internal import CKernels

/// How a matrix of weights is stored, which decides how it is multiplied. What stands beside the weights (KV pages, embeddings that are
/// only looked up, what attention computes) has an `ElementType`.
package enum WeightForm: UInt8, Sendable, Hashable, CaseIterable, CustomStringConvertible {
    case bf16 = 0
    case f32 = 1
    /// Bytes with one scale per row; operands are bytes with one scale per row too.
    case int8 = 2
    /// Bytes with one scale per 32 columns of a row; operands as above.
    case int8g32 = 3
    /// bf16 without its predictable exponent bits (planes3): equal results from about 0.7 of the bytes. A matrix that would not shrink is
    /// kept as bf16.
    case enec = 4

    package init(_ type: ElementType) { self = type == .bf16 ? .bf16 : .f32 }

    package init?(named name: String) {
        guard let form = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = form
    }

    package var name: String {
        switch self {
        case .bf16: "bf16"
        case .f32: "f32"
        case .int8: "int8"
        case .int8g32: "int8g32"
        case .enec: "enec"
        }
    }

    /// All names, for people.
    package static var names: String { allCases.map(\.name).joined(separator: ", ") }

    package var description: String { name }

    /// What KV pages, look-up tables and attention's operands are beside such weights.
    package var elementType: ElementType { self == .f32 ? .f32 : .bf16 }

    /// Whether products are those of bytes.
    package var isBytes: Bool { self == .int8 || self == .int8g32 }

    /// The form whose operands products with such weights take.
    package var operandForm: WeightForm { self == .enec ? .bf16 : self }

    /// Columns of a matrix, at most; nil for any number.
    package var mostColumns: Int? { isBytes ? Int(CK_INT8_COLUMNS) : nil }

    /// Bytes of one weight, without scales; of `enec` at least.
    package var byteCount: Int { isBytes || self == .enec ? 1 : elementType.byteCount }

    /// Of forms with `isBytes`.
    var cInt8: ck_int8 { self == .int8 ? CK_INT8_ROW : CK_INT8_GROUPS }
}
