internal import Platform

/// Dates as HTTP writes them (IMF-fixdate, RFC 9110, 5.6.7).
package enum HTTPDate {
    /// `seconds` since 1970-01-01T00:00:00Z, not negative, before the year 10000.
    package static func string(seconds: Int) -> String {
        precondition((0..<253_402_300_800).contains(seconds), "\(seconds) s is outside the years 1970 to 9999")
        let days = seconds / 86_400, rest = seconds % 86_400
        let date = CalendarDay(daysSince1970: days)
        let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(weekdays[days % 7]), \(two(date.day)) \(months[date.month - 1]) \(date.year) "
            + "\(two(rest / 3600)):\(two(rest / 60 % 60)):\(two(rest % 60)) GMT"
    }
}
