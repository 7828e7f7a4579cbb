internal import ArgumentParser
internal import Foundation
internal import Kernels
internal import Platform
internal import Weights

/// What `ferry pack` and `ferry unpack` show: a bar while they work, and then one line, or JSON for scripts.
enum ConversionReport {
    static func check(threads: Int) throws {
        guard (0...ThreadTeam.mostThreads).contains(threads) else {
            throw ValidationError("--threads is \(threads), 0 to \(ThreadTeam.mostThreads) was expected")
        }
    }

    /// Runs `work` and shows what came of it. `title` is what it does, as "packing".
    static func show(_ title: String, json: Bool, _ work: ((WeightProgress) -> Void) throws -> ModelConversion.Outcome) throws {
        let bar = ProgressBar(title)
        let start = SystemClock().now
        let outcome: ModelConversion.Outcome
        do {
            outcome = try work { bar.show(Double($0.doneBytes) / Double(max(1, $0.totalBytes))) }
        } catch {
            bar.finish()
            throw error
        }
        bar.finish()
        let seconds = SystemClock().now.since(start).inMilliseconds / 1000
        for note in outcome.notes where !json { StandardError.write(Array("ferry: \(note)\n".utf8)) }
        let (bytes, coded) = (max(outcome.bytesBefore, outcome.bytesAfter), min(outcome.bytesBefore, outcome.bytesAfter))
        let ratio = coded > 0 ? Double(bytes) / Double(coded) : 1
        if json {
            let object: JSON = [
                "bytes": .integer(Int64(bytes)), "coded_bytes": .integer(Int64(coded)), "ratio": .number(ratio), "seconds": .number(seconds),
            ]
            return try StandardOutput.write(object.text + "\n")
        }
        try StandardOutput.write(
            String(
                format: "%@ to %@ (%.3fx) in %.1f s\n", megabytes(outcome.bytesBefore), megabytes(outcome.bytesAfter), ratio, seconds))
    }

    static func megabytes(_ bytes: Int) -> String { String(format: "%.2f MB", Double(bytes) / 1e6) }
}
