import ArgumentParser
import Platform

struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare", abstract: "Show two results side by side, as ratios with 95 % intervals.",
        discussion: """
            Reads results of ferry-load and of vllm bench serve. Intervals come from repeats where both files hold several runs \
            (--append-result), from resampling where both hold details (--save-detailed); otherwise there is only the ratio.

            Example:
              ferry-load compare before.json after.json
            """)

    @Argument(help: "The result that is divided by.") var a: String
    @Argument(help: "The result that is divided.") var b: String
    @Option(name: .long, help: "Of the resampling.") var seed: UInt64 = 0
    @Flag(name: .long, help: "Every figure, also percentiles between and deviations.") var all = false
    @Flag(name: .long, help: "JSON on standard output, with every figure.") var json = false

    func run() throws {
        let comparison = Comparison(try ResultFile(path: a), try ResultFile(path: b), seed: seed)
        try StandardOutput.write(json ? String(decoding: comparison.json, as: UTF8.self) + "\n" : comparison.text(all: all))
    }
}
