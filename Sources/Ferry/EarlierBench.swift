internal import Foundation
internal import Platform

/// A `ferry bench --json` of an earlier run, to compare with.
struct EarlierBench {
    private let results: [JSON]
    private let file: String

    /// - Throws: `CommandFailure` naming the file when it is not such a report.
    init(file: String) throws {
        guard let bytes = FileManager.default.contents(atPath: file) else { throw CommandFailure("--compare: cannot read \(file)") }
        let root: JSON
        do { root = try JSON(parsing: [UInt8](bytes)) } catch { throw CommandFailure("--compare: \(file): \(error)") }
        guard let results = root["results"]?.array else {
            throw CommandFailure("--compare: \(file) has no results; the output of ferry bench --json was expected")
        }
        self.results = results
        self.file = file
    }

    /// `figure`'s tokens per second to those of the same phase, weights, prompt and batch; nil where there are none.
    func ratio(_ figure: BenchFigure, weights: String) -> Double? {
        let same = results.first {
            $0["phase"]?.string == figure.phase && $0["weights"]?.string == weights && $0["prompt"]?.integer == figure.prompt
                && $0["batch"]?.integer == figure.batch
        }
        guard let before = same?["tokens_per_second"]?.double, before > 0 else { return nil }
        return figure.tokensPerSecond / before
    }
}
