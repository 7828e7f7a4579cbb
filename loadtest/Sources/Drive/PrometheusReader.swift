/// Reads Prometheus' text format (version 0.0.4) into one number per name: sums over the labels, of buckets one for each upper edge under
/// `name_bucket{le="edge"}`. Quantiles are left out, since their sums mean nothing. Lines that are none of the format are skipped, as the peer's
/// text is not ours to judge.
struct PrometheusReader {
    /// Names kept at most.
    static let nameLimit = 4096

    static func values(_ text: [UInt8]) -> [String: Double] {
        var values: [String: Double] = [:]
        for line in text.split(separator: 0x0A) {
            guard let (name, value) = sample(line), values[name] != nil || values.count < nameLimit else { continue }
            values[name, default: 0] += value
        }
        return values
    }

    private static func sample(_ line: ArraySlice<UInt8>) -> (String, Double)? {
        let nameEnd = line.firstIndex { !isName($0) } ?? line.endIndex
        guard nameEnd > line.startIndex else { return nil }
        var name = String(decoding: line[..<nameEnd], as: UTF8.self)
        var rest = line[nameEnd...]
        if rest.first == UInt8(ascii: "{") {
            guard let end = labelsEnd(rest) else { return nil }
            let labels = rest[..<end]
            // Quantiles of summaries.
            if label("quantile", of: labels) != nil { return nil }
            if name.hasSuffix("_bucket") {
                guard let edge = label("le", of: labels) else { return nil }
                name += "{le=\"\(edge)\"}"
            }
            rest = rest[end...]
        }
        let words = rest.split { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
        guard words.count == 1 || words.count == 2, let value = Double(String(decoding: words[0], as: UTF8.self)), value.isFinite else { return nil }
        return (name, value)
    }

    /// The value of a label that needs no escapes, in `{a="1",b="2"}`.
    private static func label(_ name: String, of labels: ArraySlice<UInt8>) -> String? {
        let wanted = Array("\(name)=\"".utf8)
        for start in labels.indices where labels[start...].starts(with: wanted) {
            let before = labels[start - 1]
            guard before == UInt8(ascii: "{") || before == UInt8(ascii: ",") || before == 0x20 else { continue }
            return String(decoding: labels[(start + wanted.count)...].prefix { $0 != UInt8(ascii: "\"") }, as: UTF8.self)
        }
        return nil
    }

    /// Behind the closing brace; braces inside quotes do not count.
    private static func labelsEnd(_ text: ArraySlice<UInt8>) -> Int? {
        var isQuoted = false, isEscaped = false
        for (index, byte) in zip(text.indices, text) {
            if isEscaped {
                isEscaped = false
            } else if isQuoted, byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == UInt8(ascii: "\"") {
                isQuoted.toggle()
            } else if byte == UInt8(ascii: "}"), !isQuoted {
                return index + 1
            }
        }
        return nil
    }

    private static func isName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "_"), UInt8(ascii: ":"): true
        default: false
        }
    }
}
