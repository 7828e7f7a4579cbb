/// Text for a page that is HTML and well-formed XML at once.
enum Markup {
    /// Also breaks what a careless reader, or a check for references, could take for an address or an attribute.
    static func escaped(_ text: String) -> String {
        var escaped = ""
        escaped.reserveCapacity(text.utf8.count + 16)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            case "/": escaped += "&#47;"
            case "=": escaped += "&#61;"
            case "\t", "\n", "\r": escaped += " "
            // What XML 1.0 has no place for.
            case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{FFFE}", "\u{FFFF}": escaped += "\u{FFFD}"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }

    /// A coordinate, to a tenth of a pixel.
    static func pixel(_ value: Double) -> String {
        let text = value.fixed(1)
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    /// A value for people: three or four digits, thousands apart.
    static func number(_ value: Double) -> String {
        guard value.isFinite else { return "–" }
        if value == 0 { return "0" }
        let size = value.magnitude
        if size >= 1000 || (size == size.rounded() && size < 1e15) {
            return size < 1e15 ? TerminalSummary.grouped(Int(value.rounded())) : "\(value)"
        }
        return value.fixed(size >= 100 ? 1 : size >= 1 ? 2 : size >= 0.01 ? 3 : 5)
    }

    /// Bytes and counts on axes: `1.5k`, `20M`.
    static func short(_ value: Double) -> String {
        for (limit, letter) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] where value.magnitude >= limit {
            return trimmed(value / limit) + letter
        }
        return trimmed(value)
    }

    private static func trimmed(_ value: Double) -> String {
        var text = value.fixed(value.magnitude >= 1 || value == 0 ? 2 : 6)
        while text.contains("."), text.hasSuffix("0") || text.hasSuffix(".") { text.removeLast() }
        return text
    }
}
