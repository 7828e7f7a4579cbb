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
    private var instruction = ""
    private var limits = MachineLimits(arithmetic: 0, read: 0)
    private var rows: [Row] = []

    private let earlier: EarlierBench?

    /// - Parameter earlier: what the figures are compared with.
    init(threads: Int, instructionSet: String, earlier: EarlierBench? = nil) {
        self.earlier = earlier
        self.threads = threads
        self.instructionSet = instructionSet
    }

    mutating func add(_ figures: [BenchFigure], limits: MachineLimits, weights: String, instruction: String) {
        if rows.isEmpty {
            self.limits = limits
            self.instruction = instruction
        }
        for figure in figures {
            let compute = figure.gigaflops / limits.arithmetic
            let memory = figure.gigabytes / limits.read
            rows.append(
                Row(figure: figure, weights: weights, limit: compute >= memory ? "compute" : "memory", percent: max(compute, memory) * 100,
                    ratio: earlier?.ratio(figure, weights: weights)))
        }
    }

    var table: String {
        var lines = [
            "\(Self.machine), \(threads) threads, \(instructionSet)",
            String(format: "limits: %.0f GFLOP/s (%@), %.1f GB/s read", limits.arithmetic, instruction, limits.read), "",
            "phase     weights   prompt   batch      tok/s   GFLOP/s     GB/s   of limit         overhead" + (earlier == nil ? "" : "   to before"),
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
            if let overhead = row.figure.overhead { members["overhead_percent"] = .number(overhead * 100) }
            if let ratio = row.ratio { members["ratio"] = .number(ratio) }
            return .object(members)
        }
        let machine: JSON = [
            "name": .string(Self.machine), "threads": .integer(Int64(threads)), "bf16_gflops": .number(limits.arithmetic),
            "read_gbps": .number(limits.read), "instruction_set": .string(instructionSet), "instruction": .string(instruction),
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
