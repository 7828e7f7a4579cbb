import Foundation
import Kernels
import Platform
import TestSupport

@testable import KVCodec

let supported = InstructionSet.allCases.filter(\.isSupported)

/// KV of a made-up model in pages, and calibrations for it.
struct KeyValueSample {
    enum Kind: Sendable, CaseIterable {
        /// Normal, keys with a mean and a loud channel in each head, values with loud tokens.
        case plain
        /// Every bit pattern.
        case patterns
        case zeros
        /// One number everywhere.
        case equal
        /// Infinities, NaN, the greatest and the least numbers among normal ones.
        case extreme
    }

    let memory: KeyValueMemory
    let pages: [Int32]
    let tokens: Int
    var geometry: KeyValueGeometry { memory.geometry }

    init(
        _ kind: Kind = .plain, layers: Int = 3, heads: Int = 2, dimension: Int = 64, tokens: Int = 128, seed: UInt64 = 1
    ) throws {
        let geometry = KeyValueGeometry(layers: layers, heads: heads, dimension: dimension, type: .bf16)
        let count = (tokens + 63) / 64
        self.tokens = tokens
        memory = try KeyValueMemory(geometry: geometry, pages: count + 1)
        // Not in the order of their numbers.
        pages = (0..<Int32(count)).map { Int32(count) - $0 }
        for page in 0..<Int32(count + 1) { memory.zero(page: page) }
        guard tokens > 0 else { return }
        var random = SeededGenerator(seed: seed)
        for layer in 0..<layers {
            for side in KeyValueSide.allCases {
                for head in 0..<heads {
                    let elements = Self.elements(kind, side, tokens, dimension, &random)
                    memory.pack(
                        elements, at: 0, to: KeyValuePlace(layer: layer, side: side, head: head, tokens: 0..<tokens), pages: pages,
                        on: .scalar)
                }
            }
        }
    }

    /// Zeros, to decode into.
    func empty() throws -> KeyValueMemory {
        let other = try KeyValueMemory(geometry: geometry, pages: memory.pages)
        for page in 0..<Int32(memory.pages) { other.zero(page: page) }
        return other
    }

    /// [dimension][tokens]
    func elements(_ layer: Int, _ side: KeyValueSide, _ head: Int, of memory: KeyValueMemory? = nil) -> [UInt16] {
        var result = [UInt16](repeating: 0, count: tokens * geometry.dimension)
        (memory ?? self.memory).unpack(
            KeyValuePlace(layer: layer, side: side, head: head, tokens: 0..<tokens), pages: pages, into: &result, at: 0, on: .scalar)
        return result
    }

    func floats(_ layer: Int, _ side: KeyValueSide, _ head: Int, of memory: KeyValueMemory? = nil) -> [Float] {
        elements(layer, side, head, of: memory).map { Float(bitPattern: UInt32($0) << 16) }
    }

    private static func elements(_ kind: Kind, _ side: KeyValueSide, _ tokens: Int, _ dimension: Int, _ random: inout SeededGenerator)
        -> [UInt16]
    {
        let loud = random.next(below: dimension)
        let scales = (0..<tokens).map { _ in side == .values ? 0.5 + 0.2 * abs(random.normal()) : Float(1) }
        var result: [UInt16] = []
        for channel in 0..<dimension {
            let mean = side == .keys ? random.normal() : 0
            for token in 0..<tokens {
                let value = (mean + random.normal() * (channel == loud && side == .keys ? 6 : 1)) * scales[token]
                let word = random.next()
                switch kind {
                case .plain: result.append(UInt16(value.bfloatBelow.bitPattern >> 16))
                case .patterns: result.append(UInt16(truncatingIfNeeded: word))
                case .zeros: result.append(word % 2 == 0 ? 0 : 0x8000)
                case .equal: result.append(0x4123)
                case .extreme:
                    let odd: [UInt16] = [0x7F80, 0xFF80, 0x7FC0, 0x7F7F, 0xFF7F, 0x0001, 0x8001, 0xFFFF]
                    result.append(word % 40 == 0 ? odd[Int(word >> 32 & 7)] : UInt16(value.bfloatBelow.bitPattern >> 16))
                }
            }
        }
        return result
    }

