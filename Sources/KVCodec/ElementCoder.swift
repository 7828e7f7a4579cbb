import Kernels

/// Codes bf16 elements without loss.
protocol ElementCoder {
    /// The first `count` of `elements`, which may be changed, to the first `codedCount` bytes of `coded`, and to `tables`.
    func encode(_ count: Int, _ scratch: BlockScratch)

    /// From `input[bytes]` to the first `count` of `elements`.
    func decode(_ scratch: BlockScratch, tables: inout ByteCursor, _ bytes: Range<Int>, _ count: Int) throws(KeyValueBlockError)
}

/// Two bytes each, the lower one first.
struct RawElements: ElementCoder {
    func encode(_ count: Int, _ scratch: BlockScratch) {
        SymbolPlanes.write(scratch.elements, count: count, to: &scratch.coded)
        scratch.codedCount = 2 * count
    }

    func decode(_ scratch: BlockScratch, tables: inout ByteCursor, _ bytes: Range<Int>, _ count: Int) throws(KeyValueBlockError) {
        guard bytes.count == 2 * count else {
            throw KeyValueBlockError("\(bytes.count) bytes of elements; \(2 * count) were expected of raw")
        }
        SymbolPlanes.read(scratch.input, at: bytes.lowerBound, count: count, into: &scratch.elements)
    }
}

/// One LZ4 block of the elements' bytes: as they are, their upper bytes then their lower ones, or their sixteen planes of bits.
struct LZ4Elements: ElementCoder {
    enum Order { case elements, bytes, bits }
    let order: Order

    func encode(_ count: Int, _ scratch: BlockScratch) {
        var bytes = 2 * count
        switch order {
        case .elements: SymbolPlanes.write(scratch.elements, count: count, to: &scratch.turned)
        case .bytes:
            SymbolPlanes.split(scratch.elements, count: count, high: &scratch.turned, at: 0, low: &scratch.shifted, at: 0)
            SymbolPlanes.copy(scratch.shifted, 0..<count, to: &scratch.turned, at: count)
        case .bits:
            SymbolPlanes.split(scratch.elements, count: count, high: &scratch.symbols, at: 0, low: &scratch.shifted, at: 0)
            SymbolPlanes.copy(scratch.shifted, 0..<count, to: &scratch.symbols, at: count)
            let plane = InstructionSet.packedBytes(count, bits: 1)
            for bit in 0..<16 {
                SymbolPlanes.shift(scratch.symbols, at: bit / 8 * count, count: count, right: 7 - bit % 8, into: &scratch.shifted)
                scratch.set.packBits(scratch.shifted, at: 0, count: count, bits: 1, into: &scratch.turned, at: bit * plane)
            }
            bytes = 16 * plane
        }
        scratch.codedCount = LZ4Block.encode(scratch.turned, count: bytes, into: &scratch.coded)
    }

    func decode(_ scratch: BlockScratch, tables: inout ByteCursor, _ bytes: Range<Int>, _ count: Int) throws(KeyValueBlockError) {
        let plane = InstructionSet.packedBytes(count, bits: 1)
        let all = order == .bits ? 16 * plane : 2 * count
        guard LZ4Block.decode(scratch.input, bytes, into: &scratch.turned, count: all) else {
            throw KeyValueBlockError("the elements are no LZ4 block of \(all) bytes")
        }
        switch order {
        case .elements:
            SymbolPlanes.read(scratch.turned, at: 0, count: count, into: &scratch.elements)
        case .bytes:
            SymbolPlanes.join(high: scratch.turned, at: 0, low: scratch.turned, at: count, count: count, into: &scratch.elements)
        case .bits:
            SymbolPlanes.zero(&scratch.symbols, 0..<2 * count)
            for bit in 0..<16 {
                scratch.set.unpackBits(scratch.turned, at: bit * plane, bits: 1, into: &scratch.shifted, at: 0, count: count)
                SymbolPlanes.add(scratch.shifted, count: count, left: 7 - bit % 8, to: &scratch.symbols, at: bit / 8 * count)
            }
            SymbolPlanes.join(high: scratch.symbols, at: 0, low: scratch.symbols, at: count, count: count, into: &scratch.elements)
        }
    }
}

/// Exponents as symbols of rANS, keys' and values' apart; signs and mantissas as they are, behind them.
struct RansElements: ElementCoder {
    let coder: RansSymbols

    private func setRuns(_ count: Int, _ scratch: BlockScratch) {
        scratch.runs.removeAll(keepingCapacity: true)
        for _ in 0..<2 { scratch.runs.append(SymbolRun(alphabet: 256, style: .centred, count: count / 2)) }
        scratch.symbolCount = count
    }

    func encode(_ count: Int, _ scratch: BlockScratch) {
        setRuns(count, scratch)
        SymbolPlanes.turn(&scratch.elements, count: count, isInverse: false)
        SymbolPlanes.split(scratch.elements, count: count, high: &scratch.symbols, at: 0, low: &scratch.shifted, at: 0)
        coder.encode(scratch)
        SymbolPlanes.copy(scratch.shifted, 0..<count, to: &scratch.coded, at: scratch.codedCount)
        scratch.codedCount += count
    }

    func decode(_ scratch: BlockScratch, tables: inout ByteCursor, _ bytes: Range<Int>, _ count: Int) throws(KeyValueBlockError) {
        setRuns(count, scratch)
        guard bytes.count >= count else {
            throw KeyValueBlockError("\(bytes.count) bytes of elements; at least \(count) were expected of rans")
        }
        let rests = bytes.upperBound - count
        try coder.decode(scratch, tables: &tables, bytes.lowerBound..<rests)
        SymbolPlanes.join(high: scratch.symbols, at: 0, low: scratch.input, at: rests, count: count, into: &scratch.elements)
        SymbolPlanes.turn(&scratch.elements, count: count, isInverse: true)
    }
}

/// The lossless codec of weights, in blocks: the length of each in three bytes, then the block.
struct CascadeElements: ElementCoder {
    private let codec = CascadeCodec(type: .bf16)

    func encode(_ count: Int, _ scratch: BlockScratch) {
        var (done, place) = (0, 0)
        while done < count {
            let part = min(codec.blockElements, count - done)
            let bytes = codec.encode(scratch.elements, done..<done + part, into: &scratch.coded, at: place + 3, on: scratch.set)
            for index in 0..<3 { scratch.coded[place + index] = UInt8(truncatingIfNeeded: bytes >> (8 * index)) }
            place += 3 + bytes
            done += part
        }
        scratch.codedCount = place
    }

    func decode(_ scratch: BlockScratch, tables: inout ByteCursor, _ bytes: Range<Int>, _ count: Int) throws(KeyValueBlockError) {
        var (done, place) = (0, bytes.lowerBound)
        let input = scratch.input
        while done < count {
            let part = min(codec.blockElements, count - done)
            guard bytes.upperBound - place >= 3 else {
                throw KeyValueBlockError("the elements end before the length of a block of \(part)")
            }
            let length = (0..<3).reduce(0) { $0 | Int(input[place + $1]) << (8 * $1) }
            place += 3
            guard length <= bytes.upperBound - place else {
                throw KeyValueBlockError("a block of \(length) bytes of elements; at most \(bytes.upperBound - place) were expected")
            }
            guard codec.decode(input, place..<place + length, into: &scratch.elements, done..<done + part, on: scratch.set) else {
                throw KeyValueBlockError("\(length) bytes are no coding of \(part) elements")
            }
            place += length
            done += part
        }
        guard place == bytes.upperBound else { throw KeyValueBlockError("\(bytes.upperBound - place) bytes follow the elements") }
    }
}
