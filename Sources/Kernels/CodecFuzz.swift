/// The fuzz entry point of the block codecs: reads anything as a block, on every instruction set of the machine. All must agree, and what
/// is a block must hold elements that survive being written and read again.
package enum CodecFuzz {
    package static func decode(_ bytes: [UInt8], elements: Int, with codec: some BlockCodec) {
        let expected = read(bytes, elements, codec, on: .scalar)
        for set in InstructionSet.allCases where set.isSupported {
            precondition(read(bytes, elements, codec, on: set) == expected, "\(set) reads a block of \(elements) elements differently")
        }
        guard let expected, elements > 0 else { return }
        precondition(read(write(expected, codec), elements, codec, on: .best) == expected, "written and read again, elements changed")
    }

    /// The elements as one block.
    package static func write(_ elements: [UInt8], _ codec: some BlockCodec, on set: InstructionSet = .best) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: codec.bound(elements: elements.count / codec.type.byteCount) + BlockSlack.bytes)
        var span = block.mutableSpan
        var out = unsafe span.mutableBytes
        let count = unsafe codec.encode(elements.span.bytes, into: &out, on: set)
        return Array(block[..<count])
    }

    /// The elements of a block, or nil when it is none.
    package static func read(_ block: [UInt8], _ elements: Int, _ codec: some BlockCodec, on set: InstructionSet) -> [UInt8]? {
        let blob = block + [UInt8](repeating: 0xee, count: BlockSlack.bytes)
        var result = [UInt8](repeating: 0, count: elements * codec.type.byteCount)
        var span = result.mutableSpan
        var out = unsafe span.mutableBytes
        return unsafe codec.decode(blob.span.bytes, block: 0..<block.count, into: &out, on: set) ? result : nil
    }
}
