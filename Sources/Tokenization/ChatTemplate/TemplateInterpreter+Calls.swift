/// The functions a template finds without defining them.
enum TemplateFunction: String {
    case range
    case namespace
    case dict
    case raiseException = "raise_exception"
    case strftimeNow = "strftime_now"
}

extension TemplateInterpreter {
    /// `callee(arguments)`. A method is called without making a bound method first.
    mutating func evaluateCall(
        _ callee: TemplateExpression, _ list: TemplateArgumentList, line: Int
    ) throws(TemplateError) -> TemplateValue {
        if case .attribute(let object, let name, let method) = callee.kind {
            let receiver = try evaluate(object)
            if case .loop(let state) = receiver, name == "cycle" || name == "changed" {
                var arguments = try evaluate(list)
                self.line = line
                return name == "cycle" ? try cycle(state, &arguments) : try changed(state, &arguments)
            }
            if let method, method.belongs(to: receiver), !method.changes(receiver) {
                var arguments = try evaluate(list)
                self.line = line
                return try call(method, of: receiver, &arguments)
            }
            let function = try attribute(of: receiver, name, method)
            var arguments = try evaluate(list)
            self.line = line
            return try call(function, &arguments)
        }
        let function = try evaluate(callee)
        var arguments = try evaluate(list)
        self.line = line
        return try call(function, &arguments)
    }

    mutating func call(_ function: TemplateValue, _ arguments: inout TemplateArguments) throws(TemplateError) -> TemplateValue {
        switch function {
        case .undefined(let absence): throw failure(absence.reason)
        case .function(let function): return try call(function, &arguments)
        case .macro(let number): return .string(try call(macro: macros[number], &arguments))
        case .method(let bound): return try call(bound.method, of: bound.receiver, &arguments)
        default: throw failure("a \(function.typeName) cannot be called")
        }
    }

    private mutating func call(
        _ function: TemplateFunction, _ arguments: inout TemplateArguments
    ) throws(TemplateError) -> TemplateValue {
        switch function {
        case .range: return .range(try range(&arguments))
        case .namespace:
            try charge(8)
            namespaces.append(try dictionary(&arguments, "namespace()"))
            return .namespace(namespaces.count - 1)
        case .dict: return .dictionary(try dictionary(&arguments, "dict()"))
        case .raiseException:
            let message = try bind(&arguments, "raise_exception()", "message", required: 1)[0]
            throw .raised(try text(of: message ?? .none))
        case .strftimeNow:
            let format = try string(try bind(&arguments, "strftime_now()", "format", required: 1)[0], "strftime_now()") ?? ""
            try charge(bytes: format.utf8.count * 16)
            guard let text = now.formatted(format) else { throw failure("unsupported date format '\(format)'") }
            return .string(text)
        }
    }

    private mutating func range(_ arguments: inout TemplateArguments) throws(TemplateError) -> TemplateRange {
        let values = try bind(&arguments, "range()", "start", "stop", "step", required: 1)
        let first = try integer(values[0], "range()", default: 0)
        let hasStop = values[1] != nil
        let start = hasStop ? first : 0
        let stop = hasStop ? try integer(values[1], "range()", default: 0) : first
        let step = try integer(values[2], "range()", default: 1)
        guard step != 0 else { throw failure("range() with a step of zero") }
        let (distance, overflow) = step > 0 ? stop.subtractingReportingOverflow(start) : start.subtractingReportingOverflow(stop)
        let magnitude = step.magnitude
        let count = distance <= 0 && !overflow ? 0 : (distance.magnitude - 1) / magnitude + 1
        guard !overflow, count <= limits.rangeLength else {
            throw .exceeded(line: line, limit: "elements of a range", bound: limits.rangeLength)
        }
        return TemplateRange(start: start, stop: stop, step: step, count: Int(count))
    }

