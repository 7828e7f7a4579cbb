internal import Platform

extension Comparison {
    package var json: [UInt8] {
        var writer = JSONWriter(capacity: 4 << 10)
        writer.beginObject()
        writer.field("runs_a", runs.a)
        writer.field("runs_b", runs.b)
        writer.key("figures")
        writer.beginArray()
        for line in lines {
            writer.beginObject()
            writer.field("key", line.key)
            writer.field("a", line.a)
            writer.field("b", line.b)
            writer.key("ratio")
            if let ratio = line.ratio { writer.number(ratio) } else { writer.null() }
            if let interval = line.interval {
                writer.field("low", interval.lowerBound)
                writer.field("high", interval.upperBound)
            }
            writer.field("method", line.method.rawValue)
            writer.field("verdict", line.verdict.rawValue)
            writer.endObject()
        }
        writer.endArray()
        writer.field("only_in_a", JSON.array(onlyInA.map(JSON.string)))
        writer.field("only_in_b", JSON.array(onlyInB.map(JSON.string)))
        writer.endObject()
        return writer.bytes
    }

    /// A table for a terminal: counts, rates, means, medians and p99s that are not 0 on both sides, or everything.
    package func text(all: Bool) -> String {
        let shown = lines.filter { all || (Self.isTelling($0.key) && ($0.a != 0 || $0.b != 0)) }
        let rows = shown.map { line in
            [
                line.key, Self.number(line.a), Self.number(line.b), line.ratio.map { $0.fixed(3) } ?? "–",
                line.interval.map { "\($0.lowerBound.fixed(3)) … \($0.upperBound.fixed(3))" } ?? "", line.verdict.rawValue,
            ]
        }
        let table = [["figure", "A", "B", "B/A", "95 % interval", ""]] + rows
        let widths = (0..<6).map { column in table.map { $0[column].count }.max() ?? 0 }
        var text = ""
        for row in table {
            var line = ""
            for (column, cell) in row.enumerated() {
                let space = String(repeating: " ", count: widths[column] - cell.count)
                line += column == 0 || column == 5 ? cell + space : space + cell
                line += "  "
            }
            while line.hasSuffix(" ") { line.removeLast() }
            text += line + "\n"
        }
        for note in notes { text += note + "\n" }
        if shown.count < lines.count { text += "\(lines.count - shown.count) more figures with --all.\n" }
        return text
    }

    private static func isTelling(_ key: String) -> Bool {
        guard key.hasPrefix("p"), let digits = key.dropFirst().split(separator: "_").first, Double(digits) != nil else {
            return !key.hasPrefix("std_")
        }
        return digits == "99"
    }

    private var notes: [String] {
        var notes: [String] = []
        if !onlyInA.isEmpty { notes.append("Only in A: " + onlyInA.joined(separator: ", ")) }
        if !onlyInB.isEmpty { notes.append("Only in B: " + onlyInB.joined(separator: ", ")) }
        if runs.a == 1 || runs.b == 1, !lines.contains(where: { $0.method != .none }) {
            notes.append("No intervals: run with --save-detailed, or several times with --append-result, on both sides.")
        }
        if lines.contains(where: { $0.method == .bootstrap }) {
            notes.append("Intervals are of one run each, resampled: they do not know how much one run differs from the next.")
        }
        if lines.contains(where: { $0.interval != nil }) { notes.append("Of equal servers one figure in twenty is told apart by chance.") }
        return notes
    }

    private static func number(_ value: Double) -> String {
        if value == value.rounded(), value.magnitude < 1e9 { return value.fixed(0) }
        return value.fixed(value.magnitude < 1 ? 4 : 2)
    }
}
