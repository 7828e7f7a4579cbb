internal import CKernels

/// The published scheme, as a point of reference: larger than `CascadeCodec` and not faster. Any parameters are correct for any elements;
/// a block that they do not fit is stored as it is.
package struct ENECCodec: BlockCodec {
    package let type: SourceType
    package let parameters: ENECParameters

    package init(type: SourceType, parameters: ENECParameters) { (self.type, self.parameters) = (type, parameters) }

    package var blockElements: Int { Int(CK_CODEC_BLOCK) }

    package func bound(elements: Int) -> Int { ck_enec_bound(type.cType, elements) }

    package func encode(_ elements: RawSpan, into out: inout MutableRawSpan, on set: InstructionSet) -> Int {
        let count = blockCount(elements, room: out.byteCount)
        return unsafe elements.withUnsafeBytes { elements in
            unsafe out.withUnsafeMutableBytes { out in
                unsafe ck_enec_encode(set.cSet, type.cType, parameters.cValue, elements.baseAddress, count, out.baseAddress)
            }
        }
    }

    package func decode(_ blob: RawSpan, block: Range<Int>, into elements: inout MutableRawSpan, on set: InstructionSet) -> Bool {
        let count = blockCount(&elements, block, blob.byteCount)
        return unsafe blob.withUnsafeBytes { blob in
            unsafe elements.withUnsafeMutableBytes { elements in
                guard let base = blob.baseAddress, let to = elements.baseAddress else { return false }
                return unsafe ck_enec_decode(
                    set.cSet, type.cType, parameters.cValue, base + block.lowerBound, block.count, count, to)
            }
        }
    }
}
