internal import ArgumentParser
internal import Kernels
internal import Platform
internal import Weights

struct UnpackCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unpack", abstract: "Restore a model that ferry pack made, bit by bit.",
        discussion: """
            Every tensor is checked against the digest of what was packed; a damaged one is named and nothing is written for its file.

            Examples:
              ferry unpack ~/models/SmolLM2-135M-packed --output ~/models/SmolLM2-135M

            --json prints {"bytes","coded_bytes","ratio","seconds"}.
            """)

    @Argument(help: "A directory that ferry pack made.") var directory: String
    @Option(name: .long, help: ArgumentHelp("The directory to make.", valueName: "dir")) var output: String
    @Option(name: .long, help: "Compute threads; 0: one per core.") var threads = 0
    @Flag(name: .long, help: "Write to a directory that holds other files.") var force = false
    @Flag(name: .long, help: "One JSON object on standard output.") var json = false

    func validate() throws { try ConversionReport.check(threads: threads) }

    func run() throws {
        let source = try Checkpoint(directory: directory)
        let folder = try OutputFolder(path: output, source: directory, force: force)
        let team = try LocalWorker.threadTeam(threads: threads)
        try ConversionReport.show("unpacking", json: json) { progress in
            try ModelConversion(source, to: folder).unpack(team: team, progress: progress)
        }
    }
}
