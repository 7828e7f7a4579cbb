internal import Synchronization

extension BlockCodec {
    /// Blocks of a tensor.
    package func blocks(elements: Int) -> Int { (elements + blockElements - 1) / blockElements }

    /// Room for one block while it is coded, with the slack behind it.
    package var slotBytes: Int { (bound(elements: blockElements) + BlockSlack.bytes + 63) / 64 * 64 }
}

// Blocks stand alone, so that any thread may have any of them.
extension ThreadTeam {
    /// Codes `elements` in blocks, of which the last one may be short, to the front of `out`, one behind another; returns how many bytes
    /// each takes.
    ///
    /// `out` has `codec.slotBytes` bytes for each block. What it holds behind the blocks is anything.
    package func encode(_ elements: RawSpan, with codec: any BlockCodec, into out: inout MutableRawSpan) -> [Int] {
        let (total, blockBytes, slot) = (elements.byteCount, codec.blockElements * codec.type.byteCount, codec.slotBytes)
        precondition(total % codec.type.byteCount == 0, "\(total) bytes of \(codec.type)")
        let blocks = codec.blocks(elements: total / codec.type.byteCount)
        precondition(blocks <= out.byteCount / slot, "\(blocks) blocks of \(slot) bytes into \(out.byteCount)")
        guard blocks > 0 else { return [] }
        let set = instructionSet
        var lengths = [Int](repeating: 0, count: blocks)
        unsafe elements.withUnsafeBytes { source in
            unsafe out.withUnsafeMutableBytes { target in
                unsafe lengths.withUnsafeMutableBufferPointer { lengths in
                    let lent = unsafe Lent((source.baseAddress!, target.baseAddress!, lengths.baseAddress!))
                    run(chunks: blocks) { block in
                        let (source, target, lengths) = unsafe lent.pointers
                        let (start, count) = (block * blockBytes, min(blockBytes, total - block * blockBytes))
                        let elements = unsafe RawSpan(_unsafeStart: source + start, byteCount: count)
                        var room = unsafe MutableRawSpan(_unsafeStart: target + block * slot, byteCount: slot)
                        let length = codec.encode(elements, into: &room, on: set)
                        precondition(
                            length > 0 && length <= codec.bound(elements: count / codec.type.byteCount),
                            "a block of \(count) bytes was coded to \(length)")
                        unsafe lengths[block] = length
                    }
                    var end = 0
                    for block in 0..<blocks {
                        let base = target.baseAddress!
                        unsafe (base + end).copyMemory(from: base + block * slot, byteCount: lengths[block])
                        unsafe end += lengths[block]
                    }
                }
            }
        }
        return lengths
    }

    /// Decodes consecutive blocks to `elements`: the i-th of them stands in `blob[offsets[i]..<offsets[i + 1]]`, and at least
    /// `BlockSlack.bytes` bytes of `blob` follow the last one. All have `codec.blockElements` elements, but for the last, which has what
    /// is left of `elements`.
    ///
    /// - Returns: the place of the first that is no block of `codec`; nil when all are. Then only is `elements` what was coded.
    package func decode(
        _ blob: RawSpan, at offsets: Span<Int>, with codec: any BlockCodec, into elements: inout MutableRawSpan
    ) -> Int? {
        let (total, blockBytes, size) = (elements.byteCount, codec.blockElements * codec.type.byteCount, blob.byteCount)
        precondition(total % codec.type.byteCount == 0, "\(total) bytes of \(codec.type)")
        let blocks = codec.blocks(elements: total / codec.type.byteCount)
        precondition(offsets.count == blocks + 1, "\(offsets.count) offsets of \(blocks) blocks")
        precondition(
            offsets[0] >= 0 && offsets[blocks] <= size - BlockSlack.bytes, "blocks \(offsets[0])..<\(offsets[blocks]) of \(size) bytes")
        for block in 0..<blocks {
            precondition(offsets[block] <= offsets[block + 1], "a block from \(offsets[block]) to \(offsets[block + 1])")
        }
        guard blocks > 0 else { return nil }
        let set = instructionSet
        // Small blocks are decoded several at a time: a call has a price.
        let group = max(1, Self.chunkBytes / blockBytes)
        let first = Atomic<Int>(.max)
        unsafe blob.withUnsafeBytes { blob in
            unsafe elements.withUnsafeMutableBytes { elements in
                unsafe offsets.withUnsafeBufferPointer { offsets in
                    let lent = unsafe Lent((blob.baseAddress!, elements.baseAddress!, offsets.baseAddress!))
                    run(chunks: (blocks + group - 1) / group) { chunk in
                        let (source, target, offsets) = unsafe lent.pointers
                        let blob = unsafe RawSpan(_unsafeStart: source, byteCount: size)
                        for block in chunk * group..<min(blocks, (chunk + 1) * group) {
                            var part = unsafe MutableRawSpan(
                                _unsafeStart: target + block * blockBytes, byteCount: min(blockBytes, total - block * blockBytes))
                            let range = unsafe offsets[block]..<offsets[block + 1]
                            if !codec.decode(blob, block: range, into: &part, on: set) { first.min(block, ordering: .relaxed) }
                        }
                    }
                }
            }
        }
        let failed = first.load(ordering: .relaxed)
        return failed == .max ? nil : failed
    }

    private static var chunkBytes: Int { 64 << 10 }
}
