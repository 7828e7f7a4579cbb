internal import Platform

extension TemplateInterpreter {
    /// The methods of Python's `str`. The receiver's size has been paid for.
    mutating func call(
        _ method: TemplateMethod, ofText text: String, _ arguments: inout TemplateArguments
    ) throws(TemplateError) -> TemplateValue {
        let what = "\(method.rawValue)()"
        switch method {
        case .strip, .lstrip, .rstrip:
            let set = try string(try bind(&arguments, what, "chars")[0], what)
            let side: TemplateText.Side = method == .strip ? .both : method == .lstrip ? .left : .right
            return .string(try stripped(text, set, side))
        case .split, .rsplit: return try split(text, &arguments, fromRight: method == .rsplit)
        case .splitlines:
            let keeps = try bind(&arguments, what, "keepends")[0].map { value throws(TemplateError) in try isTrue(value) } ?? false
            try charge(walking: text)
            return .list(try strings(TemplateText.splitLines(text, keepingEnds: keeps)))
        case .startswith, .endswith: return .bool(try hasEnd(text, method, &arguments))
        case .find, .rfind, .index, .rindex, .count: return .integer(try find(text, method, &arguments))
        case .replace:
            let values = try bind(&arguments, what, "old", "new", "count", required: 2)
            guard let old = try string(values[0], what), let new = try string(values[1], what) else {
                throw failure("\(what) takes texts")
            }
            return .string(try replaced(text, old, new, limit: try integer(values[2], what, default: -1)))
        case .join:
            let values = try elements(of: try bind(&arguments, what, "iterable", required: 1)[0] ?? .none)
            for value in values {
                guard case .string = value else { throw failure("join() takes texts, not a \(value.typeName)") }
            }
            return .string(try joined(values, separator: text))
        case .removeprefix, .removesuffix:
            let affix = try string(try bind(&arguments, what, "affix", required: 1)[0], what) ?? ""
            if method == .removeprefix {
                return .string(TemplateText.hasPrefix(text, affix) ? TemplateText.string(text.utf8.dropFirst(affix.utf8.count)) : text)
            }
            return .string(TemplateText.hasSuffix(text, affix) ? TemplateText.string(text.utf8.dropLast(affix.utf8.count)) : text)
        case .partition, .rpartition: return .tuple(try strings(try partition(text, method, &arguments)))
        case .center, .ljust, .rjust, .zfill: return .string(try padded(text, method, &arguments))
        case .format: return .string(try formatted(braces: text, with: &arguments))
        case .casefold, .encode, .expandtabs, .maketrans, .translate, .formatMap, .isidentifier, .isprintable, .istitle:
            throw failure("the method '\(method.rawValue)' of a text is not supported")
        default: break
        }
        _ = try bind(&arguments, what)
        try charge(walking: text)
        let scalars = text.unicodeScalars
        switch method {
        case .lower: return .string(TemplateText.lowercased(text))
        case .upper: return .string(text.uppercased())
        case .capitalize: return .string(TemplateText.capitalize(text))
        case .title: return .string(TemplateText.titleByLetters(text))
        case .swapcase: return .string(TemplateText.swapCase(text))
        case .isupper: return .bool(TemplateText.isUpper(text))
        case .islower: return .bool(TemplateText.isLower(text))
        case .isascii: return .bool(scalars.allSatisfy(\.isASCII))
        case .isspace: return .bool(!text.isEmpty && scalars.allSatisfy(\.isPythonSpace))
        case .isalpha: return .bool(!text.isEmpty && scalars.allSatisfy(TemplateText.isLetter))
        case .isalnum:
            return .bool(!text.isEmpty && scalars.allSatisfy { TemplateText.isLetter($0) || $0.properties.numericType != nil })
        case .isnumeric: return .bool(!text.isEmpty && scalars.allSatisfy { $0.properties.numericType != nil })
        case .isdigit:
            return .bool(!text.isEmpty && scalars.allSatisfy { [.decimal, .digit].contains($0.properties.numericType) })
        case .isdecimal: return .bool(!text.isEmpty && scalars.allSatisfy { $0.properties.numericType == .decimal })
        default: throw failure("a text has no method '\(method.rawValue)'")
        }
    }

    /// `text` without the code points of `set` (nil: whitespace) at its ends. What goes is paid for once it is known.
    mutating func stripped(_ text: String, _ set: String?, _ side: TemplateText.Side) throws(TemplateError) -> String {
        if let set { try charge(walking: set) }
        let result = TemplateText.strip(text, set, side)
        try charge((text.utf8.count - result.utf8.count) / 4)
        return result
    }