    func calibration() throws -> KeyValueCalibration { try Self.calibration(geometry) }

    /// Everything that profiles may need.
    static func calibration(_ geometry: KeyValueGeometry) throws -> KeyValueCalibration {
        var random = SeededGenerator(seed: 11)
        let channels = geometry.heads * geometry.dimension
        // An orthonormal basis: a reflection at a random vector.
        let bases = (0..<geometry.layers * 2).map { _ in
            let mirror = (0..<channels).map { _ in random.normal() }
            let square = mirror.reduce(0) { $0 + $1 * $1 }
            let matrix = (0..<channels * channels).map { index -> Float in
                let (row, column) = (index / channels, index % channels)
                return (row == column ? 1 : 0) - 2 * mirror[row] * mirror[column] / square
            }
            return KeyValueCalibration.Basis(mean: (0..<channels).map { _ in random.normal() * 0.1 }, matrix: matrix)
        }
        var other = SeededGenerator(seed: 12)
        let joint = (0..<geometry.layers).map { _ in
            let mirror = (0..<2 * channels).map { _ in other.normal() }
            let square = mirror.reduce(0) { $0 + $1 * $1 }
            let matrix = (0..<4 * channels * channels).map { index -> Float in
                let (row, column) = (index / (2 * channels), index % (2 * channels))
                return (row == column ? 1 : 0) - 2 * mirror[row] * mirror[column] / square
            }
            return KeyValueCalibration.Basis(
                mean: (0..<2 * channels).map { _ in other.normal() * 0.1 }, orthonormal: matrix,
                units: (0..<2 * channels).map { $0 < channels ? 0.75 : 1.25 })
        }
        return try KeyValueCalibration(
            geometry: geometry, headScores: random.floats(geometry.layers * geometry.heads),
            bases: bases, joint: joint, stepFactors: random.floats(geometry.layers * 2 * geometry.heads, in: 0.7...1.4),
            rotaryFrequencies: (0..<geometry.dimension / 2).map { pow(10000, -2 * Float($0) / Float(geometry.dimension)) },
            digest: 0x1234_5678_9ABC_DEF0)
    }

    /// The block of all tokens.
    func block(_ layer: Int = 0, first: Int = 0, prompt: Int? = nil) -> KeyValueBlock {
        KeyValueBlock(layer: layer, firstToken: first, tokens: tokens, promptTokens: prompt ?? first + tokens)
    }
}

extension KeyValueSample {
    func encode(
        _ profile: KeyValueProfile, _ block: KeyValueBlock, calibration: KeyValueCalibration? = nil, on set: InstructionSet = .best
    ) throws -> (bytes: [UInt8], sizes: KeyValueBlockSizes) {
        let encoder = try KeyValueEncoder(profile, geometry: geometry, calibration: calibration, on: set)
        var bytes: [UInt8] = []
        let sizes = encoder.encode(block, pages: pages, of: memory, into: &bytes)
        return (bytes, sizes)
    }

    func decode(
        _ bytes: [UInt8], _ block: KeyValueBlock, calibration: KeyValueCalibration? = nil, on set: InstructionSet = .best
    ) throws -> KeyValueMemory {
        let decoder = try KeyValueDecoder(geometry: geometry, calibration: calibration, on: set)
        let memory = try empty()
        try decoder.decode(bytes.rawSpan, as: block, pages: pages, into: memory)
        return memory
    }

    /// Root mean square of the error in units of that of what was coded, for a layer's side.
    func error(_ layer: Int, _ side: KeyValueSide, _ decoded: KeyValueMemory) -> Double {
        var (error, signal) = (0.0, 0.0)
        for head in 0..<geometry.heads {
            for (before, after) in zip(floats(layer, side, head), floats(layer, side, head, of: decoded)) {
                error += Double((before - after) * (before - after))
                signal += Double(before * before)
            }
        }
        return (error / max(signal, 1e-30)).squareRoot()
    }
}
