internal import CKernels

/// Codes exponents by their local frequency, in levels that most elements leave at once. For files: within a hundredth of the size of an
/// order-0 entropy code, decoded at about the speed of memory.
package struct CascadeCodec: BlockCodec {
    package let type: SourceType

    package init(type: SourceType) { self.type = type }

    package var blockElements: Int { Int(CK_CODEC_BLOCK) }

    package func bound(elements: Int) -> Int { ck_cascade_bound(type.cType, elements) }

    package func encode(_ elements: RawSpan, into out: inout MutableRawSpan, on set: InstructionSet) -> Int {
        let count = blockCount(elements, room: out.byteCount)
        return unsafe elements.withUnsafeBytes { elements in
            unsafe out.withUnsafeMutableBytes { out in
                unsafe ck_cascade_encode(set.cSet, type.cType, elements.baseAddress, count, out.baseAddress)
            }
        }
    }

    package func decode(_ blob: RawSpan, block: Range<Int>, into elements: inout MutableRawSpan, on set: InstructionSet) -> Bool {
        let count = blockCount(&elements, block, blob.byteCount)
        return unsafe blob.withUnsafeBytes { blob in
            unsafe elements.withUnsafeMutableBytes { elements in
                guard let base = blob.baseAddress, let to = elements.baseAddress else { return false }
                return unsafe ck_cascade_decode(set.cSet, type.cType, base + block.lowerBound, block.count, count, to)
            }
        }
    }
}

extension BlockCodec {
    /// How many elements there are to encode, after a check of what the caller promises.
    func blockCount(_ elements: RawSpan, room: Int) -> Int {
        let count = elements.byteCount / type.byteCount
        precondition(elements.byteCount == count * type.byteCount && (1...blockElements).contains(count), "\(elements.byteCount) bytes of a block")
        precondition(room >= bound(elements: count) + BlockSlack.bytes, "\(room) bytes of room for \(count) elements")
        return count
    }

    /// How many elements there are to decode, after a check of what the caller promises.
    func blockCount(_ elements: inout MutableRawSpan, _ block: Range<Int>, _ blobBytes: Int) -> Int {
        let count = elements.byteCount / type.byteCount
        precondition(elements.byteCount == count * type.byteCount && count <= blockElements, "\(elements.byteCount) bytes of a block")
        precondition(block.lowerBound >= 0 && block.upperBound <= blobBytes - BlockSlack.bytes, "block \(block) of \(blobBytes) bytes")
        return count
    }
}