    /// A list of texts, paid for.
    private mutating func strings(_ parts: [String]) throws(TemplateError) -> TemplateList {
        try list(parts.map(TemplateValue.string))
    }

    private mutating func split(
        _ text: String, _ arguments: inout TemplateArguments, fromRight: Bool
    ) throws(TemplateError) -> TemplateValue {
        let values = try bind(&arguments, "split()", "sep", "maxsplit")
        let limit = try integer(values[1], "split()", default: -1)
        guard let separator = try string(values[0], "split()") else {
            try charge(walking: text)
            return .list(try strings(TemplateText.splitWords(text, limit: limit, fromRight: fromRight)))
        }
        guard !separator.isEmpty else { throw failure("split() with an empty separator") }
        try charge(bytes: separator.utf8.count)
        // More parts than can be paid for need not be made to find that out.
        if limit < 0 { return .list(try strings(TemplateText.split(text, by: separator, limit: allowance))) }
        return .list(try strings(TemplateText.split(text, by: separator, limit: min(limit, allowance), fromRight: fromRight)))
    }

    private mutating func hasEnd(
        _ text: String, _ method: TemplateMethod, _ arguments: inout TemplateArguments
    ) throws(TemplateError) -> Bool {
        let what = "\(method.rawValue)()"
        let value = try bind(&arguments, what, "affix", required: 1)[0] ?? .none
        var affixes = [value]
        if case .tuple(let several) = value { affixes = several.elements }
        for affix in affixes {
            guard let affix = try string(affix, what) else { throw failure("\(what) takes a text, not a NoneType") }
            try charge(bytes: min(affix.utf8.count, text.utf8.count))
            if method == .startswith ? TemplateText.hasPrefix(text, affix) : TemplateText.hasSuffix(text, affix) { return true }
        }
        return false
    }

    private mutating func find(
        _ text: String, _ method: TemplateMethod, _ arguments: inout TemplateArguments
    ) throws(TemplateError) -> Int {
        let what = "\(method.rawValue)()"
        guard let needle = try string(try bind(&arguments, what, "sub", required: 1)[0], what) else {
            throw failure("\(what) takes a text")
        }
        try charge(bytes: needle.utf8.count)
        let bytes = Array(text.utf8)
        let pattern = Array(needle.utf8)
        func codePoints(_ count: Int) -> Int { bytes[..<count].count { $0 & 0xC0 != 0x80 } }
        if method == .count {
            return pattern.isEmpty
                ? text.unicodeScalars.count + 1 : TemplateText.occurrences(of: pattern, in: bytes).count
        }
        let fromRight = method == .rfind || method == .rindex
        if pattern.isEmpty { return fromRight ? codePoints(bytes.count) : 0 }
        var offset: Int?
        if fromRight {
            let reversed = TemplateText.occurrences(of: pattern.reversed(), in: bytes.reversed(), limit: 1)
            offset = reversed.first.map { bytes.count - $0 - pattern.count }
        } else {
            offset = TemplateText.occurrences(of: pattern, in: bytes, limit: 1).first
        }
        if let offset { return codePoints(offset) }
        guard method == .find || method == .rfind else { throw failure("\(what): the text does not occur") }
        return -1
    }

    /// `text` with `old` replaced, its size paid for before it is made.
    mutating func replaced(_ text: String, _ old: String, _ new: String, limit: Int) throws(TemplateError) -> String {
        try charge(bytes: text.utf8.count + old.utf8.count)
        let found =
            old.isEmpty
            ? text.unicodeScalars.count + 1 : TemplateText.occurrences(of: Array(old.utf8), in: Array(text.utf8)).count
        let count = limit < 0 ? found : min(found, limit)
        try charge(count / 4)
        let (growth, overflow) = count.multipliedReportingOverflow(by: max(0, new.utf8.count - old.utf8.count))
        try charge(bytes: overflow ? .max : text.utf8.count + growth)
        return TemplateText.replace(text, old, with: new, limit: limit)
    }

    /// The texts of `values` with `separator` between them.
    mutating func joined(_ values: [TemplateValue], separator: String) throws(TemplateError) -> String {
        var result = ""
        for (position, value) in values.enumerated() {
            let part = try self.text(of: value)
            let bytes = result.utf8.count + part.utf8.count + separator.utf8.count
            guard bytes <= limits.outputBytes else { throw .exceeded(line: line, limit: "bytes of text", bound: limits.outputBytes) }
            try charge((part.utf8.count + separator.utf8.count) / 64 + 1)
            if position > 0 { result += separator }
            result += part
        }
        return result
    }

