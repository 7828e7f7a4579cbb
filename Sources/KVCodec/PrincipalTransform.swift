import Glibc
import Kernels

/// A calibrated orthonormal basis across the heads of a side. Keys have their rotary position undone before, so that their channels mean
/// the same at every position (KVTC, arXiv 2511.01815).
final class PrincipalTransform: BlockTransform {
    private let calibration: KeyValueCalibration
    private let half: Int
    /// Angles of the positions 0..<128 of a block: [position][half].
    private let cosines: [Float]
    private let sines: [Float]
    private let undoing: [Float]
    private let rows: [Int32]
    private let first: [Int32]
    /// Of the block's first token.
    private var baseCosines: [Float]
    private var baseSines: [Float]

    var isMixed: Bool { true }

    init(_ calibration: KeyValueCalibration) {
        self.calibration = calibration
        let frequencies = calibration.rotaryFrequencies
        half = frequencies.count
        let angles = (0..<KeyValueBlock.tokens).flatMap { position in frequencies.map { Double($0) * Double(position) } }
        cosines = angles.map { Float(cos($0)) }
        sines = angles.map { Float(sin($0)) }
        undoing = sines.map { -$0 }
        rows = (0..<Int32(KeyValueBlock.tokens)).map { $0 }
        first = Array(repeating: 0, count: KeyValueBlock.tokens)
        (baseCosines, baseSines) = (Array(repeating: 1, count: half), Array(repeating: 0, count: half))
    }

    func apply(to frame: inout SideFrame, _ scratch: BlockScratch) {
        var numbers = scratch.takeNumbers()
        defer { scratch.numbers = numbers }
        let basis = calibration.basis(layer: frame.layer, side: frame.side)
        if frame.side == .keys, half > 0 {
            setBase(frame.position, sign: -1)
            rotate(frame, scratch, sines: undoing)
        }
        for channel in 0..<basis.mean.count { numbers.biases[channel] = -basis.mean[channel] }
        scratch.set.affineColumns(&scratch.planes, frame.whole, factors: scratch.ones, terms: numbers.biases)
        scratch.set.product(scratch.planes, frame.whole, matrix: basis.matrix, into: &scratch.spare, frame.whole)
        swap(&scratch.planes, &scratch.spare)
    }

    func revert(_ frame: inout SideFrame, _ scratch: BlockScratch) {
        let basis = calibration.basis(layer: frame.layer, side: frame.side)
        scratch.set.product(scratch.planes, frame.whole, matrix: basis.transposed, into: &scratch.spare, frame.whole)
        swap(&scratch.planes, &scratch.spare)
        scratch.set.affineColumns(&scratch.planes, frame.whole, factors: scratch.ones, terms: basis.mean)
        if frame.side == .keys, half > 0 {
            setBase(frame.position, sign: 1)
            rotate(frame, scratch, sines: sines)
        }
    }

    private func setBase(_ position: Int, sign: Double) {
        for pair in 0..<half {
            let angle = Double(calibration.rotaryFrequencies[pair]) * Double(position)
            baseCosines[pair] = Float(cos(angle))
            baseSines[pair] = Float(sign * sin(angle))
        }
    }

    /// By the first token's position, then by the distance to it.
    private func rotate(_ frame: SideFrame, _ scratch: BlockScratch, sines: [Float]) {
        let (set, shape, dimension) = (scratch.set, frame.whole, frame.dimension)
        set.rotate(&scratch.planes, shape, dimension: dimension, half: half, cosines: baseCosines, sines: baseSines, positions: first)
        set.rotate(&scratch.planes, shape, dimension: dimension, half: half, cosines: cosines, sines: sines, positions: rows)
    }
}
