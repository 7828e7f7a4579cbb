internal import Platform

extension Repeats {
    /// `{"runs", "figures": {key: {"mean", "half_width_95", "values"}}}`; the half width is null for a single run.
    package var json: [UInt8] {
        var writer = JSONWriter(capacity: 4 << 10)
        writer.beginObject()
        writer.field("runs", runs)
        writer.key("figures")
        writer.beginObject()
        for estimate in estimates {
            writer.key(estimate.key)
            writer.beginObject()
            writer.field("mean", estimate.mean)
            writer.field("half_width_95", estimate.halfWidth)
            writer.field("values", JSON.array(estimate.values.map(JSON.number)))
            writer.endObject()
        }
        writer.endObject()
        writer.endObject()
        return writer.bytes
    }

    /// A line for each of `keys` that the runs have: mean ± half width.
    package func text(keys: [String]) -> String {
        let shown = keys.compactMap { key in estimates.first { $0.key == key } }
        let width = shown.map(\.key.count).max() ?? 0
        let lines = shown.map { estimate in
            let space = String(repeating: " ", count: width - estimate.key.count)
            let percent = estimate.mean != 0 ? " (\((100 * estimate.halfWidth / estimate.mean.magnitude).fixed(1)) %)" : ""
            let interval = estimate.halfWidth.isFinite ? " ± \(estimate.halfWidth.fixed(2))" + percent : ""
            return "\(estimate.key)\(space)  \(estimate.mean.fixed(2))\(interval)\n"
        }
        return "Means of \(runs) runs, with 95 % intervals\n" + lines.joined()
    }
}