    private mutating func partition(
        _ text: String, _ method: TemplateMethod, _ arguments: inout TemplateArguments
    ) throws(TemplateError) -> [String] {
        let what = "\(method.rawValue)()"
        let separator = try string(try bind(&arguments, what, "sep", required: 1)[0], what) ?? ""
        guard !separator.isEmpty else { throw failure("\(what) with an empty separator") }
        try charge(bytes: separator.utf8.count)
        let parts = TemplateText.split(text, by: separator, limit: 1, fromRight: method == .rpartition)
        if parts.count == 2 { return [parts[0], separator, parts[1]] }
        return method == .partition ? [text, "", ""] : ["", "", text]
    }

    private mutating func padded(
        _ text: String, _ method: TemplateMethod, _ arguments: inout TemplateArguments
    ) throws(TemplateError) -> String {
        let what = "\(method.rawValue)()"
        let values = try bind(&arguments, what, "width", "fillchar", required: 1)
        let width = try width(values[0], what, default: 0)
        var fill = " "
        if method == .zfill { fill = "0" } else if let given = try string(values[1], what) { fill = given }
        guard fill.utf8.count <= 4, fill.unicodeScalars.count == 1 else { throw failure("\(what) fills with one character") }
        if method == .center { return TemplateText.center(text, width: width, fill: fill) }
        let filling = TemplateText.repeated(fill, width - text.unicodeScalars.count)
        if method == .ljust { return text + filling }
        if method == .zfill, let sign = text.unicodeScalars.first, sign == "-" || sign == "+" {
            return String(sign) + filling + TemplateText.string(text.unicodeScalars.dropFirst())
        }
        return filling + text
    }

    // MARK: Formats

    /// `format % value`
    mutating func formatted(percent format: String, with value: TemplateValue) throws(TemplateError) -> String {
        try charge(walking: format)
        var positional = [value]
        var named = TemplateDictionary()
        // Python takes whatever can be indexed for a mapping here, and mappings may have more than is used.
        var mayHaveMore = false
        switch value {
        case .dictionary, .list, .range, .undefined: mayHaveMore = true
        default: break
        }
        if case .tuple(let several) = value { positional = several.elements }
        if case .dictionary(let dictionary) = value { named = dictionary }
        let pieces: [TemplateFormat.Piece]
        do { pieces = try TemplateFormat(percent: format).pieces } catch { throw failure(error.reason) }
        var used = 0
        let result = try fill(pieces, positional, named, used: &used)
        guard used == positional.count || mayHaveMore else {
            throw failure("not all arguments were used by the format")
        }
        return result
    }

    private mutating func formatted(braces format: String, with arguments: inout TemplateArguments) throws(TemplateError) -> String {
        try charge(walking: format)
        try charge(arguments.named.count)
        var named = TemplateDictionary()
        for (name, value) in arguments.named { named.set(name, value) }
        let pieces: [TemplateFormat.Piece]
        do { pieces = try TemplateFormat(braces: format).pieces } catch { throw failure(error.reason) }
        var used = 0
        return try fill(pieces, arguments.positional, named, used: &used)
    }

    private mutating func fill(
        _ pieces: [TemplateFormat.Piece], _ positional: [TemplateValue], _ named: TemplateDictionary, used: inout Int
    ) throws(TemplateError) -> String {
        var result = ""
        for piece in pieces {
            let part: String
            switch piece {
            case .text(let text): part = text
            case .hole(let hole):
                var value: TemplateValue?
                switch hole.reference {
                case .next:
                    value = used < positional.count ? positional[used] : nil
                    used += 1
                case .position(let position):
                    value = positional.indices.contains(position) ? positional[position] : nil
                case .name(let name):
                    try charge(name: name)
                    value = named[name]
                }
                guard let value else { throw failure("too few arguments for the format") }
                part = try text(of: value, in: hole)
            }
            try charge(bytes: result.utf8.count + part.utf8.count)
            result += part
        }
        return result
    }

    private mutating func text(of value: TemplateValue, in hole: TemplateFormat.Hole) throws(TemplateError) -> String {
        switch hole.conversion {
        case "s": return TemplateFormat.aligned(try text(of: value), hole)
        case "r": return TemplateFormat.aligned(try representation(of: value), hole)
        case "f", "F":
            guard let number = value.asDouble else { throw failure("a number is needed, not a \(value.typeName)") }
            try charge(TemplateDecimal.steps)
            return TemplateFormat.float(number, hole)
        default:
            if case .float(let number) = value, hole.conversion != "x", hole.conversion != "X",
                let whole = Int(exactly: number.rounded(.towardZero))
            {
                return TemplateFormat.integer(whole, hole)
            }
            guard let number = value.asInteger else { throw failure("a number is needed, not a \(value.typeName)") }
            return TemplateFormat.integer(number, hole)
        }
    }
}
