/// The `tojson` filter as chat templates know it: Python's `json.dumps` with non-ASCII text as it is, nothing escaped for HTML.
struct TemplateJSONStyle {
    var asciiOnly = false
    /// nil: on one line.
    var indent: String?
    var itemSeparator = ", "
    var keySeparator = ": "
    var sortsKeys = false
    /// The price of the separators around one element.
    var steps = 0
}

extension TemplateInterpreter {
    mutating func json(_ value: TemplateValue, _ arguments: inout TemplateArguments) throws(TemplateError) -> String {
        let values = try bind(&arguments, "tojson", "ensure_ascii", "indent", "separators", "sort_keys")
        var style = TemplateJSONStyle()
        if let ascii = values[0] { style.asciiOnly = try isTrue(ascii) }
        if let sorts = values[3] { style.sortsKeys = try isTrue(sorts) }
        switch values[1] {
        case nil, .some(.none): break
        case .string(let text): style.indent = text
        case .some(let width):
            style.indent = TemplateText.repeated(" ", try self.width(width, "tojson", default: 0))
        }
        if style.indent != nil { style.itemSeparator = "," }
        if let separators = values[2], !separators.isNone {
            let pair = try elements(of: separators)
            guard pair.count == 2, let item = try string(pair[0], "tojson"), let key = try string(pair[1], "tojson") else {
                throw failure("tojson takes two separators")
            }
            // One of each goes with an element, whose step covers a short one.
            style.steps = (item.utf8.count + key.utf8.count) / 64
            style.itemSeparator = item
            style.keySeparator = key
        }
        var text = ""
        try write(value, style, depth: 0, into: &text)
        return text
    }

    private mutating func write(
        _ value: TemplateValue, _ style: TemplateJSONStyle, depth: Int, into text: inout String
    ) throws(TemplateError) {
        try charge(1 + style.steps)
        try check(depth: depth)
        guard text.utf8.count <= limits.outputBytes else {
            throw .exceeded(line: line, limit: "bytes of text", bound: limits.outputBytes)
        }
        switch value {
        case .none: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .integer(let value): text += String(value)
        case .float(let value):
            try charge(4)
            text += Self.jsonNumber(value)
        case .string(let value): try writeQuoted(value, style, into: &text)
        case .list(let list), .tuple(let list):
            if list.elements.isEmpty {
                text += "[]"
                return
            }
            text += "["
            for (position, element) in list.elements.enumerated() {
                if position > 0 { text += style.itemSeparator }
                try breakLine(style, depth: depth + 1, into: &text)
                try write(element, style, depth: depth + 1, into: &text)
            }
            try breakLine(style, depth: depth, into: &text)
            text += "]"
        case .dictionary(let dictionary): try write(dictionary, style, depth: depth, into: &text)
        default: throw failure("a \(value.typeName) cannot be written as JSON")
        }
    }

    private mutating func write(
        _ dictionary: TemplateDictionary, _ style: TemplateJSONStyle, depth: Int, into text: inout String
    ) throws(TemplateError) {
        if dictionary.count == 0 {
            text += "{}"
            return
        }
        var order = dictionary.entries.indices.map { TemplateValue.integer($0) }
        if style.sortsKeys {
            order = try sorted(zip(dictionary.keys, order).map { (key: $0, value: $1) }, descending: false)
        }
        text += "{"
        for (position, number) in order.enumerated() {
            let entry = dictionary.entries[number.asInteger ?? 0]
            if position > 0 { text += style.itemSeparator }
            try breakLine(style, depth: depth + 1, into: &text)
            switch entry.shown {
            case .string(let key): try writeQuoted(key, style, into: &text)
            case .none: text += "\"null\""
            case .bool(let key): text += key ? "\"true\"" : "\"false\""
            case .integer(let key): text += "\"\(key)\""
            case .float(let key): text += "\"\(Self.jsonNumber(key))\""
            default: preconditionFailure("a \(entry.shown.typeName) as a key")
            }
            text += style.keySeparator
            try write(entry.value, style, depth: depth + 1, into: &text)
        }
        try breakLine(style, depth: depth, into: &text)
        text += "}"
    }

    private mutating func breakLine(_ style: TemplateJSONStyle, depth: Int, into text: inout String) throws(TemplateError) {
        guard let indent = style.indent else { return }
        try charge(bytes: indent.utf8.count * depth)
        text += "\n" + TemplateText.repeated(indent, depth)
    }

    private static func jsonNumber(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Infinity" : "Infinity" }
        return TemplateText.number(value)
    }

    private mutating func writeQuoted(_ value: String, _ style: TemplateJSONStyle, into text: inout String) throws(TemplateError) {
        try charge(bytes: value.utf8.count)
        text += "\""
        let isPlain = value.utf8.allSatisfy { byte in
            byte >= 0x20 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\") && (byte < 0x7F || !style.asciiOnly)
        }
        if isPlain {
            text += value
        } else {
            try charge(value.utf8.count / 4)
            for scalar in value.unicodeScalars { text += Self.jsonEscape(scalar, style) }
        }
        text += "\""
    }

    private static func jsonEscape(_ scalar: Unicode.Scalar, _ style: TemplateJSONStyle) -> String {
        switch scalar {
        case "\"": return "\\\""
        case "\\": return "\\\\"
        case "\n": return "\\n"
        case "\r": return "\\r"
        case "\t": return "\\t"
        case "\u{0C}": return "\\f"
        case "\u{08}": return "\\b"
        default: break
        }
        if scalar.value < 0x20 || style.asciiOnly && scalar.value >= 0x7F {
            return UTF16.encode(scalar)!.map { "\\u" + TemplateText.hexadecimal(UInt32($0), digits: 4) }.joined()
        }
        return String(scalar)
    }
}
