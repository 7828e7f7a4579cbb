import Kernels

/// A calibrated orthonormal basis across the heads of a side. Keys have their rotary position undone before, so that their channels mean
/// the same at every position (KVTC, arXiv 2511.01815).
final class PrincipalTransform: BlockTransform {
    private let calibration: KeyValueCalibration
    private let positions: KeyPositions

    var layout: SideFrame.Layout { .mixed }

    init(_ calibration: KeyValueCalibration) {
        self.calibration = calibration
        positions = KeyPositions(calibration.rotaryFrequencies)
    }

    func apply(to frame: inout SideFrame, _ scratch: BlockScratch) {
        let basis = calibration.basis(layer: frame.layer, side: frame.side)
        if frame.side == .keys { positions.undo(frame, scratch) }
        scratch.centre(frame.whole, basis.mean)
        scratch.set.product(scratch.planes, frame.whole, matrix: basis.matrix, into: &scratch.spare, frame.whole)
        swap(&scratch.planes, &scratch.spare)
    }

    func revert(_ frame: inout SideFrame, _ scratch: BlockScratch) {
        let basis = calibration.basis(layer: frame.layer, side: frame.side)
        scratch.set.product(scratch.planes, frame.whole, matrix: basis.inverse, into: &scratch.spare, frame.whole)
        swap(&scratch.planes, &scratch.spare)
        scratch.set.affineColumns(&scratch.planes, frame.whole, factors: scratch.ones, terms: basis.mean)
        if frame.side == .keys { positions.restore(frame, scratch) }
    }
}

/// A calibrated basis across the keys and the values of a token's heads: a layer computes both from the same hidden state, so that each tells
/// of the other. Each side is in units in which an error of 1 does about as much damage, which the matrices hold.
final class JointTransform: BlockTransform {
    private let calibration: KeyValueCalibration
    private let positions: KeyPositions

    var layout: SideFrame.Layout { .joint }

    init(_ calibration: KeyValueCalibration) {
        self.calibration = calibration
        positions = KeyPositions(calibration.rotaryFrequencies)
    }

    func apply(to frame: inout SideFrame, _ scratch: BlockScratch) {
        let basis = calibration.joint[frame.layer]
        positions.undo(frame.beside(.keys), scratch)
        scratch.centre(frame.both, basis.mean)
        scratch.set.product(scratch.planes, frame.both, matrix: basis.matrix, into: &scratch.spare, frame.both)
        swap(&scratch.planes, &scratch.spare)
    }

    func revert(_ frame: inout SideFrame, _ scratch: BlockScratch) {
        let basis = calibration.joint[frame.layer]
        scratch.set.product(scratch.planes, frame.both, matrix: basis.inverse, into: &scratch.spare, frame.both)
        swap(&scratch.planes, &scratch.spare)
        scratch.set.affineColumns(&scratch.planes, frame.both, factors: scratch.ones, terms: basis.mean)
        positions.restore(frame.beside(.keys), scratch)
    }
}

extension BlockScratch {
    /// Takes the mean of each column from it.
    func centre(_ shape: PlaneShape, _ mean: [Float]) {
        var numbers = takeNumbers()
        defer { self.numbers = numbers }
        for channel in mean.indices { numbers.biases[channel] = -mean[channel] }
        set.affineColumns(&planes, shape, factors: ones, terms: numbers.biases)
    }
}
