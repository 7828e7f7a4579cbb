/// How much room a tensor takes, and how much it would take at least if its exponents were coded one by one.
package struct TensorFigures: Sendable, Equatable {
    package let name: String
    package let type: StoredType
    package let shape: [Int]
    /// A codec's name, or "raw".
    package let codec: String
    /// Once decoded, and as they stand in the file.
    package let bytes: Int
    package let codedBytes: Int
    /// Signs and mantissas as they are, exponents at their order-0 entropy. Of what is no bf16, f16 or f32: `bytes`.
    package let entropyBytes: Double

    package init(_ tensor: StoredTensor, entropyBytes: Double) {
        name = tensor.name
        type = tensor.type
        shape = tensor.shape
        codec = if case .packed(let packed) = tensor.form { packed.codec.family } else { CodecShelf.raw }
        bytes = tensor.byteCount
        codedBytes = tensor.range.count
        self.entropyBytes = entropyBytes
    }

    private var elements: Int { shape.reduce(1, *) }

    package var bitsPerWeight: Double { elements > 0 ? Double(codedBytes) * 8 / Double(elements) : 0 }

    package var ratio: Double { Self.ratio(bytes, Double(codedBytes)) }

    package var entropyRatio: Double { Self.ratio(bytes, entropyBytes) }

    /// 1 where there is nothing.
    package static func ratio(_ bytes: Int, _ coded: Double) -> Double { bytes > 0 && coded > 0 ? Double(bytes) / coded : 1 }
}
