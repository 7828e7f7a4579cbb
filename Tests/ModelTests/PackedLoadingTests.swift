import Kernels
import Platform
import TestSupport
import Testing
import Weights

@testable import Model

private let fixtures = [
    "llama-mini", "llama-f32-mini", "llama-sharded-mini", "llama3-rope-mini", "mistral-f16-mini", "qwen2-mini", "qwen3-untied-mini",
].map { ModelBench.fixture($0) }
private let models = fixtures + [pilot.path, SharedFiles.path("models/stories260k")].compactMap { $0 }

/// The bundled model, which is shipped packed, unpacked.
private let pilot: ScratchFolder = {
    let folder = ScratchFolder()
    let source = SharedFiles.repository + "/models/pilot"
    guard let checkpoint = try? Checkpoint(directory: source), let output = try? OutputFolder(path: folder.path, source: source, force: true),
        (try? ModelConversion(checkpoint, to: output).unpack(team: ThreadTeam(threads: 1, instructionSet: .best))) != nil
    else { preconditionFailure("\(source) cannot be unpacked") }
    return folder
}()

/// Real models, packed: nothing of them may change.
@Suite struct PackedLoadingTests {
    private let folder = ScratchFolder()
    private let team = ThreadTeam(threads: 2, instructionSet: .best)

    private func pack(_ directory: String, _ choice: PackingPolicy.Choice, to name: String) throws -> ModelConversion.Outcome {
        let output = try OutputFolder(path: "\(folder.path)/\(name)", source: directory, force: false)
        return try ModelConversion(try Checkpoint(directory: directory), to: output).pack(PackingPolicy(choice), team: team)
    }

    private func unpack(_ name: String, to other: String) throws {
        let source = try Checkpoint(directory: "\(folder.path)/\(name)")
        let output = try OutputFolder(path: "\(folder.path)/\(other)", source: source.directory, force: false)
        _ = try ModelConversion(source, to: output).unpack(team: team)
    }

    @Test(arguments: models) func `what is packed in any way unpacks to the same files`(directory: String) throws {
        for (number, choice) in [PackingPolicy.Choice.serving, .storage, .codec("cascade"), .codec("enec"), .codec("planes3")].enumerated() {
            _ = try pack(directory, choice, to: "packed\(number)")
            try unpack("packed\(number)", to: "again\(number)")
            for name in Folder.names(in: directory) {
                #expect(try ScratchFolder.read("\(directory)/\(name)") == folder.read("again\(number)/\(name)"), "\(choice): \(name)")
            }
        }
    }

    @Test func `a trained model shrinks by a third, and for storage at least as much as for serving`() throws {
        let serving = try pack(pilot.path, .serving, to: "serving")
        let storage = try pack(pilot.path, .storage, to: "storage")
        #expect(Double(serving.bytesBefore) / Double(serving.bytesAfter) > 1.35)
        #expect(Double(storage.bytesBefore) / Double(storage.bytesAfter) > 1.45)
        #expect(storage.bytesAfter <= serving.bytesAfter)
    }

    @Test(arguments: models) func `every instruction set packs to the same bytes`(directory: String) throws {
        var files: [[UInt8]] = []
        for (number, set) in InstructionSet.allCases.filter(\.isSupported).enumerated() {
            let source = try Checkpoint(directory: directory)
            let output = try OutputFolder(path: "\(folder.path)/\(number)", source: directory, force: false)
            _ = try ModelConversion(source, to: output).pack(PackingPolicy(.storage), team: ThreadTeam(threads: 1 + number, instructionSet: set))
            files.append(try source.files.flatMap { try folder.read("\(number)/\($0.name)") })
        }
        #expect(files.allSatisfy { $0 == files[0] })
    }

    @Test(arguments: models, WeightForm.allCases) func `a packed model loads as the plain one`(directory: String, form: WeightForm) throws {
        _ = try pack(directory, .serving, to: "packed")
        let plain = try DecoderModel.loadWeights(directory: directory, weights: form, cache: nil, team: team)
        let packed = try DecoderModel.loadWeights(directory: folder.path + "/packed", weights: form, cache: nil, team: team)
        #expect(plain.weights.fingerprint == packed.weights.fingerprint && plain.origin.rounded == packed.origin.rounded)
        #expect(sample(plain.weights) == sample(packed.weights))
    }

    /// Of every matrix some rows, the first and the last panel among them; and norms.
    private func sample(_ weights: DecoderWeights) -> [[Float]] {
        let matrices = weights.layers.flatMap { [$0.inputs, $0.output, $0.gateAndUp, $0.down] } + [weights.head]
        let rows = matrices.flatMap { matrix in
            (Array(stride(from: 0, to: matrix.rows, by: 13)) + [matrix.rows - 1]).map { index in
                var row = [Float](repeating: 0, count: matrix.columns)
                var span = row.mutableSpan
                matrix.copyRow(index, to: &span)
                return row
            }
        }
        return rows + weights.layers.map(\.inputNorm) + [weights.finalNorm]
    }
}
