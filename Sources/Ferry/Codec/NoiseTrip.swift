internal import Inference
internal import Kernels
internal import Platform

/// Copies pages and adds white noise to one side of one layer: how much a model minds.
final class NoiseTrip: KeyValueTrip {
    private let layer: Int
    private let side: KeyValueSide
    /// Of the noise.
    private let deviation: Double
    private let set: InstructionSet
    private let copy = CopyTrip()
    private var planes: [Float] = []
    private var state: UInt64

    /// The same noise for the same layer and side each time.
    init(layer: Int, side: KeyValueSide, deviation: Double, on set: InstructionSet) {
        (self.layer, self.side, self.deviation, self.set) = (layer, side, deviation, set)
        state = UInt64(layer * 2 + Int(side.rawValue)) &+ 0x0F0F_0F0F
    }

    func take(_ prompt: PromptKeyValues) {
        copy.take(prompt)
        let geometry = prompt.memory.geometry
        let shape = PlaneShape(rows: prompt.tokens, columns: geometry.dimension, stride: geometry.dimension)
        if planes.count < shape.end { planes = Array(repeating: 0, count: shape.end) }
        for head in 0..<geometry.heads {
            let place = KeyValuePlace(layer: layer, side: side, head: head, tokens: 0..<prompt.tokens)
            prompt.memory.load(place, pages: prompt.to, into: &planes, shape, on: set)
            for index in 0..<shape.end { planes[index] += Float(deviation * normal()) }
            prompt.memory.store(planes, shape, to: place, pages: prompt.to, on: set)
        }
    }

    /// Roughly normal, mean 0, deviation 1: the sum of four uniform numbers.
    private func normal() -> Double {
        let word = Bootstrap.next(&state)
        let sum = (0..<4).reduce(0.0) { $0 + Double(word >> UInt64(16 * $1) & 0xFFFF) / 65536 }
        return (sum - 2) * 1.7320508
    }
}
