package import Logging

/// The bytes of a log line. One event is always one line: control characters in messages and values are escaped.
package struct LogLineFormatter: Sendable {
    private let format: LogFormat
    private let colour: Bool

    package init(format: LogFormat, colour: Bool = false) {
        self.format = format
        self.colour = colour && format == .text
    }

    /// - Parameter time: nanoseconds since 1970-01-01T00:00:00Z.
    package func line(
        time: Int64, level: Logger.Level, label: String, message: String, metadata: [(key: String, value: String)]
    ) -> [UInt8] {
        var line = ""
        switch format {
        case .text:
            line += "\(Self.timestamp(time)) \(coloured(level)) \(label): "
            Self.escape(message, into: &line, quotes: false)
            for (key, value) in metadata {
                line += " \(key)="
                Self.appendTextValue(value, to: &line)
            }
        case .json:
            line += "{\"time\":\"\(Self.timestamp(time))\",\"level\":\"\(level)\",\"label\":\""
            Self.escape(label, into: &line, quotes: true)
            line += "\",\"message\":\""
            Self.escape(message, into: &line, quotes: true)
            line += "\""
            for (key, value) in metadata {
                line += ",\""
                Self.escape(Self.reserved.contains(key) ? key + "_" : key, into: &line, quotes: true)
                line += "\":\""
                Self.escape(value, into: &line, quotes: true)
                line += "\""
            }
            line += "}"
        }
        line += "\n"
        return Array(line.utf8)
    }

    private static let reserved: Set<String> = ["time", "level", "label", "message"]

    private func coloured(_ level: Logger.Level) -> String {
        let word = "\(level)"
        let padded = word + String(repeating: " ", count: max(0, 8 - word.count))
        guard colour else { return padded }
        // ANSI SGR colours, ECMA-48: grey, default, cyan, yellow, red.
        let code =
            switch level {
            case .trace, .debug: "90"
            case .info: "0"
            case .notice: "36"
            case .warning: "33"
            case .error, .critical: "31"
            }
        return "\u{1B}[\(code)m\(padded)\u{1B}[0m"
    }

    /// A value stands bare when it cannot be misread, else in quotes.
    private static func appendTextValue(_ value: String, to line: inout String) {
        let bare = value.unicodeScalars.allSatisfy { !isControl($0) && $0 != " " && $0 != "\"" && $0 != "=" && $0 != "\\" }
        if bare, !value.isEmpty {
            line += value
        } else {
            line += "\""
            escape(value, into: &line, quotes: true)
            line += "\""
        }
    }

    /// What a terminal or a reader of lines may take for more than text: both sets of control characters and Unicode's line ends.
    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{2028}", "\u{2029}": true
        default: false
        }
    }

    private static func escape(_ text: String, into line: inout String, quotes: Bool) {
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"" where quotes: line += "\\\""
            case "\\" where quotes: line += "\\\\"
            case "\n": line += "\\n"
            case "\r": line += "\\r"
            case "\t": line += "\\t"
            case _ where isControl(scalar):
                let digits = String(scalar.value, radix: 16)
                line += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: line.unicodeScalars.append(scalar)
            }
        }
    }

    /// RFC 3339 in UTC with milliseconds. The date follows from the day number in 400-year eras that start in March, so that
    /// the leap day is the last day of a year.
    package static func timestamp(_ nanoseconds: Int64) -> String {
        let milliseconds = nanoseconds.quotient(flooringBy: 1_000_000)
        let seconds = milliseconds.quotient(flooringBy: 1000)
        let days = seconds.quotient(flooringBy: 86_400)
        let second = seconds - days * 86_400
        let shifted = days + 719_468
        let era = shifted.quotient(flooringBy: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return "\(digits(year, 4))-\(digits(month, 2))-\(digits(day, 2))T\(digits(second / 3600, 2)):"
            + "\(digits(second / 60 % 60, 2)):\(digits(second % 60, 2)).\(digits(milliseconds - seconds * 1000, 3))Z"
    }

    private static func digits(_ value: Int64, _ width: Int) -> String {
        let text = "\(value)"
        return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
    }
}

extension Int64 {
    fileprivate func quotient(flooringBy divisor: Int64) -> Int64 {
        let quotient = self / divisor
        return self % divisor < 0 ? quotient - 1 : quotient
    }
}
