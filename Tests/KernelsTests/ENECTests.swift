import Kernels
import TestSupport
import Testing

/// The published scheme: every element survives any parameters, every instruction set writes and reads the same.
@Suite struct ENECTests {
    private static let counts = [1, 2, 63, 64, 65, 1023, 1025, 4161, 16_383, 16_384]

    private func histogram(_ elements: [UInt8], _ type: SourceType) -> ExponentHistogram {
        var result = ExponentHistogram(type: type)
        unsafe result.add(elements.span.bytes, on: .best)
        return result
    }

    private func codec(_ elements: [UInt8], _ type: SourceType) -> ENECCodec {
        ENECCodec(type: type, parameters: ENECParameters(search: histogram(elements, type)))
    }

    private func survives(_ elements: [UInt8], _ codec: ENECCodec, on set: InstructionSet, _ comment: Comment) {
        let count = elements.count / codec.type.byteCount
        let block = CodecFuzz.write(elements, codec, on: set)
        #expect(block == CodecFuzz.write(elements, codec, on: .scalar), comment)
        #expect(block.count <= codec.bound(elements: count), comment)
        #expect(CodecFuzz.read(block, count, codec, on: set) == elements, comment)
        #expect(CodecFuzz.read(block, count, codec, on: .scalar) == elements, comment)
    }

    @Test(arguments: typesAndSets)
    func `elements of every kind and count come back, in the bytes of the scalar twin`(type: SourceType, set: InstructionSet) {
        for kind in ElementKind.allCases {
            for count in Self.counts {
                let elements = kind.elements(count, type, seed: UInt64(count))
                survives(elements, codec(elements, type), on: set, "\(kind), \(count)")
            }
        }
    }

    @Test(arguments: typesAndSets)
    func `all patterns of 16 bits come back`(type: SourceType, set: InstructionSet) {
        let all = allPatterns(type)
        let whole = codec(all, type)
        let bytes = 16_384 * type.byteCount
        for start in stride(from: 0, to: all.count, by: bytes) {
            survives(Array(all[start..<start + bytes]), whole, on: set, "from byte \(start)")
        }
    }

