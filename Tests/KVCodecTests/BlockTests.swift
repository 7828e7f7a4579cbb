import Kernels
import Platform
import TestSupport
import Testing

@testable import KVCodec

/// Blocks there and back.
@Suite struct BlockTests {
    /// Root mean square of the error that a quantiser may leave, in units of that of the numbers: a step of the range of some 8 deviations,
    /// evenly spread within it. Dead zones and bounds are known outright.
    static func limit(_ profile: KeyValueProfile, _ side: KeyValueSide) -> Double {
        let rounding = 0.004
        switch profile.quantiser {
        case .none: return 0
        case .uniform(let uniform):
            let levels = side == .keys ? uniform.keys : uniform.values
            let fewest = uniform.isAllocated ? Double(levels.low) * 0.7 : Double(levels.low)
            return (levels.axis == .tensor ? 3 : 1) * 1.3 * 8 / (fewest - 1) / 12.0.squareRoot() * 1.4 + rounding
        case .fp8: return 0.04
        case .bounded(let keys, let values): return Double((side == .keys ? keys : values).value)
        case .codebook(let codebook): return 5 / Double((side == .keys ? codebook.keys : codebook.values).low) + rounding
        case .deadzone(let deadzone):
            return Double((side == .keys ? deadzone.keys : deadzone.values).value) * (deadzone.isAllocated ? 1.5 : 1) * 0.75 + rounding
        }
    }

    @Test func `every composition keeps its error small and gives equal bytes on every instruction set`() throws {
        let sample = try KeyValueSample(layers: 2, heads: 2, dimension: 32, tokens: 93)
        let calibration = try sample.calibration()
        let decoder = try KeyValueDecoder(geometry: sample.geometry, calibration: calibration, on: .best)
        for profile in KeyValueProfile.compositions {
            let block = sample.block(1, first: 0, prompt: 120)
            var bytes: [UInt8] = []
            let sizes = try KeyValueEncoder(profile, geometry: sample.geometry, calibration: calibration, on: .best)
                .encode(block, pages: sample.pages, of: sample.memory, into: &bytes)
            #expect(sizes.total == bytes.count, "\(profile)")
            #expect(try KeyValueDecoder.profile(of: bytes.rawSpan) == profile)
            if profile.sinks == 0, profile.recent == 0 {
                #expect(try sample.encode(profile, block, calibration: calibration, on: .scalar).bytes == bytes, "\(profile)")
            }
            let decoded = try sample.empty()
            do {
                try decoder.decode(bytes.rawSpan, as: block, pages: sample.pages, into: decoded)
            } catch {
                Issue.record("\(profile): \(error)")
                continue
            }
            for side in KeyValueSide.allCases {
                let error = sample.error(1, side, decoded)
                let limit = Self.limit(profile, side)
                #expect(error <= limit, "\(profile), \(side): \(error), at most \(limit) was expected")
                for head in 0..<2 {
                    let (before, after) = (sample.elements(1, side, head), sample.elements(1, side, head, of: decoded))
                    for token in 0..<93 where token < profile.sinks || token >= 120 - profile.recent {
                        #expect((0..<32).allSatisfy { before[$0 * 93 + token] == after[$0 * 93 + token] }, "\(profile): token \(token)")
                    }
                    // Other layers and the rest of the last page are nobody's.
                    #expect(sample.elements(0, side, head, of: decoded).allSatisfy { $0 == 0 })
                }
            }
            for side in KeyValueSide.allCases {
                var rest = [UInt16](repeating: 1, count: 35 * 32)
                decoded.unpack(
                    KeyValuePlace(layer: 1, side: side, head: 1, tokens: 93..<128), pages: sample.pages, into: &rest, at: 0, on: .scalar)
                #expect(rest.allSatisfy { $0 == 0 }, "\(profile)")
            }
        }
    }

    @Test(arguments: ["none/none/raw", "none/none/lz4", "none/none/bits+lz4", "none/none/bytes+lz4", "none/none/rans", "none/none/enec"])
    func `without a quantiser every bit comes back`(text: String) throws {
        let profile = try KeyValueProfile(text)
        for kind in KeyValueSample.Kind.allCases {
            for (heads, dimension, tokens) in [(2, 64, 128), (1, 8, 1), (3, 96, 65), (1, 256, 127), (2, 100, 64)] {
                let sample = try KeyValueSample(kind, layers: 1, heads: heads, dimension: dimension, tokens: tokens)
                for set in supported {
                    let decoded = try sample.decode(try sample.encode(profile, sample.block(), on: set).bytes, sample.block(), on: set)
                    for side in KeyValueSide.allCases {
                        for head in 0..<heads { #expect(sample.elements(0, side, head) == sample.elements(0, side, head, of: decoded)) }
                    }
                }
            }
        }
    }

    static let someProfiles = [
        "none/none/enec", "none/mm(k12:6,v8:4,r.8)/rans", "had/mm(k12:6,v8:4,r.8)/rans/s4,w64", "none/mm(k4,v4,g32,bf16)/pack",
        "shad/mm2(k6,v4,g10)/lz4",
        "anchor/sym(k31,v15)/rans(channel)", "none/eb(k.05,v.02)/rans", "pca/ec(k.6,v.8,rd,rms,z.4,p.05)/rans(channel)",
        "had/lm(k8,v6)/bits+lz4",
        "anchor/fp8/raw/w20",
    ]

    @Test(arguments: someProfiles)
    func `blocks of any number of tokens come back, wherever they begin`(text: String) throws {
        let profile = try KeyValueProfile(text)
        for tokens in 1...128 {
            let sample = try KeyValueSample(layers: 1, heads: 2, dimension: 16, tokens: tokens, seed: UInt64(tokens))
            let calibration = try sample.calibration()
            for first in [0, 128, 6400] {
                let block = sample.block(first: first, prompt: first + tokens + tokens % 3 * 20)
                let bytes = try sample.encode(profile, block, calibration: calibration).bytes
                let decoded = try sample.decode(bytes, block, calibration: calibration)
                for side in KeyValueSide.allCases {
                    #expect(
                        sample.error(0, side, decoded) <= max(Self.limit(profile, side), 0.5 * Double(profile.isLossless ? 0 : 1)),
                        "\(tokens) from \(first)")
                }
            }
        }
    }

