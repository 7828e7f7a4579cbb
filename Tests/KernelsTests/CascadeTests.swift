import Kernels
import TestSupport
import Testing

/// Escape cascades: every element survives, every instruction set writes and reads the same, and nothing but a block is read.
@Suite struct CascadeTests {
    private static let counts = [1, 2, 63, 64, 65, 2047, 2048, 2049, 4161, 16_383, 16_384]

    private func survives(_ elements: [UInt8], _ codec: CascadeCodec, on set: InstructionSet, _ comment: Comment) {
        let count = elements.count / codec.type.byteCount
        let block = CodecFuzz.write(elements, codec, on: set)
        #expect(block == CodecFuzz.write(elements, codec, on: .scalar), comment)
        #expect(block.count <= codec.bound(elements: count), comment)
        #expect(CodecFuzz.read(block, count, codec, on: set) == elements, comment)
        #expect(CodecFuzz.read(block, count, codec, on: .scalar) == elements, comment)
    }

    @Test(arguments: typesAndSets)
    func `elements of every kind and count come back, in the bytes of the scalar twin`(type: SourceType, set: InstructionSet) {
        let codec = CascadeCodec(type: type)
        for kind in ElementKind.allCases {
            for count in Self.counts { survives(kind.elements(count, type, seed: UInt64(count)), codec, on: set, "\(kind), \(count)") }
        }
    }

    @Test(arguments: typesAndSets)
    func `all patterns of 16 bits come back`(type: SourceType, set: InstructionSet) {
        let all = allPatterns(type)
        let bytes = 16_384 * type.byteCount
        for start in stride(from: 0, to: all.count, by: bytes) {
            survives(Array(all[start..<start + bytes]), CascadeCodec(type: type), on: set, "from byte \(start)")
        }
    }

    /// More than 57 escapes in 64 elements: a word loaded from a byte has too few bits of a plane.
    @Test(arguments: supported)
    func `a chunk of nothing but escapes comes back`(set: InstructionSet) {
        var random = SeededGenerator(seed: 4)
        for from in [64, 320, 1984] {
            for escapes in 57...64 {
                // Three frequent exponents and now and then another, but for one place where all are others.
                let elements = (0..<2048).flatMap { index -> [UInt8] in
                    let within = index >= from && index < from + escapes
                    let usual = random.next(below: 30) == 0 ? 125 : 120 + random.next(below: 3)
                    let word = UInt16((within ? 80 + index % 11 : usual) << 7)
                    return [UInt8(truncatingIfNeeded: word), UInt8(word >> 8)]
                }
                survives(elements, CascadeCodec(type: .bf16), on: set, "\(escapes) from \(from)")
            }
        }
    }

    @Test(arguments: sourceTypes)
    func `a block takes at most a byte more than its elements for each 2048 of them`(type: SourceType) {
        let codec = CascadeCodec(type: type)
        for count in Self.counts {
            #expect(codec.bound(elements: count) == count * type.byteCount + (count + 2047) / 2048)
            let random = ElementKind.random.elements(count, type)
            #expect(CodecFuzz.write(random, codec).count <= codec.bound(elements: count))
        }
    }

    @Test func `weights shrink to nearly their entropy`() {
        for (type, excess) in [(SourceType.bf16, 1.012), (.f16, 1.012), (.f32, 1.006)] {
            let elements = ElementKind.weights.elements(16_384, type)
            var histogram = ExponentHistogram(type: type)
            unsafe histogram.add(elements.span.bytes, on: .best)
            let bits = Double(CodecFuzz.write(elements, CascadeCodec(type: type)).count * 8) / 16_384
            #expect(bits < histogram.entropyBits * excess, "\(bits) bits of \(histogram.entropyBits)")
        }
    }

    @Test(arguments: sourceTypes)
    func `what is damaged is refused or read alike everywhere`(type: SourceType) {
        var random = SeededGenerator(seed: 7)
        let codec = CascadeCodec(type: type)
        for kind in ElementKind.allCases {
            for count in [1, 100, 2048, 5000] {
                let block = CodecFuzz.write(kind.elements(count, type), codec)
                for _ in 0..<60 { CodecFuzz.decode(damaged(block, &random), elements: count, with: codec) }
            }
        }
    }

    @Test(arguments: typesAndSets)
    func `a block of another length or count is refused`(type: SourceType, set: InstructionSet) {
        let codec = CascadeCodec(type: type)
        let block = CodecFuzz.write(ElementKind.weights.elements(3000, type), codec)
        for cut in stride(from: 1, through: block.count, by: 7) {
            #expect(CodecFuzz.read(Array(block.dropLast(cut)), 3000, codec, on: set) == nil, "\(cut) bytes less")
        }
        #expect(CodecFuzz.read(block + [0], 3000, codec, on: set) == nil)
        // Up to 3008 what is padding of 3000 elements may as well be elements.
        for count in [0, 1, 2048, 2944, 2999, 3009, 16_384] {
            #expect(CodecFuzz.read(block, count, codec, on: set) == nil, "\(count) elements")
        }
    }

