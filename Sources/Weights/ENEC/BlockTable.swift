internal import Kernels
internal import Platform

/// Where the blocks of a packed tensor stand in its file.
///
/// A blob begins with a table of the blocks' lengths, little-endian u32 each, padded with zeros to a multiple of 64; the blocks follow back
/// to back; at least `BlockSlack.bytes` zeros end it, as many as make its length a multiple of 64.
package struct BlockTable: Sendable, Equatable {
    /// In the file: where each block begins, and where the last one ends.
    package let offsets: [Int]

    static let alignment = 64

    /// Reads the table of `tensor` in `bytes`, all of its file. Never traps, whatever the bytes.
    package init(of tensor: PackedTensor, in bytes: RawSpan) throws(CheckpointError) {
        let (blocks, codec, elements) = (tensor.blocks, tensor.codec.blocks, tensor.elements)
        var reader = ByteReader(bytes.extracting(tensor.blob))
        var offsets: [Int] = []
        offsets.reserveCapacity(blocks + 1)
        var offset = tensor.blob.lowerBound + Self.headBytes(blocks: blocks)
        let end = tensor.blob.upperBound - BlockSlack.bytes
        for block in 0..<blocks {
            // The description was refused where the table does not fit the blob.
            guard let length = try? reader.read(UInt32.self) else { preconditionFailure("no room for block \(block) of \(tensor.name)") }
            let most = codec.bound(elements: min(codec.blockElements, elements - block * codec.blockElements))
            guard length > 0, Int(length) <= most else {
                throw tensor.failure("its block \(block) has \(length) bytes; 1 to \(most) were expected")
            }
            guard Int(length) <= end - offset else { throw tensor.failure("its block \(block) ends outside of its blob") }
            offsets.append(offset)
            offset += Int(length)
        }
        offsets.append(offset)
        let coded = offset - tensor.blob.lowerBound - Self.headBytes(blocks: blocks)
        guard tensor.blob.count == Self.blobBytes(blocks: blocks, coded: coded) else {
            throw tensor.failure(
                "its blob has \(tensor.blob.count) bytes; \(Self.blobBytes(blocks: blocks, coded: coded)) were expected for \(coded) in blocks")
        }
        self.offsets = offsets
    }

    package var count: Int { offsets.count - 1 }

    /// Block `index`, in the file.
    package subscript(index: Int) -> Range<Int> { offsets[index]..<offsets[index + 1] }

    /// Bytes before the first block.
    static func headBytes(blocks: Int) -> Int { aligned(blocks * 4) }

    /// Bytes of a blob with `coded` bytes of blocks.
    static func blobBytes(blocks: Int, coded: Int) -> Int { aligned(headBytes(blocks: blocks) + coded + BlockSlack.bytes) }

    static func aligned(_ count: Int) -> Int { (count + alignment - 1) / alignment * alignment }

    /// The table as it stands in a blob, with its zeros.
    static func encoded(_ lengths: [Int]) -> [UInt8] {
        var writer = ByteWriter(capacity: headBytes(blocks: lengths.count))
        for length in lengths { writer.write(UInt32(length)) }
        return writer.bytes + [UInt8](repeating: 0, count: headBytes(blocks: lengths.count) - writer.bytes.count)
    }
}
