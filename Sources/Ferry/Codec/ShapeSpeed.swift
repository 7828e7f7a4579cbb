internal import Foundation
internal import Inference
internal import KVCodec
internal import Kernels
internal import Model
internal import Platform

/// What profiles cost in time on the KV of a named shape. No model is computed, so nothing is said about quality.
struct ShapeSpeed {
    struct Figure {
        var name: String
        var profile: String
        /// GB/s of raw bf16, on one thread.
        var encode: Double
        var decode: Double
    }

    let shape: String
    let geometry: KeyValueGeometry
    let tokens: Int
    let threadSpeed: Double
    let figures: [Figure]

    /// Passes, of which the median counts: so many, and so many seconds, at least.
    private static let passes = 9
    private static let seconds = 0.5

    init(_ synthetic: SyntheticModel, tokens: Int, profiles: [NamedProfile], on set: InstructionSet, progress: (Double) -> Void) throws {
        let model = synthetic.configuration.shape
        shape = synthetic.name
        geometry = KeyValueGeometry(layers: model.layers, heads: model.keyValueHeads, dimension: model.headDimension, type: .bf16)
        self.tokens = tokens
        let made = try MadeKeyValues(geometry, tokens: tokens, on: set)
        let clock = ThreadClock()
        var figures: [Figure] = []
        var copies: [Double] = []
        for (index, named) in profiles.enumerated() {
            let trip = try BlockTrip(named.profile, geometry: geometry, calibration: made.calibration, on: set)
            let prompt = made.prompt
            try trip.take(prompt)
            var speeds: (encode: [Double], decode: [Double]) = ([], [])
            var spent = 0.0
            while speeds.encode.count < Self.passes || spent < Self.seconds {
                let seconds = try trip.time(prompt, clock: clock)
                spent += seconds.encode + seconds.decode
                speeds.encode.append(Double(prompt.rawBytes) / seconds.encode / 1e9)
                speeds.decode.append(Double(prompt.rawBytes) / seconds.decode / 1e9)
                copies.append(Self.copy(prompt, clock))
            }
            figures.append(
                Figure(
                    name: named.name, profile: named.profile.description, encode: Self.median(speeds.encode),
                    decode: Self.median(speeds.decode)))
            progress(Double(index + 1) / Double(profiles.count))
        }
        self.figures = figures
        threadSpeed = Self.median(copies)
    }

    /// GB/s of copying the pages elsewhere.
    private static func copy(_ prompt: PromptKeyValues, _ clock: ThreadClock) -> Double {
        let start = clock.now
        for (from, to) in zip(prompt.from, prompt.to) {
            for layer in 0..<prompt.memory.geometry.layers {
                prompt.memory.withLayer(layer, ofPage: from) { prompt.memory.write($0, toLayer: layer, ofPage: to, at: 0) }
            }
        }
        return Double(prompt.from.count * prompt.memory.pageBytes) / clock.now.since(start).inSeconds / 1e9
    }

    private static func median(_ values: [Double]) -> Double { values.isEmpty ? 0 : values.sorted()[values.count / 2] }

    var table: String {
        let width = (figures.map(\.name.count).max() ?? 8) + 2
        func padded(_ text: String) -> String { text + String(repeating: " ", count: max(1, width - text.count)) }
        var lines = [
            "\(shape): \(geometry.layers) layers, \(geometry.heads) KV heads of \(geometry.dimension), \(tokens) tokens; "
                + String(format: "memcpy %.1f GB/s", threadSpeed),
            "GB/s of raw KV on one thread, on made-up values", "", padded("profile") + "  encode   decode",
        ]
        for figure in figures { lines.append(padded(figure.name) + String(format: "%8.2f%9.2f", figure.encode, figure.decode)) }
        return lines.joined(separator: "\n")
    }

    var json: String {
        JSON.array(
            figures.map {
                [
                    "profile": .string($0.name), "composition": .string($0.profile), "shape": .string(shape), "tokens": .integer(Int64(tokens)),
                    "encode_gbps": .number($0.encode), "decode_gbps": .number($0.decode), "memcpy_gbps": .number(threadSpeed),
                ]
            }
        ).text
    }
}
