internal import Foundation
internal import KVCodec
internal import Kernels
internal import Model
internal import Platform
internal import Weights

/// A model's calibration on disk: a safetensors file beside its weights.
///
/// `__metadata__`: `format` "ferry-kv-calibration", `version` "1", `fingerprint` (of the model: equal numbers have equal ones), `layers`,
/// `heads`, `dimension` (of KV), `tokens` (that were looked at), `text` (digest of the calibration text). Tensors, with C = heads · dimension:
///
/// | name | type | shape | |
/// |---|---|---|---|
/// | `head_scores` | F32 | [layers, heads] | the more, the farther a head looks back |
/// | `step_factors` | F32 | [layers, 2, heads] | keys, then values; what steps are multiplied by |
/// | `sensitivities` | F32 | [layers, 2] | nats for noise of the variance that the side has |
/// | `rotary_frequencies` | F32 | [dimension / 2] | radians per position |
/// | `means` | F32 | [layers, 2, C] | of keys before their positions turn them, and of values; absent where C is too much, as the next two |
/// | `bases` | F16 | [layers, 2, C, C] | component by channel, orthonormal, the greatest variance first |
/// | `variances` | F32 | [layers, 2, C] | along the components |
/// | `units` | F32 | [layers, 2] | of keys and values; absent where 2 C is too much, as the next one |
/// | `joint_bases` | F16 | [layers, 2 C, 2 C] | of keys, then values, in these units: component by channel, orthonormal, the greatest variance first |
enum CalibrationFile {
    static let name = "kv-calibration.safetensors"
    static let format = "ferry-kv-calibration"
    static let version = "1"
    /// Bytes of a file. Beyond: refused.
    private static let mostBytes = 1 << 30

    // MARK: Writing

    static func write(_ findings: CalibrationFindings, to path: String, geometry: KeyValueGeometry, fingerprint: Digest, text: Digest)
        throws
    {
        let metadata = [
            "format": format, "version": version, "fingerprint": fingerprint.description, "layers": "\(geometry.layers)",
            "heads": "\(geometry.heads)", "dimension": "\(geometry.dimension)", "tokens": "\(findings.tokens)", "text": text.description
        ]
        let (layers, heads, channels) = (geometry.layers, geometry.heads, geometry.heads * geometry.dimension)
        var tensors: [(name: String, type: StoredType, shape: [Int], values: [Float])] = [
            ("head_scores", .f32, [layers, heads], findings.headScores), ("step_factors", .f32, [layers, 2, heads], findings.stepFactors),
            ("sensitivities", .f32, [layers, 2], findings.sensitivities),
            ("rotary_frequencies", .f32, [findings.rotaryFrequencies.count], findings.rotaryFrequencies)
        ]
        if !findings.vectors.isEmpty {
            tensors += [
                ("means", .f32, [layers, 2, channels], findings.means.flatMap(\.self)),
                ("variances", .f32, [layers, 2, channels], findings.variances.flatMap(\.self)),
                ("bases", .f16, [layers, 2, channels, channels], findings.vectors.flatMap(\.self))
            ]
        }
        if !findings.jointVectors.isEmpty {
            tensors += [
                ("units", .f32, [layers, 2], findings.units),
                ("joint_bases", .f16, [layers, 2 * channels, 2 * channels], findings.jointVectors.flatMap(\.self)),
            ]
        }
        var draft = try SafetensorsDraft(path: path, tensors: tensors.map { ($0.name, $0.type, $0.shape) }, metadata: metadata)
        for tensor in tensors {
            draft.change(tensor.name) { bytes in
                InstructionSet.best.convert(tensor.values.span, to: tensor.type == .f16 ? .f16 : .f32, into: &bytes)
            }
        }
        try draft.commit()
    }

    // MARK: Reading

