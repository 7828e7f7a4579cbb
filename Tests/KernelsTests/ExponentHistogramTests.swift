import Kernels
import TestSupport
import Testing

@Suite struct ExponentHistogramTests {
    @Test(arguments: typesAndSets)
    func `counts are those of the elements, in one piece or several`(type: SourceType, set: InstructionSet) {
        for kind in ElementKind.allCases {
            let elements = kind.elements(5003, type)
            var expected = [UInt64](repeating: 0, count: 256)
            for end in stride(from: type.byteCount, through: elements.count, by: type.byteCount) {
                let half = Int(elements[end - 2]) | Int(elements[end - 1]) << 8
                expected[type == .f16 ? half >> 10 & 31 : half >> 7 & 255] += 1
            }
            var whole = ExponentHistogram(type: type)
            var pieces = ExponentHistogram(type: type)
            unsafe whole.add(elements.span.bytes, on: set)
            for piece in [0..<2 * type.byteCount, 2 * type.byteCount..<1000 * type.byteCount, 1000 * type.byteCount..<elements.count] {
                unsafe pieces.add(elements.span.bytes.extracting(piece), on: set)
            }
            #expect(whole.counts == expected && pieces.counts == expected && whole.elements == 5003, "\(kind)")
        }
    }

    @Test func `the entropy of equal shares is the logarithm of their number`() {
        var histogram = ExponentHistogram(type: .bf16)
        let elements = (0..<1024).flatMap { [UInt8(0), UInt8($0 % 16)] }
        unsafe histogram.add(elements.span.bytes, on: .best)
        #expect(histogram.entropyBits == 12)
        #expect(ExponentHistogram(type: .f32).entropyBits == 24)
    }
}