    @Test(arguments: typesAndSets)
    func `random bytes are refused or read alike everywhere`(type: SourceType, set: InstructionSet) {
        var random = SeededGenerator(seed: 8)
        for _ in 0..<300 {
            let count = random.next(below: 300) + 1
            var bytes = (0..<random.next(below: count * type.byteCount + 40)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            if !bytes.isEmpty { bytes[0] &= 0x37 }
            CodecFuzz.decode(bytes, elements: count, with: CascadeCodec(type: type))
        }
    }

    /// Also those that only fill up a byte.
    @Test(arguments: typesAndSets)
    func `every bit behind the head matters`(type: SourceType, set: InstructionSet) {
        let codec = CascadeCodec(type: type)
        for (kind, count) in [(ElementKind.weights, 250), (.pruned, 128)] {
            let elements = kind.elements(count, type, seed: 3)
            let block = CodecFuzz.write(elements, codec)
            let head = block[0] & 4 == 0 ? 3 : 1 + Int(block[0] >> 4)
            #expect(block[0] & 3 != 0)
            for bit in head * 8..<block.count * 8 {
                var changed = block
                changed[bit / 8] ^= 1 << UInt8(bit % 8)
                #expect(CodecFuzz.read(changed, count, codec, on: set) != elements, "\(kind), bit \(bit)")
            }
        }
    }

    /// Reserved bits, symbols that there are not, counts that fit no shape.
    @Test(arguments: supported)
    func `a false head is refused`(set: InstructionSet) {
        let codec = CascadeCodec(type: .f16)
        // A run in a block of one chunk: no escapes, so nothing follows the fixed part.
        let fixed = [UInt8](repeating: 0, count: 64 + 24 + 16)
        func reads(_ head: [UInt8]) -> Bool { CodecFuzz.read(head + fixed, 64, codec, on: set) != nil }
        func run(shape: Int, first: Int, directions: Int) -> [UInt8] {
            let word = shape | first << 3 | directions << 11
            return [UInt8(word & 255), UInt8(word >> 8 & 255), UInt8(word >> 16)]
        }
        #expect(reads(run(shape: 1, first: 8, directions: 0)) && reads(run(shape: 2, first: 21, directions: 0x3ff)))
        #expect(!reads(run(shape: 1, first: 7, directions: 0)), "below exponent 0")
        #expect(!reads(run(shape: 2, first: 22, directions: 0x3ff)), "above exponent 31")
        #expect(!reads(run(shape: 1, first: 12, directions: 0x100)), "a ninth direction")
        #expect(!reads(run(shape: 3, first: 12, directions: 0)) && !reads(run(shape: 0, first: 12, directions: 0)))
        #expect(!reads([0, 0, 0x80 | 1]), "no shape")
        #expect(reads([0x15, 31]) && reads([0x26, 4, 5]))
        #expect(!reads([0x15, 32]), "no exponent of f16")
        #expect(!reads([0x05]), "no symbols")
        #expect(!reads([0xa5] + (0..<10)), "ten symbols in (2,2,2)")
        #expect(!reads([0xc6] + (0..<12)), "twelve symbols in (2,1,1,2,2)")
        #expect(!reads([0x1d, 5]), "a reserved bit")
    }
}

/// The sizes that a segment could have, from its exponents alone.
@Suite struct CascadePlanTests {
    /// Bytes of a whole segment of bf16 in a shape with these symbols in front.
    private func bytes(_ counts: [Int], _ widths: [Int], _ symbols: [Int], head: Int) -> Int {
        var left = 2048
        var (bits, next) = (0, 0)
        for (level, width) in widths.enumerated() {
            if level > 0 { bits += width == 2 ? (left + 7) / 8 * 8 + left : left }
            for symbol in symbols.dropFirst(next).prefix(1 << width - 1) { left -= counts[symbol] }
            next += 1 << width - 1
        }
        return head + 2048 + 512 + (bits + 7) / 8 + left
    }

    private func smallest(_ counts: [Int]) -> Int {
        let listed = (0..<256).filter { counts[$0] > 0 }.sorted { (counts[$0], $1) > (counts[$1], $0) }
        var run = [listed[0]]
        while run.count < 11 {
            let (low, high) = (run.min()! - 1, run.max()! + 1)
            run.append(high < 256 && (low < 0 || counts[high] > counts[low]) ? high : low)
        }
        return [([2, 2, 2], 9), ([2, 1, 1, 2, 2], 11)].reduce(4097) { best, shape in
            let list = Array(listed.prefix(shape.1))
            return min(
                best, bytes(counts, shape.0, Array(run.prefix(shape.1)), head: 3), bytes(counts, shape.0, list, head: 1 + list.count))
        }
    }

    @Test func `of both shapes, a run and a list, the smallest is written`() {
        var random = SeededGenerator(seed: 9)
        for trial in 0..<400 {
            // From a few exponents far apart to all of them, more or less evenly.
            let (near, spread, far) = (random.next(below: 256), random.next(below: 20) + 1, random.next(below: 100))
            var counts = [Int](repeating: 0, count: 256)
            let elements = (0..<2048).flatMap { _ -> [UInt8] in
                let fall = (random.next() | 1 << 20).trailingZeroBitCount * spread / 4
                let exponent = random.next(below: 100) < far ? random.next(below: trial % 2 == 0 ? 256 : 3) * 7 & 255 : (near + 256 - fall) & 255
                counts[exponent] += 1
                return [UInt8(exponent & 1) << 7, UInt8(exponent >> 1)]
            }
            #expect(CodecFuzz.write(elements, CascadeCodec(type: .bf16)).count == smallest(counts), "trial \(trial)")
        }
    }
}
