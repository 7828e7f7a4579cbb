internal import Inference
internal import KVCodec
internal import Kernels
internal import Model
internal import Platform

/// KV of a shape that no model computed, to measure speed on: bell curves whose means and widths differ by channel, so that ranges,
/// symbols and tables are about as varied as a model's. The same for everybody.
struct MadeKeyValues {
    let memory: KeyValueMemory
    let tokens: Int
    let calibration: KeyValueCalibration

    init(_ geometry: KeyValueGeometry, tokens: Int, on set: InstructionSet) throws {
        self.tokens = tokens
        memory = try KeyValueMemory(geometry: geometry, pages: 2 * Page.count(forTokens: tokens))
        for page in 0..<memory.pages { memory.zero(page: Int32(page)) }
        let shape = PlaneShape(rows: tokens, columns: geometry.dimension, stride: geometry.dimension)
        var plane = [Float](repeating: 0, count: shape.rows * shape.columns)
        let pages = (0..<Page.count(forTokens: tokens)).map { Int32($0) }
        for layer in 0..<geometry.layers {
            for side in KeyValueSide.allCases {
                for head in 0..<geometry.heads {
                    Self.fill(&plane, shape, key: SIMD2(UInt32(layer), UInt32(side.rawValue) << 16 | UInt32(head)))
                    memory.store(
                        plane, shape, to: KeyValuePlace(layer: layer, side: side, head: head, tokens: 0..<tokens), pages: pages, on: set)
                }
            }
        }
        calibration = try Self.calibration(geometry)
    }

    var prompt: PromptKeyValues {
        let count = Int32(Page.count(forTokens: tokens))
        return PromptKeyValues(memory: memory, from: Array(0..<count), to: Array(count..<2 * count), tokens: tokens)
    }

    private static func fill(_ plane: inout [Float], _ shape: PlaneShape, key: SIMD2<UInt32>) {
        for column in 0..<shape.columns {
            let channel = bells(CounterGenerator.block(counter: SIMD4(UInt32(column), 1, 0, 0), key: key))
            // Widths within about an octave of 1, means about as wide.
            let width = 1 + 0.25 * max(-3, min(3, channel.0))
            for row in stride(from: 0, to: shape.rows, by: 2) {
                let pair = bells(CounterGenerator.block(counter: SIMD4(UInt32(column), 0, UInt32(row), 0), key: key))
                plane[row * shape.columns + column] = channel.1 + width * pair.0
                if row + 1 < shape.rows { plane[(row + 1) * shape.columns + column] = channel.1 + width * pair.1 }
            }
        }
    }

    /// Two sums of eight uniform bytes each, with deviation 1.
    private static func bells(_ words: SIMD4<UInt32>) -> (Float, Float) {
        func bell(_ first: UInt32, _ second: UInt32) -> Float {
            var sum: UInt32 = 0
            for shift in stride(from: UInt32(0), to: 32, by: 8) { sum += (first >> shift & 255) + (second >> shift & 255) }
            return (Float(sum) - 1020) / 209
        }
        return (bell(words.x, words.y), bell(words.z, words.w))
    }

    /// Of heads that differ, and of bases that change nothing but take as long as any.
    private static func calibration(_ geometry: KeyValueGeometry) throws -> KeyValueCalibration {
        let heads = geometry.layers * geometry.heads
        let channels = geometry.heads * geometry.dimension
        var bases: [KeyValueCalibration.Basis] = []
        if channels <= MadeKeyValues.mostChannels {
            var matrix = [Float](repeating: 0, count: channels * channels)
            for channel in 0..<channels { matrix[channel * channels + channel] = 1 }
            let basis = KeyValueCalibration.Basis(mean: Array(repeating: 0, count: channels), matrix: matrix)
            bases = Array(repeating: basis, count: 2 * geometry.layers)
        }
        var joint: [KeyValueCalibration.Basis] = []
        if 2 * channels <= MadeKeyValues.mostChannels {
            var matrix = [Float](repeating: 0, count: 4 * channels * channels)
            for channel in 0..<2 * channels { matrix[channel * 2 * channels + channel] = 1 }
            joint = Array(
                repeating: KeyValueCalibration.Basis(mean: Array(repeating: 0, count: 2 * channels), matrix: matrix), count: geometry.layers)
        }
        return try KeyValueCalibration(
            geometry: geometry, headScores: (0..<heads).map { Float($0 * 7 % heads) }, bases: bases, joint: joint,
            stepFactors: (0..<2 * heads).map { 0.75 + Float($0 % 5) / 8 },
            rotaryFrequencies: (0..<geometry.dimension / 2).map { 1 / Float($0 + 1) }, digest: 0)
    }

    /// Wider models get no bases from `--calibrate` either.
    private static let mostChannels = Calibrator.mostChannels
}