    /// The calibration in the file at `path`, for `geometry`.
    ///
    /// - Parameter fingerprint: of the model that it must be of.
    /// - Throws: `CheckpointError` that names the file, and the tensor or key at fault.
    static func read(_ path: String, geometry: KeyValueGeometry, fingerprint: Digest) throws -> KeyValueCalibration {
        let mapping = try map(path)
        guard mapping.count <= mostBytes else {
            throw CheckpointError(file: path, reason: "\(mapping.count) bytes; at most \(mostBytes) were expected of a calibration")
        }
        let header = try SafetensorsHeader(parsing: mapping.bytes, fileBytes: mapping.count, file: path)
        let expected = [
            ("format", format), ("version", version), ("fingerprint", fingerprint.description), ("layers", "\(geometry.layers)"),
            ("heads", "\(geometry.heads)"), ("dimension", "\(geometry.dimension)")
        ]
        for (key, value) in expected {
            guard header.metadata[key] == value else {
                let found = header.metadata[key].map { "\"\($0.prefix(64))\"" } ?? "missing"
                throw CheckpointError(file: path, reason: "__metadata__.\(key) is \(found); \"\(value)\" was expected")
            }
        }
        let (layers, heads, channels) = (geometry.layers, geometry.heads, geometry.heads * geometry.dimension)
        func tensor(_ name: String, _ type: StoredType, _ shape: [Int]) throws -> [Float] {
            guard let tensor = header.tensors.first(where: { $0.name == name }) else { return [] }
            guard tensor.type == type, tensor.shape == shape else {
                throw CheckpointError(
                    file: path, tensor: name, reason: "it is \(tensor.type) of \(tensor.shape); \(type) of \(shape) was expected")
            }
            let values = floats(of: tensor, in: mapping)
            guard values.allSatisfy(\.isFinite) else {
                throw CheckpointError(file: path, tensor: name, reason: "it has a number that is not finite")
            }
            return values
        }
        let means = try tensor("means", .f32, [layers, 2, channels])
        let bases = try tensor("bases", .f16, [layers, 2, channels, channels])
        guard means.isEmpty == bases.isEmpty else {
            throw CheckpointError(file: path, tensor: means.isEmpty ? "means" : "bases", reason: "it is missing, and the other is there")
        }
        let units = try tensor("units", .f32, [layers, 2])
        let joint = try tensor("joint_bases", .f16, [layers, 2 * channels, 2 * channels])
        guard units.isEmpty == joint.isEmpty, joint.isEmpty || !means.isEmpty else {
            throw CheckpointError(file: path, tensor: units.isEmpty ? "units" : "joint_bases", reason: "it or means are missing")
        }
        guard units.allSatisfy({ $0 > 0 }) else {
            throw CheckpointError(file: path, tensor: "units", reason: "one is not above 0")
        }
        let frequencies = try tensor("rotary_frequencies", .f32, [geometry.dimension / 2])
        do {
            return try KeyValueCalibration(
                geometry: geometry, headScores: tensor("head_scores", .f32, [layers, heads]),
                bases: means.isEmpty
                    ? []
                    : (0..<layers * 2).map {
                        KeyValueCalibration.Basis(
                            mean: Array(means[$0 * channels..<($0 + 1) * channels]), matrix: try orthonormal($0, "bases", bases, channels, path))
                    },
                joint: joint.isEmpty
                    ? []
                    : (0..<layers).map { layer in
                        KeyValueCalibration.Basis(
                            mean: Array(means[layer * 2 * channels..<(layer + 1) * 2 * channels]),
                            orthonormal: try orthonormal(layer, "joint_bases", joint, 2 * channels, path),
                            units: (0..<2 * channels).map { units[layer * 2 + $0 / channels] })
                    },
                stepFactors: tensor("step_factors", .f32, [layers, 2, heads]), rotaryFrequencies: frequencies,
                digest: Digest(of: mapping.bytes).low)
        } catch let error as KeyValueCalibrationError {
            throw CheckpointError(file: path, reason: error.description)
        }
    }

    private static func map(_ path: String) throws(CheckpointError) -> MappedFile {
        do throws(FileError) { return try MappedFile(path: path) } catch { throw CheckpointError(error) }
    }

    private static func floats(of tensor: SafetensorsHeader.Tensor, in file: MappedFile) -> [Float] {
        let type: SourceType = tensor.type == .f16 ? .f16 : .f32
        var values = [Float](repeating: 0, count: tensor.range.count / type.byteCount)
        var span = values.mutableSpan
        InstructionSet.best.convert(file.bytes.extracting(tensor.range), as: type, to: &span)
        return values
    }

    /// [channel][component] of what is stored as [component][channel].
    private static func orthonormal(
        _ index: Int, _ name: String, _ bases: [Float], _ channels: Int, _ path: String
    ) throws -> [Float] {
        let stored = bases[(index * channels * channels)..<((index + 1) * channels * channels)]
        // Components have length 1, within what F16 rounds.
        for component in 0..<channels {
            let start = stored.startIndex + component * channels
            let square = stored[start..<(start + channels)].reduce(Float(0)) { $0 + $1 * $1 }
            guard abs(square - 1) < 0.01 else {
                throw CheckpointError(
                    file: path, tensor: name,
                    reason: "component \(component) of basis \(index) has the length \(square.squareRoot()); 1 was expected")
            }
        }
        var matrix = [Float](repeating: 0, count: channels * channels)
        for component in 0..<channels {
            for channel in 0..<channels {
                matrix[channel * channels + component] = stored[stored.startIndex + component * channels + channel]
            }
        }
        return matrix
    }
}
