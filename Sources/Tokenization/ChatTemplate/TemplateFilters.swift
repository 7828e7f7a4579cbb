internal import Platform

/// The filters, by their names in templates. `count`, `d` and `e` are other names of three of them.
enum TemplateFilter: String, CaseIterable {
    case abs, attr, batch, capitalize, center, `default`, dictsort, escape, first, float, forceescape, format, groupby, indent
    case int, items, join, last, length, list, lower, map, max, min, reject, rejectattr, replace, reverse, round, safe, select
    case selectattr, sort, string, sum, title, tojson, trim, unique, upper, wordcount

    private static let byName: [ExactText: Self] = {
        var names = Dictionary(uniqueKeysWithValues: allCases.map { (ExactText($0.rawValue), $0) })
        for (name, filter) in [("count", Self.length), ("d", .default), ("e", .escape)] { names[ExactText(name)] = filter }
        return names
    }()

    /// One look-up: a raw value is found by comparing with every case.
    init?(name: String) {
        guard let filter = Self.byName[ExactText(name)] else { return nil }
        self = filter
    }
}

extension TemplateInterpreter {
    mutating func apply(_ calls: [TemplateFilterCall], to value: TemplateValue) throws(TemplateError) -> TemplateValue {
        var value = value
        for call in calls { value = try apply(call, to: value) }
        return value
    }

    mutating func apply(_ call: TemplateFilterCall, to value: TemplateValue) throws(TemplateError) -> TemplateValue {
        var arguments = try evaluate(call.arguments)
        line = call.line
        return try apply(call.filter, to: value, &arguments)
    }

    mutating func apply(
        _ filter: TemplateFilter, to value: TemplateValue, _ arguments: inout TemplateArguments
    ) throws(TemplateError) -> TemplateValue {
        let what = filter.rawValue
        switch filter {
        case .tojson: return .string(try json(value, &arguments))
        case .length:
            _ = try bind(&arguments, what)
            return .integer(try length(of: value))
        case .string, .safe:
            _ = try bind(&arguments, what)
            return .string(try text(of: value))
        case .default:
            let values = try bind(&arguments, what, "default_value", "boolean")
            let replacesFalse = try values[1].map { flag throws(TemplateError) in try isTrue(flag) } ?? false
            let isTruthful = try isTrue(value)
            return value.isUndefined || replacesFalse && !isTruthful ? values[0] ?? .string("") : value
        case .items:
            _ = try bind(&arguments, what)
            if value.isUndefined { return .iterator(TemplateIterator([])) }
            guard case .dictionary(let dictionary) = value else { throw failure("items takes a mapping, not a \(value.typeName)") }
            return .iterator(TemplateIterator(try list(dictionary.items).elements))
        case .list:
            _ = try bind(&arguments, what)
            return .list(try list(try elements(of: value)))
        case .first, .last: return try end(of: value, filter, &arguments)
        case .attr:
            let name = try string(try bind(&arguments, what, "name", required: 1)[0], what) ?? ""
            if case .dictionary = value { return .undefined(.attribute(of: "dict object", name: name)) }
            return try attribute(of: value, name, TemplateMethod(name: name))
        case .join, .map, .select, .reject, .selectattr, .rejectattr, .sort, .unique, .reverse, .sum, .min, .max, .dictsort, .groupby,
            .batch:
            return try applyToSequence(filter, value, &arguments)
        case .abs, .int, .float, .round: return try applyToNumber(filter, value, &arguments)
        case .trim, .upper, .lower, .title, .capitalize, .replace, .indent, .center, .wordcount, .escape, .forceescape, .format:
            return try applyToText(filter, value, &arguments)
        }
    }

    // MARK: Numbers

    private mutating func applyToNumber(
        _ filter: TemplateFilter, _ value: TemplateValue, _ arguments: inout TemplateArguments
    ) throws(TemplateError) -> TemplateValue {
        let what = filter.rawValue
        switch filter {
        case .abs:
            _ = try bind(&arguments, what)
            if case .float(let number) = value { return .float(number.magnitude) }
            let number = try integer(value, what, default: 0)
            return number < 0 ? try negated(.integer(number)) : .integer(number)
        case .int:
            let values = try bind(&arguments, what, "default", "base")
            if case .string(let text) = value { try charge(parsing: text) }
            return try wholeNumber(value, base: try integer(values[1], what, default: 10)) ?? values[0] ?? .integer(0)
        case .float:
            let values = try bind(&arguments, what, "default")
            if case .undefined(let absence) = value { throw failure(absence.reason) }
            if case .string(let text) = value {
                try charge(parsing: text)
                return Self.double(text).map(TemplateValue.float) ?? values[0] ?? .float(0)
            }
            return value.asDouble.map(TemplateValue.float) ?? values[0] ?? .float(0)
        default: return try rounded(value, &arguments)
        }
    }

