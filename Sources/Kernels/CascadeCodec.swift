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

extension CascadeCodec {
    /// Codes some of `elements` as one block, to `out` from `place` on, which has the bound and the slack there; returns how many bytes it takes.
    package func encode(
        _ elements: [UInt16], _ range: Range<Int>, into out: inout [UInt8], at place: Int, on set: InstructionSet
    ) -> Int {
        precondition(type.byteCount == 2 && range.lowerBound >= 0 && range.upperBound <= elements.count, "elements \(range) of \(elements.count)")
        precondition((1...blockElements).contains(range.count), "a block of \(range.count) elements")
        let room = bound(elements: range.count) + BlockSlack.bytes
        precondition(place >= 0 && place + room <= out.count, "\(room) bytes at \(place) of \(out.count)")
        return unsafe elements.withUnsafeBufferPointer { elements in
            unsafe out.withUnsafeMutableBufferPointer { out in
                guard let from = elements.baseAddress, let to = out.baseAddress else { return 0 }
                return unsafe ck_cascade_encode(set.cSet, type.cType, from + range.lowerBound, range.count, to + place)
            }
        }
    }

    /// The other way; false when `bytes[block]` are no block of that many elements. The slack stands behind the block.
    package func decode(
        _ bytes: [UInt8], _ block: Range<Int>, into elements: inout [UInt16], _ range: Range<Int>, on set: InstructionSet
    ) -> Bool {
        precondition(type.byteCount == 2 && range.lowerBound >= 0 && range.upperBound <= elements.count, "elements \(range) of \(elements.count)")
        precondition(range.count <= blockElements, "a block of \(range.count) elements")
        precondition(block.lowerBound >= 0 && block.upperBound <= bytes.count - BlockSlack.bytes, "block \(block) of \(bytes.count) bytes")
        return unsafe bytes.withUnsafeBufferPointer { bytes in
            unsafe elements.withUnsafeMutableBufferPointer { elements in
                guard let from = bytes.baseAddress, let to = elements.baseAddress else { return false }
                return unsafe ck_cascade_decode(
                    set.cSet, type.cType, from + block.lowerBound, block.count, range.count, to + range.lowerBound)
            }
        }
    }
}
