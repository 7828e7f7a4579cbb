internal import CKernels
internal import Glibc

/// How often each exponent occurs among the elements of a tensor.
package struct ExponentHistogram: Sendable {
    package let type: SourceType
    /// 256 of them whatever the type; f16 has no exponents above 31.
    package private(set) var counts = [UInt64](repeating: 0, count: 256)

    package init(type: SourceType) { self.type = type }

    /// Adds whole elements; a tensor may come in any number of pieces.
    package mutating func add(_ elements: RawSpan, on set: InstructionSet) {
        let count = elements.byteCount / type.byteCount
        precondition(elements.byteCount == count * type.byteCount, "\(elements.byteCount) bytes of \(type)")
        unsafe elements.withUnsafeBytes { elements in
            unsafe counts.withUnsafeMutableBufferPointer { counts in
                guard let from = elements.baseAddress, count > 0 else { return }
                unsafe ck_exponent_histogram(set.cSet, type.cType, from, count, counts.baseAddress)
            }
        }
    }

    /// Elements so far.
    package var elements: UInt64 { counts.reduce(0, +) }

    /// Bits per element when exponents take their order-0 entropy and everything else itself: what no code of single exponents beats.
    package var entropyBits: Double {
        let all = Double(elements)
        let exponents = counts.reduce(0.0) { $1 == 0 ? $0 : $0 - Double($1) / all * log2(Double($1) / all) }
        return exponents + (type == .f16 ? 11 : type == .bf16 ? 8 : 24)
    }
}