    private func wholeNumber(_ value: TemplateValue, base: Int) throws(TemplateError) -> TemplateValue? {
        switch value {
        case .undefined(let absence): throw failure(absence.reason)
        case .string(let text):
            if let number = Self.integer(text, base: base) { return .integer(number) }
            guard let number = Self.double(text), number.isFinite else { return nil }
            return try truncated(number)
        case .float(let number): return number.isFinite ? try truncated(number) : nil
        default: return value.asInteger.map(TemplateValue.integer)
        }
    }

    private func truncated(_ number: Double) throws(TemplateError) -> TemplateValue {
        guard let whole = Int(exactly: number.rounded(.towardZero)) else { throw failure("an integer beyond 64 bits") }
        return .integer(whole)
    }

    /// A text as Python's `int(text, base)` reads it.
    private static func integer(_ text: String, base: Int) -> Int? {
        var digits = TemplateText.strip(text, nil, .both)
        guard base == 0 || (2...36).contains(base), digits.utf8.count <= 80 else { return nil }
        let sign = digits.utf8.first == UInt8(ascii: "-") ? "-" : ""
        if digits.hasPrefix("-") || digits.hasPrefix("+") { digits.removeFirst() }
        var radix = base == 0 ? 10 : base
        for (prefix, value) in [("0x", 16), ("0o", 8), ("0b", 2)] where digits.lowercased().hasPrefix(prefix) {
            guard base == 0 || base == value else { continue }
            radix = value
            digits.removeFirst(2)
        }
        guard digits.utf8.first != UInt8(ascii: "+"), digits.utf8.first != UInt8(ascii: "-") else { return nil }
        return withoutGroups(digits).flatMap { Int(sign + $0, radix: radix) }
    }

    /// Underscores may stand between digits, nowhere else.
    private static func withoutGroups(_ digits: String) -> String? {
        guard digits.utf8.contains(UInt8(ascii: "_")) else { return digits }
        guard !digits.hasPrefix("_"), !digits.hasSuffix("_"), !digits.contains("__") else { return nil }
        return digits.replacing("_", with: "")
    }

