internal import Platform

/// The evaluated arguments of a call, taken out one by one by what is called.
struct TemplateArguments {
    var positional: [TemplateValue]
    var named: [(name: String, value: TemplateValue)]

    init(_ positional: [TemplateValue] = [], named: [(name: String, value: TemplateValue)] = []) {
        self.positional = positional
        self.named = named
    }

    mutating func take(named name: String) -> TemplateValue? {
        guard let position = named.firstIndex(where: { TemplateText.equal($0.name, name) }) else { return nil }
        return named.remove(at: position).value
    }

    /// The values of `parameters` in their order, nil where none was given; nil for all when something else was given.
    mutating func bind(_ parameters: [String]) -> [TemplateValue?]? {
        guard positional.count <= parameters.count else { return nil }
        var values: [TemplateValue?] = positional.map(\.self)
        for parameter in parameters.dropFirst(positional.count) { values.append(take(named: parameter)) }
        return named.isEmpty ? values : nil
    }
}

extension TemplateInterpreter {
    mutating func evaluate(_ list: TemplateArgumentList) throws(TemplateError) -> TemplateArguments {
        var arguments = TemplateArguments()
        for expression in list.positional { arguments.positional.append(try evaluate(expression)) }
        for (name, expression) in list.named { arguments.named.append((name, try evaluate(expression))) }
        if let spread = list.spread {
            let more = try elements(of: try evaluate(spread))
            try charge(more.count)
            arguments.positional.append(contentsOf: more)
        }
        if let spread = list.spreadNamed {
            let value = try evaluate(spread)
            guard case .dictionary(let dictionary) = value else { throw failure("'**' takes a mapping, not a \(value.typeName)") }
            try charge(dictionary.count + arguments.named.count)
            var given = Set(arguments.named.map { ExactText($0.name) })
            for entry in dictionary.entries {
                guard case .string(let name) = entry.key else { throw failure("a keyword that is not a text") }
                try charge(name: name.text)
                guard given.insert(name).inserted else { throw failure("'\(name.text)' was given twice") }
                arguments.named.append((name.text, entry.value))
            }
        }
        return arguments
    }

    /// Values for `parameters`, in order; `what` names the called thing in the error.
    func bind(
        _ arguments: inout TemplateArguments, _ what: String, _ parameters: String..., required: Int = 0
    ) throws(TemplateError) -> [TemplateValue?] {
        guard let values = arguments.bind(parameters) else {
            if let extra = arguments.named.first { throw failure("\(what) takes no argument '\(extra.name)'") }
            throw failure("\(what) takes at most \(parameters.count) arguments, \(arguments.positional.count) were given")
        }
        for index in 0..<required where values[index] == nil {
            throw failure("\(what) needs its argument '\(parameters[index])'")
        }
        return values
    }

    /// An integer argument; `standard` when it was not given.
    func integer(_ value: TemplateValue?, _ what: String, default standard: Int) throws(TemplateError) -> Int {
        guard let value else { return standard }
        if case .undefined(let absence) = value { throw failure(absence.reason) }
        guard let number = value.asInteger else { throw failure("\(what) takes an integer, not a \(value.typeName)") }
        return number
    }

    /// A width argument, paid for as text of that many bytes; below zero it is 0.
    mutating func width(_ value: TemplateValue?, _ what: String, default standard: Int) throws(TemplateError) -> Int {
        let width = max(0, try integer(value, what, default: standard))
        try charge(bytes: width)
        return width
    }

    /// A text argument; nil when it was not given or is none.
    func string(_ value: TemplateValue?, _ what: String) throws(TemplateError) -> String? {
        switch value {
        case nil, .some(.none): return nil
        case .string(let text): return text
        case .undefined(let absence): throw failure(absence.reason)
        case .some(let value): throw failure("\(what) takes a text, not a \(value.typeName)")
        }
    }
}
