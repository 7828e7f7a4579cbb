import Kernels
import TestSupport

/// Elements that codecs must survive, by what is special about them.
enum ElementKind: Sendable, CaseIterable {
    case weights, random, zeros, negativeZeros, equal, alternating, notNumbers, pruned, twoScales, scattered

    /// `count` elements; the same for the same seed.
    func elements(_ count: Int, _ type: SourceType, seed: UInt64 = 1) -> [UInt8] {
        var random = SeededGenerator(seed: seed)
        if self == .weights {
            return bytes((0..<count).map { _ in random.normal() * 0.02 * (1 + Float(seed % 7)) }, as: type)
        }
        let (exponentBits, mantissaBits) = type == .f16 ? (5, 10) : type == .bf16 ? (8, 7) : (8, 23)
        let most = (1 << exponentBits) - 1
        let middle = type == .f16 ? 12 : 122
        var result: [UInt8] = []
        for index in 0..<count {
            let word = random.next()
            var (exponent, mantissa, sign) = (Int(word >> 40) & most, Int(truncatingIfNeeded: word) & ((1 << mantissaBits) - 1), Int(word >> 63))
            let fall = min(middle, (word >> 33 | 1 << 20).trailingZeroBitCount)
            switch self {
            case .weights, .random: break
            case .zeros: (exponent, mantissa, sign) = (0, 0, 0)
            case .negativeZeros: (exponent, mantissa, sign) = (0, 0, 1)
            case .equal: (exponent, mantissa, sign) = (middle, 3, 1)
            case .alternating: exponent = index % 2 == 0 ? most : 0
            case .notNumbers: exponent = index % 3 == 0 ? most : middle - fall
            case .pruned: (exponent, mantissa, sign) = word % 3 == 0 ? (middle - fall, mantissa, sign) : (0, 0, 0)
            case .scattered: if word % 4 != 0 { exponent = middle }
            case .twoScales: exponent = index / 64 % 16 == 4 ? middle + 8 - min(middle, 2 * fall) : middle - fall / 2
            }
            let bits = sign << (exponentBits + mantissaBits) | exponent << mantissaBits | mantissa
            for byte in 0..<type.byteCount { result.append(UInt8(truncatingIfNeeded: bits >> (8 * byte))) }
        }
        return result
    }
}

/// Every pattern of 16 bits, in f32 as the upper half of all.
func allPatterns(_ type: SourceType) -> [UInt8] {
    (0..<65_536).flatMap { pattern in
        let low: [UInt8] = type == .f32 ? [UInt8(truncatingIfNeeded: pattern &* 7), UInt8(truncatingIfNeeded: pattern >> 3)] : []
        return low + [UInt8(pattern & 255), UInt8(pattern >> 8)]
    }
}

/// What may happen to a block on its way: cut, lengthened, or a few bits and bytes of it changed.
func damaged(_ block: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
    var result = block
    switch random.next() % 5 {
    case 0: result.removeLast(random.next(below: block.count) + 1)
    case 1: result += (0...random.next(below: 20)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    case 2: result[random.next(below: min(16, block.count))] ^= 1 << UInt8(random.next() % 8)
    case 3: result[random.next(below: block.count)] ^= 1 << UInt8(random.next() % 8)
    default:
        let start = random.next(below: block.count)
        for index in start..<min(block.count, start + 200) { result[index] = UInt8(truncatingIfNeeded: random.next()) }
    }
    return result
}

let sourceTypes = SourceType.allCases
let typesAndSets: [(SourceType, InstructionSet)] = sourceTypes.flatMap { type in supported.map { (type, $0) } }