    @Test(arguments: someProfiles)
    func `no number traps, and what is coded comes back`(text: String) throws {
        let profile = try KeyValueProfile(text)
        for kind in KeyValueSample.Kind.allCases {
            let sample = try KeyValueSample(kind, layers: 1, heads: 2, dimension: 64, tokens: 100)
            let calibration = try sample.calibration()
            let (bytes, _) = try sample.encode(profile, sample.block(), calibration: calibration, on: .scalar)
            #expect(try sample.encode(profile, sample.block(), calibration: calibration).bytes == bytes)
            let decoded = try sample.decode(bytes, sample.block(), calibration: calibration)
            // A transform gathers what is equal in a few numbers, and spreads their error.
            guard kind == .zeros || kind == .equal, profile.transform == .none || profile.transform == .anchors else { continue }
            for side in KeyValueSide.allCases {
                for head in 0..<2 {
                    let (before, after) = (sample.floats(0, side, head), sample.floats(0, side, head, of: decoded))
                    #expect(zip(before, after).allSatisfy { abs($0 - $1) <= abs($0) * 0.13 + 1e-6 }, "\(kind) \(side)")
                }
            }
        }
    }

    @Test func `the error of a bounded profile is never above its bound`() throws {
        for (keys, values) in [(0.001, 0.5), (0.05, 0.02), (3, 0.0001)] {
            let profile = try KeyValueProfile("none/eb(k\(ProfileNumber(keys)),v\(ProfileNumber(values)))/rans")
            for kind in KeyValueSample.Kind.allCases {
                let sample = try KeyValueSample(kind, layers: 1, tokens: 128, seed: 3)
                let decoded = try sample.decode(try sample.encode(profile, sample.block()).bytes, sample.block())
                for (side, bound) in [(KeyValueSide.keys, keys), (.values, values)] {
                    for head in 0..<2 {
                        for (before, after) in zip(sample.floats(0, side, head), sample.floats(0, side, head, of: decoded)) {
                            #expect(
                                before == after || before.isNaN && after.isNaN
                                    || abs(Double(before) - Double(after)) <= Double(Float(bound)),
                                "\(kind): \(before) became \(after)")
                        }
                    }
                }
            }
        }
    }

    @Test(arguments: [(6, 4), (12, 255), (2, 64)])
    func `a range's numbers are off by half a step and half a unit of its centre at most`(levels: (Int, Int)) throws {
        let sample = try KeyValueSample(layers: 1, tokens: 128, seed: 9)
        let (keys, values) = levels
        let decoded = try sample.decode(
            try sample.encode(KeyValueProfile("none/mm(k\(keys),v\(values))/rans"), sample.block()).bytes, sample.block())
        func limit(_ numbers: [Float], _ levels: Int) -> Float {
            let span = (numbers.max()! - numbers.min()!) * 1.045
            return span / Float(levels - 1) / 2 + ScaleCode.unit(span: span, levels: levels) / 2 + numbers.map { abs($0) }.max()! / 256
        }
        for head in 0..<2 {
            let (before, after) = (sample.floats(0, .keys, head), sample.floats(0, .keys, head, of: decoded))
            for channel in 0..<64 {
                let range = channel * 128..<(channel + 1) * 128
                let most = limit(Array(before[range]), keys)
                #expect(range.allSatisfy { abs(before[$0] - after[$0]) <= most })
            }
        }
        let before = (0..<2).map { sample.floats(0, .values, $0) }
        let after = (0..<2).map { sample.floats(0, .values, $0, of: decoded) }
        for token in 0..<128 {
            let most = limit((0..<128).map { before[$0 / 64][$0 % 64 * 128 + token] }, values)
            #expect((0..<128).allSatisfy { abs(before[$0 / 64][$0 % 64 * 128 + token] - after[$0 / 64][$0 % 64 * 128 + token]) <= most })
        }
    }
}
