internal import Platform

/// Attributes that values of Python's own types have. A name that is none of these is looked up as a key.
enum TemplateMethod: String, CaseIterable {
    // Text
    case capitalize, casefold, center, count, encode, endswith, expandtabs, find, format, index, isalnum, isalpha, isascii
    case isdecimal, isdigit, isidentifier, islower, isnumeric, isprintable, isspace, istitle, isupper, join, ljust, lower, lstrip
    case maketrans, partition, removeprefix, removesuffix, replace, rfind, rindex, rjust, rpartition, rsplit, rstrip, split
    case splitlines, startswith, strip, swapcase, title, translate, upper, zfill
    case formatMap = "format_map"
    // Dictionaries
    case clear, copy, fromkeys, get, items, keys, pop, popitem, setdefault, update, values
    // Lists
    case append, extend, insert, remove, reverse, sort

    private static let byName = Dictionary(uniqueKeysWithValues: allCases.map { (ExactText($0.rawValue), $0) })

    /// One look-up: a raw value is found by comparing with every case.
    init?(name: String) {
        guard let method = Self.byName[ExactText(name)] else { return nil }
        self = method
    }

    /// Whether Python has this attribute on a value of this kind.
    func belongs(to value: TemplateValue) -> Bool {
        switch value {
        case .string:
            switch self {
            case .clear, .copy, .fromkeys, .get, .items, .keys, .pop, .popitem, .setdefault, .update, .values: false
            case .append, .extend, .insert, .remove, .reverse, .sort: false
            default: true
            }
        case .dictionary:
            switch self {
            case .clear, .copy, .fromkeys, .get, .items, .keys, .pop, .popitem, .setdefault, .update, .values: true
            default: false
            }
        case .list:
            switch self {
            case .append, .extend, .insert, .remove, .reverse, .sort, .clear, .copy, .count, .index, .pop: true
            default: false
            }
        case .tuple, .range: self == .count || self == .index
        default: false
        }
    }

    /// Whether it would change the value, which templates may not.
    func changes(_ value: TemplateValue) -> Bool {
        switch (self, value) {
        case (.clear, _), (.pop, _), (.popitem, _), (.setdefault, _), (.update, _): true
        case (.append, _), (.extend, _), (.insert, _), (.remove, _), (.reverse, _), (.sort, _): true
        default: false
        }
    }
}

extension TemplateInterpreter {
    mutating func call(
        _ method: TemplateMethod, of receiver: TemplateValue, _ arguments: inout TemplateArguments
    ) throws(TemplateError) -> TemplateValue {
        switch receiver {
        case .string(let text):
            try charge(bytes: text.utf8.count)
            return try call(method, ofText: text, &arguments)
        case .dictionary(let dictionary): return try call(method, ofDictionary: dictionary, &arguments)
        case .list, .tuple, .range: return try call(method, ofSequence: receiver, &arguments)
        default: preconditionFailure("a method of a \(receiver.typeName)")
        }
    }

    private mutating func call(
        _ method: TemplateMethod, ofDictionary dictionary: TemplateDictionary, _ arguments: inout TemplateArguments
    ) throws(TemplateError) -> TemplateValue {
        let what = "\(method.rawValue)()"
        if method == .get {
            let values = try bind(&arguments, what, "key", "default", required: 1)
            if let key = values[0], let value = dictionary[try self.key(key)] { return value }
            return values[1] ?? .none
        }
        _ = try bind(&arguments, what)
        switch method {
        case .items: return .view(.items, try list(dictionary.items))
        case .keys: return .view(.keys, try list(dictionary.keys))
        case .values: return .view(.values, try list(dictionary.values))
        case .copy: return .dictionary(dictionary)
        default: throw failure("the method '\(method.rawValue)' of a dict is not supported")
        }
    }

    private mutating func call(
        _ method: TemplateMethod, ofSequence receiver: TemplateValue, _ arguments: inout TemplateArguments
    ) throws(TemplateError) -> TemplateValue {
        let elements = try elements(of: receiver)
        switch method {
        case .copy:
            _ = try bind(&arguments, "copy()")
            return receiver
        case .count:
            let wanted = try bind(&arguments, "count()", "value", required: 1)[0] ?? .none
            var count = 0
            for element in elements where try areEqual(element, wanted) { count += 1 }
            return .integer(count)
        case .index:
            let wanted = try bind(&arguments, "index()", "value", required: 1)[0] ?? .none
            for (position, element) in elements.enumerated() where try areEqual(element, wanted) { return .integer(position) }
            throw failure("the value is not in the \(receiver.typeName)")
        default: throw failure("the method '\(method.rawValue)' of a \(receiver.typeName) is not supported")
        }
    }
}
