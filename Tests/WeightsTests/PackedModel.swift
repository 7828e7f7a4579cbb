import Kernels
import Platform
import TestSupport

@testable import Weights

/// A small model's directory, plain in `plain/`, for tests that pack it.
struct PackedModel {
    let folder = ScratchFolder()
    let team: ThreadTeam

    /// Deviation of the weights: about that of a trained model.
    private static let deviation: Float = 0.02

    init(threads: Int = 2) throws {
        team = ThreadTeam(threads: threads, instructionSet: .scalar)
        try Folder.create(folder.path + "/plain")
    }

    /// Tensors of all kinds: coded ones, a norm, odd lengths, integers, nothing at all.
    static func tensors(seed: UInt64 = 1) -> SafetensorsText {
        var random = SeededGenerator(seed: seed)
        func floats(_ count: Int) -> [Float] { (0..<count).map { _ in random.normal() * deviation } }
        var text = SafetensorsText()
        text.append("odd", type: "I8", shape: [3], bytes: [1, 2, 3])
        text.append("half", type: "F16", shape: [33, 67], bytes: floats(33 * 67).flatMap { SafetensorsText.bytes(Float16($0 + 0.75).bitPattern) })
        text.append("norm", shape: [65], bf16: floats(65))
        text.append("linear", shape: [96, 80], bf16: floats(96 * 80))
        text.append("ids", type: "I64", shape: [5], bytes: [UInt8](repeating: 9, count: 40))
        text.append("empty", type: "F32", shape: [0, 7], bytes: [])
        text.append("wide", shape: [5, 7, 41], f32: floats(5 * 7 * 41))
        text.append("noise", shape: [64, 64], f32: (0..<4096).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: random.next())) })
        text.append("aligned", shape: [64], bf16: floats(64))
        return text
    }

    /// Writes the model as one file.
    func writeSingle(seed: UInt64 = 1) {
        folder.write("plain/model.safetensors", Self.tensors(seed: seed).bytes)
        folder.write("plain/config.json", "{}\n")
    }

    func pack(
        _ choice: PackingPolicy.Choice = .serving, from: String = "plain", to: String = "packed", matrices: Set<String>? = nil,
        force: Bool = false
    ) throws -> ModelConversion.Outcome {
        let source = try Checkpoint(directory: folder.path + "/" + from, codecs: .toys)
        let output = try OutputFolder(path: folder.path + "/" + to, source: source.directory, force: force)
        return try ModelConversion(source, to: output).pack(PackingPolicy(choice, matrices: matrices), codecs: .toys, team: team)
    }

    func unpack(from: String = "packed", to: String = "again") throws -> ModelConversion.Outcome {
        let source = try Checkpoint(directory: folder.path + "/" + from, codecs: .toys)
        let output = try OutputFolder(path: folder.path + "/" + to, source: source.directory, force: false)
        return try ModelConversion(source, to: output).unpack(team: team)
    }

    func checkpoint(_ name: String = "packed") throws -> Checkpoint { try Checkpoint(directory: folder.path + "/" + name, codecs: .toys) }

    /// Which codec each tensor of a packed model has.
    func codecs(_ name: String = "packed") throws -> [String: String] {
        var codecs: [String: String] = [:]
        for file in try checkpoint(name).files {
            for tensor in file.tensors {
                codecs[tensor.name] = if case .packed(let packed) = tensor.form { packed.codec.family } else { "raw" }
            }
        }
        return codecs
    }

    /// What of the tensors of two of its files differs: their order, their types and shapes, their bytes.
    func differences(_ a: String, _ b: String) throws -> [String] {
        let files = try [a, b].map { try Checkpoint(file: folder.path + "/" + $0) }.map { $0.files[0] }
        guard files[0].tensors.map(\.name) == files[1].tensors.map(\.name) else { return ["the order"] }
        guard files[0].header.metadata == files[1].header.metadata else { return ["the metadata"] }
        func bytes(_ file: Int, _ tensor: StoredTensor) -> [UInt8] {
            let mapping = files[file].mapping
            return ToyCodec.bytes(mapping.bytes.extracting(tensor.range))
        }
        return zip(files[0].tensors, files[1].tensors).compactMap { former, latter in
            let isSame = former.type == latter.type && former.shape == latter.shape && bytes(0, former) == bytes(1, latter)
            return isSame ? nil : former.name
        }
    }
}
