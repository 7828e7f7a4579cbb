import Glibc
import Kernels

/// The rotary positions of a block's keys, to be undone and restored. Belongs to one coder.
final class KeyPositions {
    private let frequencies: [Float]
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

    /// - Parameter frequencies: radians per position of each rotated pair; none: there are no positions.
    init(_ frequencies: [Float]) {
        self.frequencies = frequencies
        half = frequencies.count
        let angles = (0..<KeyValueBlock.tokens).flatMap { position in frequencies.map { Double($0) * Double(position) } }
        cosines = angles.map { Float(cos($0)) }
        sines = angles.map { Float(sin($0)) }
        undoing = sines.map { -$0 }
        rows = (0..<Int32(KeyValueBlock.tokens)).map { $0 }
        first = Array(repeating: 0, count: KeyValueBlock.tokens)
        (baseCosines, baseSines) = (Array(repeating: 1, count: half), Array(repeating: 0, count: half))
    }

    /// - Parameter frame: of keys, whose heads are not apart.
    func undo(_ frame: SideFrame, _ scratch: BlockScratch) {
        guard half > 0 else { return }
        setBase(frame.position, sign: -1)
        rotate(frame, scratch, sines: undoing)
    }

    func restore(_ frame: SideFrame, _ scratch: BlockScratch) {
        guard half > 0 else { return }
        setBase(frame.position, sign: 1)
        rotate(frame, scratch, sines: sines)
    }

    private func setBase(_ position: Int, sign: Double) {
        for pair in 0..<half {
            let angle = Double(frequencies[pair]) * Double(position)
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
