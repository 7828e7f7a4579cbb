internal import Foundation
internal import Platform

/// The figures of a run, as a table for people and JSON for scripts.
struct BenchReport {
    private struct Row {
        var figure: BenchFigure
        var weights: String
        /// "compute" or "memory": whichever would take longer at its limit.
        var limit: String
        var percent: Double
        /// To the figure of the same kind in the report it is compared with.
        var ratio: Double?
    }

    private let threads: Int
    private let instructionSet: String
    /// For each form of weights: its limits and the instruction they were measured with.
    private var limits: [(weights: String, limits: MachineLimits, instruction: String)] = []
    private var rows: [Row] = []

    private let earlier: EarlierBench?

    /// - Parameter earlier: what the figures are compared with.
    init(threads: Int, instructionSet: String, earlier: EarlierBench? = nil) {
        self.earlier = earlier
        self.threads = threads
        self.instructionSet = instructionSet
    }

    mutating func add(_ figures: [BenchFigure], limits: MachineLimits, weights: String, instruction: String) {
        self.limits.append((weights, limits, instruction))
        for figure in figures {
            let compute = (figure.gigaflops - figure.attentionGigaflops) / limits.arithmetic + figure.attentionGigaflops / limits.attention
            let memory = figure.gigabytes / limits.read
            rows.append(
                Row(figure: figure, weights: weights, limit: compute >= memory ? "compute" : "memory", percent: max(compute, memory) * 100,
                    ratio: earlier?.ratio(figure, weights: weights)))
        }
    }

    var table: String {
        var lines = [
            "\(Self.machine), \(threads) threads, \(instructionSet)"
        ]
        for entry in limits {
            lines.append(
                String(format: "limits, %@: %.0f Gop/s (%@), %.1f GB/s read", entry.weights, entry.limits.arithmetic, entry.instruction, entry.limits.read))
        }
        lines += [
            "", "phase     weights   prompt   batch      tok/s     Gop/s     GB/s   of limit         overhead" + (earlier == nil ? "" : "   to before"),
        ]
        for row in rows {
            let figure = row.figure
            lines.append(
                Self.padded(figure.phase, 10) + Self.padded(row.weights, 8)
                    + String(
                        format: "%8d%8d%11.1f%10.1f%9.1f%7.0f %% ", figure.prompt, figure.batch, figure.tokensPerSecond, figure.gigaflops,
                        figure.gigabytes, row.percent)
                    + Self.padded(row.limit, 8) + (figure.overhead.map { String(format: "%8.1f %%", $0 * 100) } ?? Self.padded("", 10))
                    + (row.ratio.map { String(format: "%12.2fx", $0) } ?? ""))
        }
        return lines.joined(separator: "\n")
    }

    var json: String {
        let results = rows.map { row -> JSON in
            var members: JSONObject = JSONObject()
            let figures: JSON = [
                "phase": .string(row.figure.phase), "weights": .string(row.weights), "prompt": .integer(Int64(row.figure.prompt)),
                "batch": .integer(Int64(row.figure.batch)), "threads": .integer(Int64(threads)),
                "tokens_per_second": .number(row.figure.tokensPerSecond), "limit": .string(row.limit), "percent_of_limit": .number(row.percent),
                "gflops": .number(row.figure.gigaflops), "gbps": .number(row.figure.gigabytes),
            ]
            if let object = figures.object { members = object }
            if let entry = limits.first(where: { $0.weights == row.weights }) {
                members["limit_gops"] = .number(entry.limits.arithmetic)
                members["limit_gbps"] = .number(entry.limits.read)
                members["instruction"] = .string(entry.instruction)
            }
            if let mean = row.figure.meanTokensPerSecond { members["mean_tokens_per_second"] = .number(mean) }
            if let overhead = row.figure.overhead { members["overhead_percent"] = .number(overhead * 100) }
            if let ratio = row.ratio { members["ratio"] = .number(ratio) }
            return .object(members)
        }
        let first = limits.first
        let machine: JSON = [
            "name": .string(Self.machine), "threads": .integer(Int64(threads)), "bf16_gflops": .number(first?.limits.arithmetic ?? 0),
            "read_gbps": .number(first?.limits.read ?? 0), "instruction_set": .string(instructionSet), "instruction": .string(first?.instruction ?? ""),
        ]
        let report: JSON = ["machine": machine, "results": .array(results)]
        return report.text
    }

    private static func padded(_ text: String, _ width: Int) -> String { text.padding(toLength: width, withPad: " ", startingAt: 0) }

    /// What the system calls the processor.
    private static var machine: String {
        let lines = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?.split(separator: "\n") ?? []
        func value(_ key: String) -> String? {
            lines.first { $0.hasPrefix(key) }?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) }
        }
        let name = value("model name") ?? "unknown processor"
        guard let family = value("cpu family"), let model = lines.first(where: { $0.hasPrefix("model\t") })?.split(separator: ":").last else { return name }
        return "\(name) (family \(family), model\(model))"
    }
}
