internal import CKernels
internal import Glibc

/// A value and where it was.
package struct ScoredIndex: Sendable, Equatable {
    package var value: Float
    package var index: Int32

    package init(value: Float, index: Int32) {
        self.value = value
        self.index = index
    }

    /// Higher values first, lower indices first among equals.
    package func precedes(_ other: ScoredIndex) -> Bool { value != other.value ? value > other.value : index < other.index }
}

/// Passes over one row of logits: what a sampler does once per token and vocabulary entry. Equal bits on every instruction set.
package struct LogitScan: Sendable {
    package struct Largest: Sendable, Equatable {
        package var value: Float
        /// The lowest index with that value.
        package var index: Int
        package var hasNaN: Bool
    }

    /// Weights in a block of sums.
    package static let blockCount = Int(CK_LOGIT_BLOCK)

    private let instructionSet: InstructionSet

    package init(instructionSet: InstructionSet = .best) { self.instructionSet = instructionSet }

    /// The largest of at least one value. NaN is reported and otherwise ignored.
    package func largest(of values: Span<Float>) -> Largest {
        precondition(!values.isEmpty, "the largest of no logits")
        let found = unsafe values.withUnsafeBufferPointer { unsafe ck_find_largest(instructionSet.cSet, $0.baseAddress, $0.count) }
        return Largest(value: found.value, index: found.index, hasNaN: found.nan)
    }

    /// ln Σ exp(v − `largest`). `largest` must be the largest value, finite.
    package func logSumOfExponentials(_ values: Span<Float>, minus largest: Float) -> Double {
        var sums = [Double](repeating: 0, count: Self.blocks(values.count))
        return unsafe values.withUnsafeBufferPointer { values in
            unsafe sums.withUnsafeMutableBufferPointer { sums in
                unsafe log(ck_exponentiate(instructionSet.cSet, values.baseAddress, values.count, largest, Self.log2OfE, 0, nil, sums.baseAddress))
            }
        }
    }

    /// The weights w = exp((v − `largest`) · `scale`), or 0 where w < `floor`; returns Σ w.
    ///
    /// - Parameters:
    ///   - weights: as many as there are values.
    ///   - sums: receives the sums of the weights' blocks of `blockCount`; their sum, in order, is what is returned.
    package func exponentiate(
        _ values: Span<Float>, minus largest: Float, scale: Float, zeroBelow floor: Float, into weights: inout [Float], sums: inout [Double]
    ) -> Double {
        precondition(weights.count == values.count && sums.count == Self.blocks(values.count), "\(values.count) values into \(weights.count)")
        return unsafe values.withUnsafeBufferPointer { values in
            unsafe weights.withUnsafeMutableBufferPointer { weights in
                unsafe sums.withUnsafeMutableBufferPointer { sums in
                    unsafe ck_exponentiate(
                        instructionSet.cSet, values.baseAddress, values.count, largest, scale * Self.log2OfE, floor, weights.baseAddress,
                        sums.baseAddress)
                }
            }
        }
    }

    /// The same in place of the values.
    package func exponentiate(
        _ values: inout [Float], minus largest: Float, scale: Float, zeroBelow floor: Float, sums: inout [Double]
    ) -> Double {
        precondition(sums.count == Self.blocks(values.count), "sums of \(sums.count) blocks for \(values.count) values")
        return unsafe values.withUnsafeMutableBufferPointer { values in
            unsafe sums.withUnsafeMutableBufferPointer { sums in
                unsafe ck_exponentiate(
                    instructionSet.cSet, values.baseAddress, values.count, largest, scale * Self.log2OfE, floor, values.baseAddress,
                    sums.baseAddress)
            }
        }
    }

    /// Blocks of `count` weights.
    package static func blocks(_ count: Int) -> Int { (count + blockCount - 1) / blockCount }

    package static func copy(_ values: Span<Float>, into target: inout [Float]) {
        precondition(values.count == target.count, "\(values.count) values into room for \(target.count)")
        unsafe values.withUnsafeBufferPointer { source in
            unsafe target.withUnsafeMutableBufferPointer { unsafe _ = $0.update(from: source) }
        }
    }

    /// Replaces `found` by all values that are at least `cutoff`, in order of index.
    package static func gather(_ values: [Float], atLeast cutoff: Float, into found: inout [ScoredIndex]) {
        found.removeAll(keepingCapacity: true)
        unsafe values.withUnsafeBytes { raw in
            let whole = values.count / 8 * 8
            for offset in stride(from: 0, to: whole, by: 8) {
                let vector = unsafe raw.loadUnaligned(fromByteOffset: offset * 4, as: SIMD8<Float>.self)
                guard any(vector .>= cutoff) else { continue }
                for lane in 0..<8 where vector[lane] >= cutoff {
                    found.append(ScoredIndex(value: vector[lane], index: Int32(truncatingIfNeeded: offset + lane)))
                }
            }
            for index in whole..<values.count where values[index] >= cutoff {
                found.append(ScoredIndex(value: values[index], index: Int32(truncatingIfNeeded: index)))
            }
        }
    }

    private static let log2OfE: Float = 1.442695040888963
}
