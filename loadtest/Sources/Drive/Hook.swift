/// Something that is done in the midst of a run, so many seconds after the measurement's start.
struct Hook: Sendable, Equatable {
    enum Action: Sendable, Equatable {
        /// By `/bin/sh -c`.
        case command(String)
        /// `body` is sent as JSON.
        case post(Target, body: String)
    }

    var at: Duration
    var action: Action

    /// As in the run's record.
    var description: String {
        switch action {
        case .command(let text): text
        case .post(let target, let body): "POST \(target) \(body)"
        }
    }

    /// `5s:kill -9 123`
    init(command text: String) throws(HookError) {
        let (at, rest) = try Self.time(of: text, expected: "5s:COMMAND")
        self.at = at
        action = .command(rest)
    }

    /// `5s:http://127.0.0.1:9090/links:{"rate":"50mbit"}`; the body begins behind the first colon of the path.
    init(post text: String) throws(HookError) {
        let (at, rest) = try Self.time(of: text, expected: "5s:URL:BODY")
        self.at = at
        var end = rest.endIndex
        if let slash = rest.drop(while: { $0 != "/" }).dropFirst(2).firstIndex(of: "/") {
            end = rest[slash...].firstIndex(of: ":") ?? rest.endIndex
        }
        do throws(TargetError) {
            action = .post(try Target(String(rest[..<end])), body: String(rest[end...].dropFirst()))
        } catch {
            throw HookError(description: "hook \"\(text)\": \(error)")
        }
    }

    private static func time(of text: String, expected: String) throws(HookError) -> (Duration, String) {
        guard let colon = text.firstIndex(of: ":"), let at = Duration(parsing: text[..<colon]), text.index(after: colon) < text.endIndex else {
            throw HookError(description: "hook \"\(text)\": expected \(expected)")
        }
        return (at, String(text[text.index(after: colon)...]))
    }
}

struct HookError: Error, Equatable, CustomStringConvertible {
    let description: String
}

extension Duration {
    /// `250ms`, `5s`, `2m`, `1h`; a number alone is seconds. Nil for anything else, below zero and beyond a year.
    init?(parsing text: some StringProtocol) {
        let digits = text.prefix { $0.isNumber && $0.isASCII || $0 == "." }
        guard let number = Double(String(digits)) else { return nil }
        let factor: Double
        switch String(text.dropFirst(digits.count)) {
        case "us": factor = 1e-6
        case "ms": factor = 1e-3
        case "s", "": factor = 1
        case "m": factor = 60
        case "h": factor = 3600
        default: return nil
        }
        guard number * factor <= 366 * 86400 else { return nil }
        self = .nanoseconds(Int64((number * factor * 1e9).rounded()))
    }
}
