internal import Platform

extension TemplateInterpreter {
    /// Python's `str`: what `{{ value }}` prints.
    mutating func text(of value: TemplateValue) throws(TemplateError) -> String {
        switch value {
        case .string(let text): return text
        case .undefined: return ""
        default: return try representation(of: value)
        }
    }

    /// Python's `repr`.
    mutating func representation(of value: TemplateValue) throws(TemplateError) -> String {
        var text = ""
        try represent(value, into: &text, depth: 0)
        return text
    }

    /// The same value may be reachable in exponentially many ways, so each visit is paid for.
    private mutating func represent(_ value: TemplateValue, into text: inout String, depth: Int) throws(TemplateError) {
        try charge()
        try check(depth: depth)
        guard text.utf8.count <= limits.outputBytes else {
            throw .exceeded(line: line, limit: "bytes of text", bound: limits.outputBytes)
        }
        switch value {
        case .undefined: text += "Undefined"
        case .none: text += "None"
        case .bool(let value): text += value ? "True" : "False"
        case .integer(let value): text += String(value)
        case .float(let value):
            try charge(4)
            text += TemplateText.number(value)
        case .string(let value):
            try charge(walking: value)
            text += TemplateText.quoted(value)
        case .list(let list): try represent(list.elements, "[", "]", into: &text, depth: depth)
        case .tuple(let list): try represent(list.elements, "(", list.elements.count == 1 ? ",)" : ")", into: &text, depth: depth)
        case .view(let view, let list): try represent(list.elements, view.rawValue + "([", "])", into: &text, depth: depth)
        case .dictionary(let dictionary): try represent(dictionary, into: &text, depth: depth)
        case .range(let range):
            text += "range(\(range.start), \(range.stop)" + (range.step == 1 ? ")" : ", \(range.step))")
        case .namespace(let number):
            text += "<Namespace "
            try represent(namespaces[number], into: &text, depth: depth + 1)
            text += ">"
        case .loop(let state): text += "<LoopContext \(state.index + 1)/\(state.count)>"
        case .macro(let number): text += "<Macro \(TemplateText.quoted(program.names[macros[number].macro.name]))>"
        case .iterator, .function, .method: text += "<\(value.typeName)>"
        }
    }

    private mutating func represent(
        _ elements: [TemplateValue], _ open: String, _ close: String, into text: inout String, depth: Int
    ) throws(TemplateError) {
        text += open
        for (position, element) in elements.enumerated() {
            if position > 0 { text += ", " }
            try represent(element, into: &text, depth: depth + 1)
        }
        text += close
    }

    private mutating func represent(
        _ dictionary: TemplateDictionary, into text: inout String, depth: Int
    ) throws(TemplateError) {
        text += "{"
        for (position, entry) in dictionary.entries.enumerated() {
            if position > 0 { text += ", " }
            try represent(entry.shown, into: &text, depth: depth + 1)
            text += ": "
            try represent(entry.value, into: &text, depth: depth + 1)
        }
        text += "}"
    }

    // MARK: JSON in

    /// A client's or the model's JSON as a value of the template.
    mutating func value(of json: JSON, depth: Int = 0) throws(TemplateError) -> TemplateValue {
        try charge()
        try check(depth: depth)
        switch json {
        case .null: return .none
        case .bool(let value): return .bool(value)
        case .integer(let value): return .integer(Int(value))
        case .number(let value): return .float(value)
        case .string(let value): return .string(value)
        case .array(let elements):
            var values: [TemplateValue] = []
            values.reserveCapacity(elements.count)
            for element in elements { values.append(try value(of: element, depth: depth + 1)) }
            return .list(TemplateList(values))
        case .object(let object):
            var dictionary = TemplateDictionary()
            for member in object.members {
                try charge(name: member.key)
                dictionary.set(member.key, try value(of: member.value, depth: depth + 1))
            }
            return .dictionary(dictionary)
        }
    }
}
