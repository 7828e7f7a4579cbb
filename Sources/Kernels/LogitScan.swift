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

/// Passes over one row of logits: what a sampler does once per token and vocabulary entry.
///
/// Plain Swift vectors of eight: the work is small beside a step of the model, and one code path gives the same draws on
/// every instruction set.
package enum LogitScan {
    package struct Largest: Sendable, Equatable {
        package var value: Float
        /// The lowest index with that value.
        package var index: Int
        package var hasNaN: Bool
    }

    /// The largest of at least one value. NaN is reported and otherwise ignored.
    package static func largest(of values: Span<Float>) -> Largest {
        precondition(!values.isEmpty, "the largest of no logits")
        return unsafe values.withUnsafeBufferPointer { values in
            var lanes = SIMD8<Float>(repeating: -.infinity)
            var numbers = SIMDMask<SIMD8<Int32>>(repeating: true)
            unsafe forEachVector(values, padding: -.infinity) { _, vector in
                numbers = numbers .& (vector .== vector)
                lanes.replace(with: vector, where: vector .> lanes)
            }
            let value = lanes.max()
            let index = unsafe values.firstIndex(of: value) ?? 0
            return Largest(value: value, index: index, hasNaN: numbers != SIMDMask(repeating: true))
        }
    }

    /// ln Σ exp(v − `largest`). `largest` must be the largest value, finite.
    package static func logSumOfExponentials(_ values: Span<Float>, minus largest: Float) -> Double {
        unsafe values.withUnsafeBufferPointer { values in
            var sum = SIMD8<Double>(repeating: 0)
            unsafe forEachVector(values, padding: -.infinity) { _, vector in
                sum += SIMD8<Double>(exponential((vector - largest) * log2OfE))
            }
            return log(sum.sum())
        }
    }

    /// Replaces each v by w = exp((v − `largest`) · `scale`), or by 0 where w < `floor`; returns Σ w.
    package static func exponentiate(_ values: inout [Float], minus largest: Float, scale: Float, zeroBelow floor: Float)
        -> Double
    {
        let factor = scale * log2OfE
        return unsafe values.withUnsafeMutableBufferPointer { values in
            var sum = SIMD8<Double>(repeating: 0)
            let source = UnsafeBufferPointer(values)
            let target = UnsafeMutableRawBufferPointer(values)
            unsafe forEachVector(source, padding: -.infinity) { offset, vector in
                // The largest itself is exactly 1, also where `scale` is huge.
                var weight = exponential((vector - largest) * factor)
                weight.replace(with: 0, where: weight .< floor)
                sum += SIMD8<Double>(weight)
                if offset + 8 <= source.count {
                    unsafe target.storeBytes(of: weight, toByteOffset: offset * 4, as: SIMD8<Float>.self)
                } else {
                    for lane in 0..<(source.count - offset) { unsafe values[offset + lane] = weight[lane] }
                }
            }
            return sum.sum()
        }
    }

    package static func copy(_ values: Span<Float>, into target: inout [Float]) {
        precondition(values.count == target.count, "\(values.count) values into room for \(target.count)")
        unsafe values.withUnsafeBufferPointer { source in
            unsafe target.withUnsafeMutableBufferPointer { unsafe _ = $0.update(from: source) }
        }
    }

    /// Replaces `found` by all values that are at least `cutoff`, in order of index.
    package static func gather(_ values: [Float], atLeast cutoff: Float, into found: inout [ScoredIndex]) {
        found.removeAll(keepingCapacity: true)
        unsafe values.withUnsafeBufferPointer { values in
            unsafe forEachVector(values, padding: -.infinity) { offset, vector in
                guard any(vector .>= cutoff) else { return }
                for lane in 0..<8 where vector[lane] >= cutoff {
                    found.append(ScoredIndex(value: vector[lane], index: Int32(truncatingIfNeeded: offset + lane)))
                }
            }
        }
    }

    private static let log2OfE: Float = 1.442695040888963

    /// Calls `body` with each eight values and the index of the first; the last call is filled up with `padding`.
    @inline(always)
    private static func forEachVector(
        _ values: UnsafeBufferPointer<Float>, padding: Float, _ body: (Int, SIMD8<Float>) -> Void
    ) {
        let raw = UnsafeRawBufferPointer(values)
        var offset = 0
        while offset + 8 <= values.count {
            body(offset, unsafe raw.loadUnaligned(fromByteOffset: offset * 4, as: SIMD8<Float>.self))
            offset += 8
        }
        guard offset < values.count else { return }
        var vector = SIMD8<Float>(repeating: padding)
        for lane in 0..<(values.count - offset) { unsafe vector[lane] = values[offset + lane] }
        body(offset, vector)
    }

    /// 2^x for x ≤ 0, to 2 units in the last place; 0 below 2⁻¹²⁵. Taylor polynomial of 2^f, |f| ≤ ½, to degree 7.
    @inline(always)
    private static func exponential(_ x: SIMD8<Float>) -> SIMD8<Float> {
        let isTiny = .!(x .>= -125)
        let x = x.replacing(with: 0, where: isTiny)
        // Adding and subtracting 1.5 · 2²³ rounds to the nearest whole number, whose bits are then the low bits.
        let shifted = x + 12_582_912
        let fraction = x - (shifted - 12_582_912)
        var p = SIMD8<Float>(repeating: 1.525273380405984e-5)
        p = p * fraction + 1.540353039338161e-4
        p = p * fraction + 1.333355814642844e-3
        p = p * fraction + 9.618129107628477e-3
        p = p * fraction + 5.550410866482158e-2
        p = p * fraction + 2.402265069591007e-1
        p = p * fraction + 6.931471805599453e-1
        p = p * fraction + 1
        let exponent = unsafe unsafeBitCast(shifted, to: SIMD8<UInt32>.self) &<< 23
        let result = unsafe unsafeBitCast(unsafeBitCast(p, to: SIMD8<UInt32>.self) &+ exponent, to: SIMD8<Float>.self)
        return result.replacing(with: 0, where: isTiny)
    }
}