    /// What `dict(mapping, key=value)` makes.
    private mutating func dictionary(
        _ arguments: inout TemplateArguments, _ what: String
    ) throws(TemplateError) -> TemplateDictionary {
        var result = TemplateDictionary()
        guard arguments.positional.count <= 1 else { throw failure("\(what) takes at most one mapping") }
        switch arguments.positional.first {
        case nil: break
        case .dictionary(let dictionary): result = dictionary
        case .some(let pairs):
            for pair in try elements(of: pairs) {
                let parts = try elements(of: pair)
                guard parts.count == 2 else { throw failure("\(what) takes pairs, not \(parts.count) values") }
                result.set(try key(parts[0]), shown: parts[0], parts[1])
            }
        }
        for (name, value) in arguments.named { result.set(name, value) }
        try charge(result.count)
        try check(depth: result.depth)
        return result
    }

    // MARK: Loop methods

    private func cycle(_ state: TemplateLoopState, _ arguments: inout TemplateArguments) throws(TemplateError) -> TemplateValue {
        guard !arguments.positional.isEmpty, arguments.named.isEmpty else { throw failure("loop.cycle() needs values") }
        return arguments.positional[state.index % arguments.positional.count]
    }

    private mutating func changed(
        _ state: TemplateLoopState, _ arguments: inout TemplateArguments
    ) throws(TemplateError) -> TemplateValue {
        let value = TemplateValue.tuple(try list(arguments.positional))
        if let last = state.lastChanged, try areEqual(last, value) { return .bool(false) }
        state.remember(value)
        return .bool(true)
    }

    // MARK: Macros

    mutating func define(_ macro: TemplateMacro) -> TemplateValue {
        macros.append(TemplateMacroValue(macro: macro, scope: scope))
        return .macro(macros.count - 1)
    }

    private mutating func call(
        macro value: TemplateMacroValue, _ arguments: inout TemplateArguments
    ) throws(TemplateError) -> String {
        let macro = value.macro
        try enter()
        let outer = scope
        scope = TemplateScope(parent: value.scope)
        defer {
            scope = outer
            leave()
        }
        try bindParameters(of: macro, &arguments)
        let text = try capture(macro.body)
        try charge(bytes: text.utf8.count)
        return text
    }

    private mutating func bindParameters(of macro: TemplateMacro, _ arguments: inout TemplateArguments) throws(TemplateError) {
        let name = program.names[macro.name]
        let callLine = line
        // Each parameter is sought among all named arguments.
        try charge((macro.parameters.count + 1) * (arguments.named.count + 1) / 4)
        var missing: [(name: TemplateName, value: TemplateExpression?)] = []
        for (position, parameter) in macro.parameters.enumerated() {
            if position < arguments.positional.count {
                scope.set(parameter.name, arguments.positional[position])
            } else if let given = arguments.take(named: program.names[parameter.name]) {
                scope.set(parameter.name, given)
            } else {
                missing.append(parameter)
            }
        }
        // Defaults may refer to parameters before them.
        for parameter in missing {
            if let value = parameter.value {
                scope.set(parameter.name, try evaluate(value))
            } else {
                let reason = "parameter '\(program.names[parameter.name])' was not provided"
                scope.set(parameter.name, .undefined(.because(reason)))
            }
        }
        line = callLine
        if let caller = macro.implicit.caller, !macro.parameters.contains(where: { $0.name == caller }) {
            scope.set(caller, arguments.take(named: "caller") ?? .undefined(.because("no caller defined")))
        }
        let extra = Array(arguments.positional.dropFirst(macro.parameters.count))
        if let varargs = macro.implicit.varargs {
            scope.set(varargs, .tuple(try list(extra)))
        } else if !extra.isEmpty {
            throw failure("macro '\(name)' takes at most \(macro.parameters.count) arguments")
        }
        if let kwargs = macro.implicit.kwargs {
            var dictionary = TemplateDictionary()
            for (name, value) in arguments.named { dictionary.set(name, value) }
            try check(depth: dictionary.depth)
            scope.set(kwargs, .dictionary(dictionary))
        } else if let unknown = arguments.named.first {
            throw failure("macro '\(name)' takes no argument '\(unknown.name)'")
        }
    }
}
