package import Kernels
package import Platform

extension PackedTensor {
    /// Decodes all of it to `elements`, which has `byteCount` bytes, on all threads of `team`, and checks the digest.
    /// `bytes` is all of the file.
    ///
    /// - Throws: when the table, a block or the digest is not what was written; `elements` then holds anything.
    package func decode(in bytes: RawSpan, into elements: inout MutableRawSpan, on team: ThreadTeam) throws(CheckpointError) {
        let table = try BlockTable(of: self, in: bytes)
        try decode(0..<table.count, of: table, in: bytes, into: &elements, on: team)
        try verify(Digest(of: elements.bytes))
    }

    /// Decodes some blocks to `elements`, which has `byteCount(of: blocks)` bytes. No digest is checked, since there is one for the whole only.
    package func decode(
        _ blocks: Range<Int>, of table: BlockTable, in bytes: RawSpan, into elements: inout MutableRawSpan, on team: ThreadTeam
    ) throws(CheckpointError) {
        precondition(
            blocks.lowerBound >= 0 && blocks.upperBound <= table.count && elements.byteCount == byteCount(of: blocks),
            "blocks \(blocks) of \(table.count) of \(name) into \(elements.byteCount) bytes")
        let offsets = table.offsets.span.extracting(blocks.lowerBound..<blocks.upperBound + 1)
        if let failed = team.decode(bytes.extracting(0..<blob.upperBound), at: offsets, with: codec.blocks, into: &elements) {
            throw failure("block \(blocks.lowerBound + failed) of \(table.count) is none that \(codec.family) writes: the file is damaged")
        }
    }

    /// Checks what was decoded in pieces.
    package func verify(_ found: Digest) throws(CheckpointError) {
        guard found == digest else {
            throw failure("the digest of its decoded bytes is \(found), \(digest) was expected: the file is damaged")
        }
    }
}
