internal import CKernels
internal import Glibc

/// Sampling's view of one row of logits.
package struct Logits {
    package let instructionSet: InstructionSet

    package init(instructionSet: InstructionSet) { self.instructionSet = instructionSet }

    /// The index of the greatest value, the lowest among equals. NaN never wins.
    package func greatest(in x: Span<Float>) -> Int {
        precondition(x.count > 0, "no logits")
        return unsafe x.withUnsafeBufferPointer { unsafe ck_argmax(instructionSet.cSet, $0.baseAddress, $0.count) }
    }

    /// Sum of exp((x - maximum) * scale): the denominator of a softmax at temperature 1 / scale.
    package func sumOfExponentials(of x: Span<Float>, maximum: Float, scale: Float = 1) -> Double {
        unsafe x.withUnsafeBufferPointer { unsafe ck_sum_exp(instructionSet.cSet, $0.baseAddress, $0.count, maximum, scale) }
    }

    /// log(sum of exp(x)).
    package func logSumOfExponentials(of x: Span<Float>) -> Double {
        let maximum = x[greatest(in: x)]
        return Double(maximum) + log(sumOfExponentials(of: x, maximum: maximum))
    }
}
