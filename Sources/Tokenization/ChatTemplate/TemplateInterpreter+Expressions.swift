extension TemplateInterpreter {
    /// The value of an expression. One step.
    mutating func evaluate(_ expression: TemplateExpression) throws(TemplateError) -> TemplateValue {
        try charge()
        line = expression.line
        switch expression.kind {
        case .literal(let literal): return TemplateValue(literal)
        case .name(let name): return try lookUp(name)
        default: break
        }
        try enter()
        defer { leave() }
        switch expression.kind {
        case .literal, .name: preconditionFailure("evaluated above")
        case .attribute(let object, let name, let method): return try attribute(of: try evaluate(object), name, method)
        case .item(let object, let key): return try item(of: try evaluate(object), try evaluate(key))
        case .slice(let object, let start, let stop, let step): return try slice(object, start, stop, step)
        case .call(let callee, let arguments): return try evaluateCall(callee, arguments, line: expression.line)
        case .filter(let input, let call): return try apply(call, to: try evaluate(input))
        case .test(let input, let test, let list): return try evaluateTest(input, test, list, line: expression.line)
        case .arithmetic(let first, let rest): return try evaluateArithmetic(first, rest)
        case .concatenation(let operands): return try evaluateConcatenation(operands)
        case .comparison(let first, let rest): return .bool(try evaluateComparison(first, rest))
        case .negative(let operand): return try negated(try evaluate(operand))
        case .positive(let operand): return try positive(try evaluate(operand))
        case .not(let operand): return .bool(!(try isTrue(try evaluate(operand))))
        case .and(let operands): return try evaluateFirst(of: operands, whoseTruthIs: false)
        case .or(let operands): return try evaluateFirst(of: operands, whoseTruthIs: true)
        case .conditional(let test, let then, let otherwise):
            if try isTrue(try evaluate(test)) { return try evaluate(then) }
            guard let otherwise else {
                return .undefined(.because("the inline if-expression on line \(expression.line) has no value: no 'else'"))
            }
            return try evaluate(otherwise)
        case .list(let items): return .list(try list(try evaluateAll(items)))
        case .tuple(let items): return .tuple(try list(try evaluateAll(items)))
        case .dictionary(let members): return try evaluateDictionary(members)
        }
    }

    private mutating func evaluateAll(_ expressions: [TemplateExpression]) throws(TemplateError) -> [TemplateValue] {
        var values: [TemplateValue] = []
        values.reserveCapacity(expressions.count)
        for expression in expressions { values.append(try evaluate(expression)) }
        return values
    }

    private mutating func evaluateDictionary(
        _ members: [(key: TemplateExpression, value: TemplateExpression)]
    ) throws(TemplateError) -> TemplateValue {
        var dictionary = TemplateDictionary()
        for member in members {
            let key = try evaluate(member.key)
            dictionary.set(try self.key(key), shown: key, try evaluate(member.value))
        }
        try check(depth: dictionary.depth)
        return .dictionary(dictionary)
    }

    mutating func key(_ value: TemplateValue) throws(TemplateError) -> TemplateDictionary.Key {
        if case .string(let text) = value { try charge(name: text) }
        guard let key = TemplateDictionary.Key(value) else { throw failure("a \(value.typeName) cannot be a key") }
        return key
    }

    /// The first operand whose truth is as wanted, else the last: `and` and `or` give operands, not booleans.
    private mutating func evaluateFirst(
        of operands: [TemplateExpression], whoseTruthIs wanted: Bool
    ) throws(TemplateError) -> TemplateValue {
        var value = TemplateValue.none
        for operand in operands {
            value = try evaluate(operand)
            if try isTrue(value) == wanted { break }
        }
        return value
    }

    private mutating func evaluateTest(
        _ input: TemplateExpression, _ test: TemplateTest, _ list: TemplateArgumentList, line: Int
    ) throws(TemplateError) -> TemplateValue {
        let value = try evaluate(input)
        var arguments = try evaluate(list)
        self.line = line
        return .bool(try passes(test, value, &arguments))
    }

    private mutating func evaluateConcatenation(_ operands: [TemplateExpression]) throws(TemplateError) -> TemplateValue {
        var result = ""
        for operand in operands {
            let part = try text(of: try evaluate(operand))
            try charge(bytes: result.utf8.count + part.utf8.count)
            result += part
        }
        return .string(result)
    }

    // MARK: Members

    mutating func attribute(
        of object: TemplateValue, _ name: String, _ method: TemplateMethod?
    ) throws(TemplateError) -> TemplateValue {
        if let method, method.belongs(to: object) { return boundMethod(object, method) }
        try charge(name: name)
        switch object {
        case .undefined(let absence): throw failure(absence.reason)
        case .dictionary(let dictionary): return dictionary[name] ?? .undefined(.attribute(of: "dict object", name: name))
        case .namespace(let number):
            return namespaces[number][name] ?? .undefined(.attribute(of: "jinja2.utils.Namespace object", name: name))
        case .loop(let state):
            return state.attribute(name) ?? .undefined(.attribute(of: "jinja2.runtime.LoopContext object", name: name))
        case .macro(let number) where name == "name": return .string(program.names[macros[number].macro.name])
        default: return .undefined(.attribute(of: object.objectName, name: name))
        }
    }

    private func boundMethod(_ object: TemplateValue, _ method: TemplateMethod) -> TemplateValue {
        if method.changes(object) { return .undefined(.unsafeAttribute(of: object.typeName, name: method.rawValue)) }
        return .method(TemplateBoundMethod(object, method))
    }

    /// `object[key]`; what is not there is undefined, as is a key of a wrong kind.
    mutating func item(of object: TemplateValue, _ key: TemplateValue) throws(TemplateError) -> TemplateValue {
        if case .string(let name) = key { try charge(name: name) }
        switch object {
        case .undefined(let absence): throw failure(absence.reason)
        case .dictionary(let dictionary):
            if let key = TemplateDictionary.Key(key), let value = dictionary[key] { return value }
        case .list(let list), .tuple(let list):
            if let index = position(key, in: list.elements.count) { return list.elements[index] }
        case .range(let range):
            if let index = position(key, in: range.count) { return .integer(range[index]) }
        case .string(let text):
            if let index = key.asInteger {
                try charge(bytes: text.utf8.count)
                let scalars = text.unicodeScalars
                let offset = index < 0 ? scalars.count + index : index
                if offset >= 0, let found = scalars.dropFirst(offset).first { return .string(String(found)) }
            }
        default: break
        }
        guard case .string(let name) = key else {
            return .undefined(.element(of: object.objectName, key: try representation(of: key)))
        }
        let method = TemplateMethod(name: name)
        if case .dictionary = object, method == nil { return .undefined(.attribute(of: "dict object", name: name)) }
        return try attribute(of: object, name, method)
    }

    private func position(_ key: TemplateValue, in count: Int) -> Int? {
        guard let index = key.asInteger else { return nil }
        let position = index < 0 ? count + index : index
        return position >= 0 && position < count ? position : nil
    }

    // MARK: Slices

    private mutating func slice(
        _ object: TemplateExpression, _ start: TemplateExpression?, _ stop: TemplateExpression?, _ step: TemplateExpression?
    ) throws(TemplateError) -> TemplateValue {
        let value = try evaluate(object)
        let start = try sliceBound(start)
        let stop = try sliceBound(stop)
        let step = try sliceBound(step) ?? 1
        guard step != 0 else { throw failure("a slice's step cannot be zero") }
        func indices(_ count: Int) -> TemplateRange { Self.sliceRange(start, stop, step, count: count) }
        switch value {
        case .undefined(let absence): throw failure(absence.reason)
        case .list(let list): return .list(try self.list(pick(list.elements, indices(list.elements.count))))
        case .tuple(let list): return .tuple(try self.list(pick(list.elements, indices(list.elements.count))))
        case .range(let range):
            let picked = indices(range.count)
            let (scaled, overflow) = range.step.multipliedReportingOverflow(by: step)
            guard !overflow else { throw failure("an integer beyond 64 bits") }
            // Positions within the range, or one beyond its ends.
            let first = range.start &+ picked.start &* range.step
            let end = range.start &+ picked.stop &* range.step
            return .range(TemplateRange(start: first, stop: end, step: scaled, count: picked.count))
        case .string(let text):
            try charge(walking: text)
            let scalars = Array(text.unicodeScalars)
            let picked = indices(scalars.count)
            return .string(TemplateText.string((0..<picked.count).map { scalars[picked[$0]] }))
        default: throw failure("a \(value.typeName) cannot be sliced")
        }
    }

    private mutating func sliceBound(_ expression: TemplateExpression?) throws(TemplateError) -> Int? {
        guard let expression else { return nil }
        let value = try evaluate(expression)
        if case .none = value { return nil }
        guard let bound = value.asInteger else { throw failure("a slice's bound is a \(value.typeName), not an integer") }
        return bound
    }

    private func pick(_ elements: [TemplateValue], _ indices: TemplateRange) -> [TemplateValue] {
        if indices.count == 0 { return [] }
        if indices.step == 1 { return Array(elements[indices.start..<(indices.start + indices.count)]) }
        return (0..<indices.count).map { elements[indices[$0]] }
    }

    /// The positions a slice picks from `count` elements, clamped as Python clamps them.
    private static func sliceRange(_ start: Int?, _ stop: Int?, _ step: Int, count: Int) -> TemplateRange {
        // A step longer than the sequence picks one element at most; clamping it keeps the arithmetic below 64 bits.
        let step = max(-count - 1, min(count + 1, step))
        func clamped(_ bound: Int?, default standard: Int) -> Int {
            guard let bound else { return standard }
            let low = step < 0 ? -1 : 0
            let high = step < 0 ? count - 1 : count
            if bound < 0 { return max(low, bound < -count ? low : bound + count) }
            return min(high, bound)
        }
        let first = clamped(start, default: step < 0 ? count - 1 : 0)
        let end = clamped(stop, default: step < 0 ? -1 : count)
        let picked = step > 0 ? (end - first + step - 1) / step : (first - end - step - 1) / -step
        return TemplateRange(start: first, stop: end, step: step, count: max(0, picked))
    }
}

extension TemplateLoopState {
    /// The members of `loop`; nil for another name. Its methods are `cycle` and `changed`.
    func attribute(_ name: String) -> TemplateValue? {
        switch name {
        case "index": .integer(index + 1)
        case "index0": .integer(index)
        case "revindex": .integer(count - index)
        case "revindex0": .integer(count - index - 1)
        case "first": .bool(index == 0)
        case "last": .bool(index == count - 1)
        case "length": .integer(count)
        case "depth": .integer(1)
        case "depth0": .integer(0)
        case "previtem":
            index > 0 && index <= items.count ? items[index - 1] : .undefined(.because("there is no previous item"))
        case "nextitem": index + 1 < items.count ? items[index + 1] : .undefined(.because("there is no next item"))
        default: nil
        }
    }
}
