internal import CKernels

/// How KV pages and weights of the same `WeightForm` are stored, and what the left operands of products are rounded to.
package enum ElementType: UInt8, Sendable, Hashable, CaseIterable {
    /// Weights, operands and KV in bf16, sums in f32: the way to serve.
    case bf16 = 0
    /// Everything in f32: for f32 checkpoints and for checking the other one.
    case f32 = 1

    package var byteCount: Int { self == .bf16 ? 2 : 4 }

    var cType: ck_type { self == .bf16 ? CK_BF16 : CK_F32 }
}

/// How numbers stand in a checkpoint or a table that kernels read from.
package enum SourceType: UInt8, Sendable, Hashable, CaseIterable {
    case bf16 = 0
    case f32 = 1
    case f16 = 2

    package var byteCount: Int { self == .f32 ? 4 : 2 }

    var cType: ck_type {
        switch self {
        case .bf16: CK_BF16
        case .f32: CK_F32
        case .f16: CK_F16
        }
    }
}
