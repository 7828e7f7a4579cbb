package import Platform

/// Cosines and sines of rotary positions: one row of `half` angles for each position. Filled once, then read.
@safe
package struct RotaryTable: ~Copyable, Sendable {
    package let positions: Int
    /// Pairs that are turned in each head.
    package let half: Int
    private let slab: Slab

    /// - Parameter cosineAndSine: of the angle of (position, pair), times the scale that some models put on both.
    /// - Throws: `FileError` when the system refuses the memory.
    package init(
        positions: Int, half: Int, cosineAndSine: (_ position: Int, _ pair: Int) -> (cosine: Float, sine: Float)
    ) throws(FileError) {
        precondition(positions > 0 && half > 0, "a table of \(positions) positions and \(half) pairs")
        self.positions = positions
        self.half = half
        self.slab = try Slab(bytes: positions * half * 8, purpose: "rotary angles of \(positions) positions")
        for position in 0..<positions {
            for pair in 0..<half {
                let value = cosineAndSine(position, pair)
                unsafe cosine[position * half + pair] = value.cosine
                unsafe sine[position * half + pair] = value.sine
            }
        }
    }

    var cosine: UnsafeMutablePointer<Float> { unsafe slab.base.assumingMemoryBound(to: Float.self) }
    var sine: UnsafeMutablePointer<Float> { unsafe cosine + positions * half }
}
