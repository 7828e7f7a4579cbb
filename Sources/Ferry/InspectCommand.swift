internal import ArgumentParser
internal import Foundation
internal import Kernels
internal import Platform
internal import Weights

struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Show a model's tensors, how they are stored, and how small they could be.",
        discussion: """
            "bound" is the ratio that coding each exponent by itself cannot exceed: order-0 entropy of the exponents, all else as it is.
            Packed tensors are decoded and checked on the way.

            Examples:
              ferry inspect ~/models/SmolLM2-135M-packed
              ferry inspect ~/models/SmolLM2-135M/model.safetensors
              ferry inspect ~/models/SmolLM2-135M --json | jq .total

            --json prints {"tensors":[{"name","dtype","shape","codec","bits_per_weight","ratio","entropy_ratio"}],
            "total":{"bytes","coded_bytes","ratio","entropy_ratio"}}.
            """)

    @Argument(help: "A model's directory, or one .safetensors file; packed or plain.") var path: String
    @Option(name: .long, help: "Compute threads; 0: one per core.") var threads = 0
    @Flag(name: .long, help: "One JSON object on standard output.") var json = false

    func validate() throws { try ConversionReport.check(threads: threads) }

    func run() throws {
        let checkpoint = try Folder.exists(path) ? Checkpoint(directory: path) : Checkpoint(file: path)
        let bar = ProgressBar("reading")
        let figures: [TensorFigures]
        do {
            figures = try Inspection.figures(of: checkpoint, team: LocalWorker.threadTeam(threads: threads)) {
                bar.show(Double($0.doneBytes) / Double(max(1, $0.totalBytes)))
            }
        } catch {
            bar.finish()
            throw error
        }
        bar.finish()
        let report = InspectionReport(figures)
        try StandardOutput.write((json ? report.json : report.table) + "\n")
    }
}