    /// A text as Python's `float(text)` reads it.
    private static func double(_ text: String) -> Double? {
        let stripped = TemplateText.strip(text, nil, .both)
        guard stripped.utf8.count <= 400 else { return nil }
        let digits = stripped.lowercased()
        let unsigned = digits.hasPrefix("-") || digits.hasPrefix("+") ? String(digits.dropFirst()) : digits
        let sign = digits.hasPrefix("-") ? -1.0 : 1.0
        switch unsigned {
        case "inf", "infinity": return sign * .infinity
        case "nan": return .nan
        default: break
        }
        let allowed = unsigned.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "_"): true
            case UInt8(ascii: "+"), UInt8(ascii: "-"): true
            default: false
            }
        }
        guard allowed, var plain = withoutGroups(unsigned) else { return nil }
        // Python allows a point without digits on one side of it.
        if plain.hasPrefix(".") { plain = "0" + plain }
        plain = plain.replacing(".e", with: ".0e")
        if plain.hasSuffix(".") { plain += "0" }
        guard plain.utf8.first.map({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) ?? false, unsigned != "." else { return nil }
        return Double(plain).map { sign * $0 }
    }

    private mutating func rounded(
        _ value: TemplateValue, _ arguments: inout TemplateArguments
    ) throws(TemplateError) -> TemplateValue {
        let values = try bind(&arguments, "round", "precision", "method")
        let places = try integer(values[0], "round", default: 0)
        let method = try string(values[1], "round") ?? "common"
        guard (-400...400).contains(places) else { throw failure("round to \(places) places") }
        if case .undefined(let absence) = value { throw failure(absence.reason) }
        switch method {
        case "common":
            if let number = value.asInteger {
                if places >= 0 { return .integer(number) }
                return try roundedWhole(number, zeros: -places)
            }
            guard case .float(let number) = value else { throw failure("round takes a number, not a \(value.typeName)") }
            guard number.isFinite else { return value }
            try charge(TemplateDecimal.steps)
            let magnitude = Double(TemplateDecimal(number.magnitude).fixed(places: places)) ?? number.magnitude
            return .float(number.sign == .minus ? -magnitude : magnitude)
        case "ceil", "floor":
            guard let number = value.asDouble else { throw failure("round takes a number, not a \(value.typeName)") }
            var scale = 1.0
            for _ in 0..<places.magnitude { scale *= 10 }
            let scaled = places < 0 ? number / scale : number * scale
            let whole = scaled.rounded(method == "ceil" ? .up : .down)
            let result = places < 0 ? whole * scale : whole / scale
            guard result.isFinite else { throw failure("a result beyond a float's range") }
            // The whole number is an integer in Python, which has no negative zero.
            return .float(result == 0 ? 0 : result)
        default: throw failure("round by method '\(method)': common, ceil or floor were expected")
        }
    }

    /// An integer with its last `zeros` digits rounded away, halves to even.
    private func roundedWhole(_ number: Int, zeros: Int) throws(TemplateError) -> TemplateValue {
        guard zeros < 19 else { return .integer(0) }
        var unit = 1
        for _ in 0..<zeros { unit *= 10 }
        let quotient = number / unit
        let rest = (number % unit).magnitude
        let half = UInt(unit / 2)
        let goesAway = rest > half || rest == half && quotient % 2 != 0
        let (result, overflow) = (quotient + (goesAway ? number.signum() : 0)).multipliedReportingOverflow(by: unit)
        guard !overflow else { throw failure("an integer beyond 64 bits") }
        return .integer(result)
    }

    // MARK: Text

    private mutating func applyToText(
        _ filter: TemplateFilter, _ value: TemplateValue, _ arguments: inout TemplateArguments
    ) throws(TemplateError) -> TemplateValue {
        let what = filter.rawValue
        let text = try text(of: value)
        try charge(bytes: text.utf8.count)
        switch filter {
        case .trim:
            return .string(try stripped(text, try string(try bind(&arguments, what, "chars")[0], what), .both))
        case .replace:
            let values = try bind(&arguments, what, "old", "new", "count", required: 2)
            let old = try self.text(of: values[0] ?? .none)
            let new = try self.text(of: values[1] ?? .none)
            let limit = values[2].map(\.isNone) ?? true ? -1 : try integer(values[2], what, default: -1)
            return .string(try replaced(text, old, new, limit: limit))
        case .indent:
            guard case .string = value else { throw failure("indent takes a text, not a \(value.typeName)") }
            return .string(try indented(text, &arguments))
        case .center:
            let width = try width(try bind(&arguments, what, "width")[0], what, default: 80)
            return .string(TemplateText.center(text, width: width))
        case .format:
            guard arguments.positional.isEmpty || arguments.named.isEmpty else {
                throw failure("format takes positional or named arguments, not both")
            }
            var named = TemplateDictionary()
            for (name, value) in arguments.named { named.set(name, value) }
            let values = arguments.named.isEmpty ? TemplateValue.tuple(try list(arguments.positional)) : .dictionary(named)
            return .string(try formatted(percent: text, with: values))
        default: break
        }
        _ = try bind(&arguments, what)
        if filter != .escape, filter != .forceescape { try charge(walking: text) }
        switch filter {
        case .upper: return .string(text.uppercased())
        case .lower: return .string(TemplateText.lowercased(text))
        case .title: return .string(TemplateText.titleByWords(text))
        case .capitalize: return .string(TemplateText.capitalize(text))
        case .wordcount: return .integer(TemplateText.wordCount(text))
        default: return .string(try escaped(text))
        }
    }

    private mutating func escaped(_ text: String) throws(TemplateError) -> String {
        var result = text
        for (old, new) in [("&", "&amp;"), (">", "&gt;"), ("<", "&lt;"), ("'", "&#39;"), ("\"", "&#34;")] {
            result = try replaced(result, old, new, limit: -1)
        }
        return result
    }

    private mutating func indented(_ text: String, _ arguments: inout TemplateArguments) throws(TemplateError) -> String {
        let values = try bind(&arguments, "indent", "width", "first", "blank")
        var indent = "    "
        if case .string(let given) = values[0] {
            indent = given
        } else if let given = values[0] {
            indent = String(repeating: " ", count: try width(given, "indent", default: 4))
        }
        let indentsFirst = try values[1].map { flag throws(TemplateError) in try isTrue(flag) } ?? false
        let indentsBlank = try values[2].map { flag throws(TemplateError) in try isTrue(flag) } ?? false
        try charge(walking: text)
        let lines = TemplateText.splitLines(text + "\n")
        let (added, overflow) = lines.count.multipliedReportingOverflow(by: indent.utf8.count)
        try charge(bytes: overflow ? .max : text.utf8.count + added)
        var result = indentsFirst ? indent : ""
        for (position, line) in lines.enumerated() {
            if position > 0 {
                result += "\n"
                if indentsBlank || !line.isEmpty { result += indent }
            }
            result += line
        }
        return result
    }
}
