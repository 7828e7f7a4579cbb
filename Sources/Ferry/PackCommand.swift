internal import ArgumentParser
internal import Foundation
internal import Kernels
internal import Model
internal import Platform
internal import Weights

struct PackCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pack", abstract: "Write a model again with its tensors losslessly compressed.",
        discussion: """
            The new directory holds safetensors files, in which coded tensors are bytes with a description, and copies of all other files. Every
            command takes it as a model; ferry unpack restores it bit by bit. Nothing in the source is changed.

            Examples:
              ferry pack ~/models/SmolLM2-135M --output ~/models/SmolLM2-135M-packed
              ferry pack ~/models/SmolLM2-135M --output /backup/SmolLM2-135M --for storage
              ferry pack ~/models/SmolLM2-135M --output /tmp/measured --codec enec --json

            --for serving: matrices in the form that is computed on as it lies in the file (planes3), all else as small as cascade makes it.
            --for storage: whatever is smallest. --json prints {"bytes","coded_bytes","ratio","seconds"}.
            """)

    enum Purpose: String, CaseIterable, ExpressibleByArgument { case serving, storage }

    @Argument(help: "Hugging Face model directory.") var directory: String
    @Option(name: .long, help: ArgumentHelp("The directory to make.", valueName: "dir")) var output: String
    @Option(name: .customLong("for"), help: ArgumentHelp("What it is made for: serving (the default) or storage.", valueName: "purpose"))
    var purpose: Purpose?
    @Option(name: .long, help: "One codec wherever it shrinks a tensor, for measurements: \(CodecShelf.standard.names).") var codec: String?
    @Option(name: .long, help: "Compute threads; 0: one per core.") var threads = 0
    @Flag(name: .long, help: "Write to a directory that holds other files.") var force = false
    @Flag(name: .long, help: "One JSON object on standard output.") var json = false

    func validate() throws {
        try ConversionReport.check(threads: threads)
        guard purpose == nil || codec == nil else { throw ValidationError("--for and --codec exclude each other") }
        if let codec, codec != CodecShelf.raw, CodecShelf.standard[codec] == nil {
            throw ValidationError("--codec is \"\(codec)\", one of \(CodecShelf.standard.names) was expected")
        }
    }

    func run() throws {
        let choice: PackingPolicy.Choice = codec.map { .codec($0) } ?? (purpose == .storage ? .storage : .serving)
        let source = try Checkpoint(directory: directory)
        let folder = try OutputFolder(path: output, source: directory, force: force)
        let team = try LocalWorker.threadTeam(threads: threads)
        let policy = PackingPolicy(choice, matrices: matrices)
        try ConversionReport.show("packing", json: json) { progress in
            try ModelConversion(source, to: folder).pack(policy, team: team, progress: progress)
        }
    }

    /// The tensors that steps read as matrices, for products and for look-up. Nil for a model that this program cannot serve: it can be packed
    /// all the same.
    private var matrices: Set<String>? {
        guard let configuration = try? ModelConfiguration(directory: directory) else { return nil }
        let operands = DecoderPlan(configuration).weights.operands.filter { $0.form != .vector }
        return Set(operands.flatMap { $0.sources.map(\.tensor) })
    }
}
