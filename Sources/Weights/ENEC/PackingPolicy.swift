/// Which codecs are tried on a tensor.
package struct PackingPolicy: Sendable {
    package enum Choice: Sendable, Equatable {
        /// For computing on: matrices as `planes3`, which steps read where they lie; all else as small as `cascade` makes it.
        case serving
        /// As small as possible.
        case storage
        /// One codec wherever it shrinks a tensor.
        case codec(String)
    }

    package let choice: Choice
    /// Names of the tensors that steps read as matrices, for products and for look-up. Nil where that is not known: all of two dimensions.
    package let matrices: Set<String>?

    /// Below it nothing is gained: table, padding and slack have their size too.
    package static let leastBytes = 4096

    package init(_ choice: Choice, matrices: Set<String>? = nil) {
        self.choice = choice
        self.matrices = matrices
    }

    /// Names of codec families, in rounds: the first round of which one shrinks the tensor decides, and in it the smallest result, the
    /// former of equal ones. Without a round the tensor stays as it is: norms and biases, what is small, and what is no bf16, f16 or f32.
    func rounds(for tensor: StoredTensor) -> [[String]] {
        guard tensor.type.sourceType != nil, tensor.shape.count >= 2, tensor.byteCount >= Self.leastBytes else { return [] }
        switch choice {
        case .serving: return isMatrix(tensor) && tensor.type == .bf16 ? [["planes3"], ["cascade"]] : [["cascade"]]
        case .storage: return [["cascade", "planes3", "enec"]]
        case .codec(let name): return [[name]]
        }
    }

    private func isMatrix(_ tensor: StoredTensor) -> Bool {
        tensor.shape.count == 2 && matrices?.contains(tensor.name) ?? true
    }
}
