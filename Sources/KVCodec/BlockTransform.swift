import Kernels

/// Turns the planes of a side into numbers that are coded with fewer bits.
protocol BlockTransform {
    /// How many rows are left of `tokens`.
    func rows(of tokens: Int) -> Int

    /// How planes stand. Where they are joint, `apply` and `revert` are called once, for the last side, and change both.
    var layout: SideFrame.Layout { get }

    /// Changes the planes; adds what the way back needs to the statistics.
    func apply(to frame: inout SideFrame, _ scratch: BlockScratch)

    /// Reads what `apply` has added.
    func read(_ frame: inout SideFrame, _ scratch: BlockScratch, from statistics: inout ByteCursor) throws(KeyValueBlockError)

    /// The way back, after `read`.
    func revert(_ frame: inout SideFrame, _ scratch: BlockScratch)
}

extension BlockTransform {
    func rows(of tokens: Int) -> Int { tokens }
    var layout: SideFrame.Layout { .apart }
    func read(_ frame: inout SideFrame, _ scratch: BlockScratch, from statistics: inout ByteCursor) throws(KeyValueBlockError) {}
}

struct NoTransform: BlockTransform {
    func apply(to frame: inout SideFrame, _ scratch: BlockScratch) {}
    func revert(_ frame: inout SideFrame, _ scratch: BlockScratch) {}
}

/// The random signs of all heads: a constant of the format, so that no block carries a seed.
struct HadamardSigns {
    /// [layer][side][head]: a bit for each channel.
    private let signs: [[UInt32]]
    private let heads: Int

    init(_ geometry: KeyValueGeometry) {
        heads = geometry.heads
        var signs: [[UInt32]] = []
        for layer in 0..<geometry.layers {
            for side in KeyValueSide.allCases {
                for head in 0..<geometry.heads {
                    // SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), the lower half of each word first.
                    var state = UInt64(layer) << 32 | UInt64(side.rawValue) << 24 | UInt64(head)
                    signs.append(
                        (0..<(geometry.dimension + 63) / 64).flatMap { _ in
                            state &+= 0x9E37_79B9_7F4A_7C15
                            var word = state
                            word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
                            word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
                            word ^= word >> 31
                            return [UInt32(truncatingIfNeeded: word), UInt32(truncatingIfNeeded: word >> 32)]
                        })
                }
            }
        }
        self.signs = signs
    }

    func of(layer: Int, side: KeyValueSide, head: Int) -> [UInt32] { signs[(layer * 2 + Int(side.rawValue)) * heads + head] }
}

struct HadamardTransform: BlockTransform {
    let signs: HadamardSigns

    func apply(to frame: inout SideFrame, _ scratch: BlockScratch) { turn(frame, scratch, isInverse: false) }
    func revert(_ frame: inout SideFrame, _ scratch: BlockScratch) { turn(frame, scratch, isInverse: true) }

    func turn(_ frame: SideFrame, _ scratch: BlockScratch, isInverse: Bool) {
        for head in 0..<frame.heads {
            scratch.set.hadamard(
                &scratch.planes, frame.shape(head), signs: signs.of(layer: frame.layer, side: frame.side, head: head), isInverse: isInverse)
        }
    }
}

/// Hadamard behind a power of two for each channel: quiet channels are raised by half the octaves that they are below the loudest of their
/// head, so that the transform spreads less of the loud ones' error over them.
struct ScaledHadamard: BlockTransform {
    private let transform: HadamardTransform
    private static let most = 15

    init(signs: HadamardSigns) { transform = HadamardTransform(signs: signs) }

    func apply(to frame: inout SideFrame, _ scratch: BlockScratch) {
        var numbers = scratch.takeNumbers()
        defer { scratch.numbers = numbers }
        let dimension = frame.dimension
        for head in 0..<frame.heads {
            let shape = frame.shape(head)
            scratch.set.range(scratch.planes, shape, of: .columns, least: &numbers.least, greatest: &numbers.greatest, at: 0)
            let loudest = (0..<dimension).reduce(Int.min) { max($0, Self.octave($1, numbers)) }
            for channel in 0..<dimension {
                let octave = Self.octave(channel, numbers)
                let code = octave == .min ? 0 : min((loudest - octave + 1) / 2, Self.most)
                if channel % 2 == 0 {
                    scratch.statistics.append(UInt8(code))
                } else {
                    scratch.statistics[scratch.statistics.count - 1] |= UInt8(code) << 4
                }
                numbers.factors[channel] = Float(sign: .plus, exponent: code, significand: 1)
            }
            scratch.set.affineColumns(&scratch.planes, shape, factors: numbers.factors, terms: scratch.zeros)
        }
        transform.apply(to: &frame, scratch)
    }

    /// Of a channel's greatest magnitude.
    private static func octave(_ channel: Int, _ numbers: Parameters) -> Int {
        let peak = max(-numbers.least[channel].bounded, numbers.greatest[channel].bounded)
        return peak > 0 ? Int(peak.exponent) : .min
    }

    func read(_ frame: inout SideFrame, _ scratch: BlockScratch, from statistics: inout ByteCursor) throws(KeyValueBlockError) {
        let place = try statistics.take(frame.heads * frame.dimension / 2)
        for index in 0..<frame.heads * frame.dimension / 2 { scratch.channelOctaves[index] = statistics.bytes[place + index] }
    }

    func revert(_ frame: inout SideFrame, _ scratch: BlockScratch) {
        var numbers = scratch.takeNumbers()
        defer { scratch.numbers = numbers }
        transform.revert(&frame, scratch)
        for head in 0..<frame.heads {
            for channel in 0..<frame.dimension {
                let pair = scratch.channelOctaves[(head * frame.dimension + channel) / 2]
                numbers.factors[channel] = Float(sign: .plus, exponent: -Int(pair >> (channel % 2 == 0 ? 0 : 4) & 15), significand: 1)
            }
            scratch.set.affineColumns(&scratch.planes, frame.shape(head), factors: numbers.factors, terms: scratch.zeros)
        }
    }
}
