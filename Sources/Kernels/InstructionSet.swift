internal import CKernels
internal import Glibc

/// A level of vector instructions for which kernels exist. Part of the fleet's fingerprint: results are equal within one level
/// (and between all but `avx512bf16`), and only close between `avx512bf16` and the others. Products of int8 are equal in all of them.
package enum InstructionSet: UInt8, Sendable, Hashable, CaseIterable, CustomStringConvertible {
    case scalar = 0
    case avx2 = 1
    case avx512 = 2
    case avx512vnni = 3
    case avx512bf16 = 4

    package var name: String {
        switch self {
        case .scalar: "scalar"
        case .avx2: "avx2"
        case .avx512: "avx512"
        case .avx512vnni: "avx512vnni"
        case .avx512bf16: "avx512bf16"
        }
    }

    package var description: String { name }

    /// Whether this machine can run it.
    package var isSupported: Bool { ck_supported(cSet) }

    /// The fastest that this machine can run: not always the last of them.
    package static var best: InstructionSet {
        let fastest = ck_fastest()
        return allCases.first { $0.cSet == fastest } ?? .scalar
    }

    /// What this process computes with: `best`, or what the environment variable `FERRY_ISA` names. Read once.
    package static func selected() throws(InstructionSetError) -> InstructionSet { try choice.get() }

    /// - Throws: when `word` is no level's name or names one that this machine lacks. Nil or empty means `best`.
    package static func select(_ word: String?) throws(InstructionSetError) -> InstructionSet {
        guard let word, !word.isEmpty else { return best }
        guard let set = allCases.first(where: { $0.name == word }) else { throw .unknown(word) }
        guard set.isSupported else { throw .unsupported(set) }
        return set
    }

    private static let choice = Result { () throws(InstructionSetError) in
        try select(unsafe getenv("FERRY_ISA").map { unsafe String(cString: $0) })
    }

    /// Whether steps of few tokens are faster with weights of enec than with bf16.
    package var isFasterWithEnec: Bool { ck_planes3_is_faster(cSet) }

    var cSet: ck_isa { ck_isa(UInt32(rawValue)) }

    /// Whether left operands of products with weights of `type` are stored as bf16 rather than f32.
    func storesNarrowOperands(_ type: ElementType) -> Bool { ck_operand_type(cSet, type.cType) == CK_BF16 }
}

/// Why `FERRY_ISA` cannot be obeyed.
package enum InstructionSetError: Error, Equatable, CustomStringConvertible {
    case unknown(String)
    case unsupported(InstructionSet)

    package var description: String {
        let names = InstructionSet.allCases.map(\.name).joined(separator: ", ")
        switch self {
        case .unknown(let word): return "FERRY_ISA is '\(word)'; expected one of \(names)"
        case .unsupported(let set): return "FERRY_ISA is '\(set)', which this machine lacks; its best is '\(InstructionSet.best)'"
        }
    }
}
