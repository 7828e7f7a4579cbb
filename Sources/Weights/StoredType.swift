internal import Kernels

/// The element type of a stored tensor, as safetensors names it.
package enum StoredType: Hashable, Sendable, CustomStringConvertible {
    case bf16
    case f16
    case f32
    /// One that no weight Ferry computes with may have; the file may hold such tensors all the same.
    case other(String)

    package init(name: String) {
        self =
            switch name {
            case "BF16": .bf16
            case "F16": .f16
            case "F32": .f32
            default: .other(name)
            }
    }

    init(_ type: SourceType) {
        self =
            switch type {
            case .bf16: .bf16
            case .f16: .f16
            case .f32: .f32
            }
    }

    /// Bytes of one element; nil where elements are not whole bytes or the name is unknown.
    package var bytes: Int? {
        switch self {
        case .bf16, .f16: 2
        case .f32: 4
        case .other("F64"), .other("I64"), .other("U64"), .other("C64"): 8
        case .other("I32"), .other("U32"): 4
        case .other("I16"), .other("U16"): 2
        case .other("I8"), .other("U8"), .other("BOOL"), .other("F8_E4M3"), .other("F8_E5M2"), .other("F8_E8M0"): 1
        case .other: nil
        }
    }

    /// As the kernels read it; nil for what they cannot.
    var sourceType: SourceType? {
        switch self {
        case .bf16: .bf16
        case .f16: .f16
        case .f32: .f32
        case .other: nil
        }
    }

    package var description: String {
        switch self {
        case .bf16: "BF16"
        case .f16: "F16"
        case .f32: "F32"
        case .other(let name): name
        }
    }
}
