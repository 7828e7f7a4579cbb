package import Kernels
package import Platform

/// A coded tensor of a packed file, as the file describes it: its numbers fit one another and lie inside the file; what the blocks
/// contain shows when they are decoded.
package struct PackedTensor: Sendable {
    /// The file's name, for errors.
    package let file: String
    package let name: String
    package let type: SourceType
    package let shape: [Int]
    package let codec: TensorCodec
    /// Of the decoded bytes.
    package let digest: Digest
    /// Where table and blocks stand in the file: from a multiple of 64 to a multiple of 64.
    package let blob: Range<Int>
    /// Of the bytes of `blob`.
    package let blobDigest: Digest

    /// What a coded tensor is to other readers.
    static let storedType = StoredType(name: "U8")

    /// Decoded bytes for one byte of a blob. No codec gets beyond 2, since signs and mantissas are stored as they are. Beyond: refused.
    package static let mostExpansion = 4

    package var elements: Int { shape.reduce(1, *) }

    /// Decoded.
    package var byteCount: Int { elements * type.byteCount }

    package var blocks: Int { codec.blocks.blocks(elements: elements) }

    /// Bytes of `blocks` once decoded.
    package func byteCount(of blocks: Range<Int>) -> Int {
        let size = codec.blocks.blockElements
        return (min(blocks.upperBound * size, elements) - min(blocks.lowerBound * size, elements)) * type.byteCount
    }

    /// Checks the blob against its digest: for those who read blocks without decoding them.
    package func verifyBlob(in bytes: RawSpan) throws(CheckpointError) {
        let found = Digest(of: bytes.extracting(blob))
        guard found == blobDigest else {
            throw failure("the digest of its blob is \(found), \(blobDigest) was expected: the file is damaged")
        }
    }

    func failure(_ reason: String) -> CheckpointError { CheckpointError(file: file, tensor: name, reason: reason) }
}
