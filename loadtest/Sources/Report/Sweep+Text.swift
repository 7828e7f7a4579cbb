internal import Platform

extension Sweep {
    /// `{"steps": [{"rate", "throughput", "good_share", "queue_growth", "saturated", "reason"?}],
    /// "knee": {"rate", "saturated_rate", "text"}}`
    package var json: [UInt8] {
        var writer = JSONWriter(capacity: 1 << 10)
        writer.beginObject()
        writer.key("steps")
        writer.beginArray()
        for step in steps {
            writer.beginObject()
            writer.field("rate", step.observation.rate)
            writer.field("throughput", step.observation.throughput)
            writer.field("good_share", step.observation.goodShare)
            writer.field("queue_growth", step.observation.queueGrowth)
            writer.field("saturated", step.saturation != nil)
            if let reason = step.saturation { writer.field("reason", "\(reason)") }
            writer.endObject()
        }
        writer.endArray()
        writer.key("knee")
        guard let knee else {
            writer.null()
            writer.endObject()
            return writer.bytes
        }
        let (rate, saturated): (Double?, Double?) =
            switch knee {
            case .between(let rate, let saturated, _): (rate, saturated)
            case .above(let rate): (rate, nil)
            case .below(let rate, _): (nil, rate)
            }
        writer.value([
            "rate": rate.map { .number($0) } ?? .null, "saturated_rate": saturated.map { .number($0) } ?? .null, "text": .string("\(knee)"),
        ])
        writer.endObject()
        return writer.bytes
    }

    /// A line for each step, and the knee.
    package var text: String {
        let lines = steps.map { step in
            let seen = step.observation
            let verdict = step.saturation.map { "saturated: \($0)" } ?? "kept up"
            let share = (100 * seen.goodShare).fixed(1)
            return "\(seen.rate.fixed(2)) req/s: \(seen.throughput.fixed(2)) completed, \(share) % good, \(verdict)\n"
        }
        return lines.joined() + (knee.map { "Knee: \($0)\n" } ?? "")
    }
}
