/// A share of the requests whose clients make trouble, as in `cancel:0.1:200-2000ms`, `slow:0.05:1000` (bytes a second),
/// `stop:0.05:0-500ms` or `vanish:0.02:100ms`. Each request draws its delay from the range.
package struct TroubleShare: Sendable, Equatable {
    package enum Kind: String, Sendable, CaseIterable {
        case cancel, slow, stop, vanish
    }

    package var kind: Kind
    /// Of all requests, 0 to 1.
    package var share: Double
    /// Of `slow` only.
    package var bytesPerSecond = 0
    /// Of the others.
    package var delay: ClosedRange<Duration> = .zero ... .zero

    package init(parsing text: String) throws(PlanError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let expected = "cancel:SHARE:MS[-MS]ms, stop:SHARE:MS[-MS]ms, vanish:SHARE:MS[-MS]ms or slow:SHARE:BYTES-PER-SECOND"
        guard parts.count == 3, let kind = Kind(rawValue: String(parts[0])), let share = Double(parts[1]), share >= 0, share <= 1 else {
            throw .setting("a trouble", "\"\(text)\"", expected: expected)
        }
        self.kind = kind
        self.share = share
        switch kind {
        case .slow:
            guard let rate = Int(parts[2]), rate > 0 else {
                throw .setting("the rate of \"\(text)\"", "\"\(parts[2])\"", expected: "bytes a second")
            }
            bytesPerSecond = rate
        case .cancel, .stop, .vanish:
            delay = try DelayRange.parse(String(parts[2]), setting: "the delay of \"\(text)\"")
        }
    }

    func trouble(_ draw: inout Draw) -> Trouble {
        switch kind {
        case .slow: .readSlowly(bytesPerSecond: bytesPerSecond)
        case .cancel: .cancel(after: draw.duration(in: delay))
        case .stop: .stopReading(after: draw.duration(in: delay))
        case .vanish: .vanish(after: draw.duration(in: delay))
        }
    }
}

/// `200ms`, `200-2000ms`, `15s` or `1-3s`; a number alone is milliseconds.
package enum DelayRange {
    package static func parse(_ text: String, setting: String) throws(PlanError) -> ClosedRange<Duration> {
        let inSeconds = text.hasSuffix("s") && !text.hasSuffix("ms")
        let numbers = text.hasSuffix("ms") ? text.dropLast(2) : inSeconds ? text.dropLast() : text[...]
        let bounds = numbers.split(separator: "-", omittingEmptySubsequences: false).map { (Double($0) ?? -1) * (inSeconds ? 1000 : 1) }
        guard (1...2).contains(bounds.count), bounds.allSatisfy({ $0 >= 0 && $0 <= 3_600_000 }), bounds[0] <= bounds[bounds.count - 1]
        else {
            throw .setting(setting, "\"\(text)\"", expected: "a time as 200ms, 200-2000ms or 15s, at most an hour")
        }
        return .nanoseconds(Int64(bounds[0] * 1e6)) ... .nanoseconds(Int64(bounds[bounds.count - 1] * 1e6))
    }
}
