/// A way to code the elements of a tensor without loss, in blocks that stand alone: any block can be decoded by itself, on any thread.
///
/// Every bit pattern survives. Equal input gives equal bytes, on every instruction set.
package protocol BlockCodec: Sendable {
    /// What the elements are.
    var type: SourceType { get }

    /// Elements of a block; the last one of a tensor may have fewer.
    var blockElements: Int { get }

    /// Bytes that a coded block of `elements` elements has at most.
    func bound(elements: Int) -> Int

    /// Codes one block of whole elements, at most `blockElements`; returns how many bytes of `out` it takes.
    ///
    /// `out` has at least `bound` bytes, and at least `BlockSlack.bytes` more that may be overwritten.
    func encode(_ elements: RawSpan, into out: inout MutableRawSpan, on set: InstructionSet) -> Int

    /// Decodes the block in `blob[block]` to exactly `elements.byteCount` bytes; false when it is no such block, whatever its bytes:
    /// then `elements` holds anything. Never reads outside `blob` or writes outside `elements`.
    ///
    /// At least `BlockSlack.bytes` bytes of `blob` follow the block; their values do not matter.
    func decode(_ blob: RawSpan, block: Range<Int>, into elements: inout MutableRawSpan, on set: InstructionSet) -> Bool
}

/// What vector kernels may touch behind a block.
package enum BlockSlack {
    package static let bytes = 64
}