    @Test(arguments: typesAndSets)
    func `parameters that do not fit change sizes only`(type: SourceType, set: InstructionSet) throws {
        var random = SeededGenerator(seed: 3)
        for kind in [ElementKind.weights, .pruned, .twoScales, .random] {
            for _ in 0..<20 {
                let n = UInt8(random.next(below: 8) + 1)
                let parameters = try #require(
                    ENECParameters(
                        b: UInt8(random.next(below: 256)), n: n, m: UInt8(random.next(below: Int(n)) + 1),
                        group: 16 << UInt8(random.next(below: 4))))
                survives(kind.elements(1500, type), ENECCodec(type: type, parameters: parameters), on: set, "\(kind), \(parameters)")
            }
        }
    }

    /// bf16 like weights has the majority tuple of the paper, and the size that its formula gives.
    @Test func `weights have the published parameters and size`() {
        var random = SeededGenerator(seed: 5)
        let elements = bytes((0..<16_384).map { _ in max(0x1p-20, abs(random.normal() * 0.02)) }, as: .bf16)
        let parameters = ENECParameters(search: histogram(elements, .bf16))
        #expect(parameters.n == 5 && parameters.m == 3 && parameters.group == 16 && (120...124).contains(parameters.b), "\(parameters)")
        let codec = ENECCodec(type: .bf16, parameters: parameters)
        // Rests, low bits and masks of 1024 groups; then two more bits for 16 elements of each flagged group.
        let fixed = 1 + 16_384 + 16_384 * 3 / 8 + 1024 / 8
        let codes = stride(from: 1, to: elements.count, by: 2).map { index -> Int in
            let exponent = Int(elements[index] & 0x7f) << 1 | Int(elements[index - 1]) >> 7
            return (Int(parameters.b) - exponent) & 31
        }
        let flagged = (0..<1024).count { group in (0..<16).contains { codes[group + $0 * 1024] > 7 } }
        #expect(CodecFuzz.write(elements, codec).count == fixed + 2 * (flagged * 16 / 8))
    }

    @Test func `the search finds the least sum of codes, and reaches every exponent`() {
        func found(_ exponents: [Int: Int]) -> ENECParameters {
            let elements = exponents.sorted { $0.key < $1.key }.flatMap { exponent, count in
                [[UInt8]](repeating: [UInt8(exponent & 1) << 7, UInt8(exponent >> 1)], count: count).flatMap { $0 }
            }
            return ENECParameters(search: histogram(elements, .bf16))
        }
        #expect(found([:]) == ENECParameters(b: 0, n: 1, m: 1, group: 16))
        #expect(found([77: 5]) == ENECParameters(b: 77, n: 1, m: 1, group: 16))
        #expect(found([100: 1, 101: 1]) == ENECParameters(b: 100, n: 1, m: 1, group: 16))
        #expect(found([0: 1, 255: 1]).n == 8)
        #expect(found([0: 1, 120: 1000, 121: 2000, 122: 1000]).b == 122)
    }

    @Test func `parameters are four bytes, and other bytes are none`() throws {
        let parameters = try #require(ENECParameters(b: 123, n: 6, m: 3, group: 16))
        #expect(parameters.bytes == [123, 6, 3, 16] && ENECParameters(bytes: parameters.bytes) == parameters)
        for bytes: [UInt8] in [[], [123, 6, 3], [123, 6, 3, 16, 0], [1, 0, 0, 16], [1, 9, 3, 16], [1, 6, 0, 16], [1, 6, 7, 16], [1, 6, 3, 8], [1, 6, 3, 24], [1, 6, 3, 0]] {
            #expect(ENECParameters(bytes: bytes) == nil, "\(bytes)")
        }
    }

    @Test(arguments: sourceTypes)
    func `what is damaged is refused or read alike everywhere`(type: SourceType) {
        var random = SeededGenerator(seed: 7)
        for kind in ElementKind.allCases {
            for count in [1, 100, 1024, 5000] {
                let elements = kind.elements(count, type)
                let codec = codec(elements, type)
                let block = CodecFuzz.write(elements, codec)
                for _ in 0..<60 { CodecFuzz.decode(damaged(block, &random), elements: count, with: codec) }
            }
        }
    }

    @Test(arguments: typesAndSets)
    func `every bit of a block matters`(type: SourceType, set: InstructionSet) {
        let elements = ElementKind.weights.elements(250, type, seed: 3)
        let codec = codec(elements, type)
        let block = CodecFuzz.write(elements, codec)
        #expect(block[0] == 1)
        for bit in 0..<block.count * 8 {
            var changed = block
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(CodecFuzz.read(changed, 250, codec, on: set) != elements, "bit \(bit)")
        }
    }

    @Test(arguments: typesAndSets)
    func `a block of another length or count is refused`(type: SourceType, set: InstructionSet) {
        let elements = ElementKind.weights.elements(3000, type)
        let codec = codec(elements, type)
        let block = CodecFuzz.write(elements, codec)
        for cut in stride(from: 1, through: block.count, by: 7) {
            #expect(CodecFuzz.read(Array(block.dropLast(cut)), 3000, codec, on: set) == nil, "\(cut) bytes less")
        }
        #expect(CodecFuzz.read(block + [0], 3000, codec, on: set) == nil)
        for count in [0, 1, 2048, 2944, 2999, 3009, 16_384] {
            #expect(CodecFuzz.read(block, count, codec, on: set) == nil, "\(count) elements")
        }
        for first in 2...255 { #expect(CodecFuzz.read([UInt8(first)] + block.dropFirst(), 3000, codec, on: set) == nil) }
    }
}
