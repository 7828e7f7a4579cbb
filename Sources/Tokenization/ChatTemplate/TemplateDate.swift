internal import Platform

/// A moment in UTC as a template's `strftime_now` sees it. Passed in, so that rendering is a function of its arguments.
package struct TemplateDate: Sendable, Equatable {
    package let year: Int
    /// 1…12
    package let month: Int
    /// 1…31
    package let day: Int
    package let hour: Int
    package let minute: Int
    package let second: Int

    /// Fields outside their ranges are a caller's bug.
    package init(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0) {
        precondition((1...12).contains(month) && (1...31).contains(day), "no such day: \(year)-\(month)-\(day)")
        precondition((0...23).contains(hour) && (0...59).contains(minute) && (0...60).contains(second), "no such time of day")
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
    }

    /// The moment `unixSeconds` after 1970-01-01T00:00:00Z, in the Gregorian calendar.
    package init(unixSeconds: Int) {
        let days = unixSeconds.floorDivided(by: 86_400)
        let secondOfDay = unixSeconds - days * 86_400
        let date = CalendarDay(daysSince1970: days)
        self.init(
            year: date.year, month: date.month, day: date.day,
            hour: secondOfDay / 3_600, minute: secondOfDay % 3_600 / 60, second: secondOfDay % 60
        )
    }

    private var isLeapYear: Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    /// 1…366
    private var dayOfYear: Int {
        let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][month - 1]
        return before + day + (month > 2 && isLeapYear ? 1 : 0)
    }

    /// 0 is Sunday.
    private var weekday: Int {
        let y = year - 1
        let daysBefore = 365 * y + y.floorDivided(by: 4) - y.floorDivided(by: 100) + y.floorDivided(by: 400)
        return (daysBefore + dayOfYear).floorModulus(by: 7)
    }

    private static let weekdays = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
    private static let months = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
    ]

    /// `format` with its directives replaced as C's `strftime` does in the C locale; nil when it has one that is not
    /// supported: those are Y y m d H I M S j b h B a A p w u e D F T R Z z n t and %.
    package func formatted(_ format: String) -> String? {
        var result = ""
        var scalars = format.unicodeScalars.makeIterator()
        while let scalar = scalars.next() {
            guard scalar == "%" else {
                result.unicodeScalars.append(scalar)
                continue
            }
            guard var directive = scalars.next() else { return nil }
            // glibc's flag for numbers without leading zeros, common in `%-d`.
            let unpadded = directive == "-"
            if unpadded {
                guard let next = scalars.next() else { return nil }
                directive = next
            }
            guard let text = field(directive, width: unpadded ? 1 : 2) else { return nil }
            result += text
        }
        return result
    }

    private func field(_ directive: Unicode.Scalar, width: Int) -> String? {
        switch directive {
        case "Y": "\(year)"
        case "y": padded(year.floorModulus(by: 100), width)
        case "m": padded(month, width)
        case "d": padded(day, width)
        case "e": width == 1 || day > 9 ? "\(day)" : " \(day)"
        case "H": padded(hour, width)
        case "I": padded((hour + 11) % 12 + 1, width)
        case "M": padded(minute, width)
        case "S": padded(second, width)
        case "j": padded(dayOfYear, width == 1 ? 1 : 3)
        case "b", "h": String(Self.months[month - 1].prefix(3))
        case "B": Self.months[month - 1]
        case "a": String(Self.weekdays[weekday].prefix(3))
        case "A": Self.weekdays[weekday]
        case "w": "\(weekday)"
        case "u": "\((weekday + 6) % 7 + 1)"
        case "p": hour < 12 ? "AM" : "PM"
        case "D": "\(padded(month, 2))/\(padded(day, 2))/\(padded(year.floorModulus(by: 100), 2))"
        case "F": "\(year)-\(padded(month, 2))-\(padded(day, 2))"
        case "T": "\(padded(hour, 2)):\(padded(minute, 2)):\(padded(second, 2))"
        case "R": "\(padded(hour, 2)):\(padded(minute, 2))"
        case "Z": "UTC"
        case "z": "+0000"
        case "n": "\n"
        case "t": "\t"
        case "%": "%"
        default: nil
        }
    }

    private func padded(_ value: Int, _ width: Int) -> String {
        let digits = "\(value)"
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
}

extension Int {
    /// The quotient rounded towards negative infinity, as Python's `//`. The divisor is positive.
    func floorDivided(by divisor: Int) -> Int { (self - floorModulus(by: divisor)) / divisor }

    /// The remainder with the sign of the (positive) divisor, as Python's `%`.
    func floorModulus(by divisor: Int) -> Int {
        let remainder = self % divisor
        return remainder < 0 ? remainder + divisor : remainder
    }
}
