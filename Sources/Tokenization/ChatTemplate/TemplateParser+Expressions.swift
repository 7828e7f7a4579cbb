/// Expressions, loosest binding first: conditional, `or`, `and`, `not`, comparisons, `+ -`, `~`, `* / // %`, `**`, signs,
/// then accesses and calls, then filters and tests.
extension TemplateParser {
    /// One expression, or several with commas between them as a tuple. `word` ends it, where a tuple may end in a comma.
    mutating func parseTuple(
        conditional: Bool = true, until word: String? = nil, parenthesised: Bool = false
    ) throws(TemplateError) -> TemplateExpression {
        let line = line
        var items: [TemplateExpression] = []
        var isTuple = false
        while !isTupleEnd(word) {
            items.append(conditional ? try parseExpression() : try parseOr())
            guard skip(symbol: ",") else { break }
            isTuple = true
        }
        if !isTuple, let only = items.first { return only }
        guard isTuple || parenthesised else { throw unexpected("an expression") }
        return try node(.tuple(items), line: line, over: items)
    }

    private func isTupleEnd(_ word: String?) -> Bool {
        switch current {
        case .outputEnd, .blockEnd, .symbol(")"): true
        case .name(let name): name == word
        default: false
        }
    }

    mutating func parseExpression() throws(TemplateError) -> TemplateExpression {
        try enter()
        defer { leave() }
        var expression = try parseOr()
        while current == .name("if") {
            let line = line
            advance()
            let test = try parseOr()
            let otherwise = skip(word: "else") ? try parseExpression() : nil
            let children = [expression, test] + (otherwise.map { [$0] } ?? [])
            expression = try node(.conditional(test: test, then: expression, otherwise: otherwise), line: line, over: children)
        }
        return expression
    }

    mutating func parseOr() throws(TemplateError) -> TemplateExpression {
        let line = line
        var operands = [try parseAnd()]
        while skip(word: "or") { operands.append(try parseAnd()) }
        return operands.count == 1 ? operands[0] : try node(.or(operands), line: line, over: operands)
    }

    private mutating func parseAnd() throws(TemplateError) -> TemplateExpression {
        let line = line
        var operands = [try parseNot()]
        while skip(word: "and") { operands.append(try parseNot()) }
        return operands.count == 1 ? operands[0] : try node(.and(operands), line: line, over: operands)
    }

    private mutating func parseNot() throws(TemplateError) -> TemplateExpression {
        let line = line
        guard skip(word: "not") else { return try parseComparison() }
        try enter()
        defer { leave() }
        let operand = try parseNot()
        return try node(.not(operand), line: line, over: [operand])
    }

    private mutating func parseComparison() throws(TemplateError) -> TemplateExpression {
        let line = line
        let first = try parseSum()
        var rest: [(operation: TemplateComparison, operand: TemplateExpression)] = []
        while let operation = comparison() {
            advance()
            if operation == .notContained { advance() }
            rest.append((operation, try parseSum()))
        }
        if rest.isEmpty { return first }
        return try node(.comparison(first, rest), line: line, over: [first] + rest.map(\.operand))
    }

    private func comparison() -> TemplateComparison? {
        switch current {
        case .symbol(let symbol): TemplateComparison(rawValue: symbol)
        case .name("in"): .contained
        case .name("not") where next == .name("in"): .notContained
        default: nil
        }
    }

    private func arithmetic(_ operators: [TemplateOperator]) -> TemplateOperator? {
        guard case .symbol(let symbol) = current, let found = TemplateOperator(rawValue: symbol) else { return nil }
        return operators.contains(found) ? found : nil
    }

    private mutating func parseSum() throws(TemplateError) -> TemplateExpression {
        let line = line
        let first = try parseConcatenation()
        var rest: [(operation: TemplateOperator, operand: TemplateExpression)] = []
        while let operation = arithmetic([.add, .subtract]) {
            advance()
            rest.append((operation, try parseConcatenation()))
        }
        if rest.isEmpty { return first }
        return try node(.arithmetic(first, rest), line: line, over: [first] + rest.map(\.operand))
    }

    private mutating func parseConcatenation() throws(TemplateError) -> TemplateExpression {
        let line = line
        var operands = [try parseProduct()]
        while skip(symbol: "~") { operands.append(try parseProduct()) }
        return operands.count == 1 ? operands[0] : try node(.concatenation(operands), line: line, over: operands)
    }

    private mutating func parseProduct() throws(TemplateError) -> TemplateExpression {
        let line = line
        let first = try parsePower()
        var rest: [(operation: TemplateOperator, operand: TemplateExpression)] = []
        while let operation = arithmetic([.multiply, .divide, .floorDivide, .modulo]) {
            advance()
            rest.append((operation, try parsePower()))
        }
        if rest.isEmpty { return first }
        return try node(.arithmetic(first, rest), line: line, over: [first] + rest.map(\.operand))
    }

    /// Left to right, unlike Python's own `**`.
    private mutating func parsePower() throws(TemplateError) -> TemplateExpression {
        let line = line
        let first = try parseSigned(filters: true)
        var rest: [(operation: TemplateOperator, operand: TemplateExpression)] = []
        while skip(symbol: "**") { rest.append((.power, try parseSigned(filters: true))) }
        if rest.isEmpty { return first }
        return try node(.arithmetic(first, rest), line: line, over: [first] + rest.map(\.operand))
    }

    /// Filters bind looser than a sign: `-1|abs` is 1.
    private mutating func parseSigned(filters: Bool) throws(TemplateError) -> TemplateExpression {
        let line = line
        var expression: TemplateExpression
        if current == .symbol("-") || current == .symbol("+") {
            let isNegative = current == .symbol("-")
            advance()
            try enter()
            let operand = try parseSigned(filters: false)
            leave()
            expression = try node(isNegative ? .negative(operand) : .positive(operand), line: line, over: [operand])
        } else {
            expression = try parsePrimary()
        }
        expression = try parsePostfix(expression)
        return filters ? try parseFilters(expression) : expression
    }

    private mutating func parsePrimary() throws(TemplateError) -> TemplateExpression {
        let line = line
        switch current {
        case .name(let name):
            advance()
            switch name {
            case "true", "True": return try node(.literal(.bool(true)), line: line)
            case "false", "False": return try node(.literal(.bool(false)), line: line)
            case "none", "None": return try node(.literal(.none), line: line)
            default: return try node(.name(number(of: name)), line: line)
            }
        case .string(var text):
            advance()
            while case .string(let more) = current {
                text += more
                advance()
            }
            return try node(.literal(.string(text)), line: line)
        case .integer(let value):
            advance()
            return try node(.literal(.integer(value)), line: line)
        case .float(let value):
            advance()
            return try node(.literal(.float(value)), line: line)
        case .symbol("("):
            advance()
            let expression = try parseTuple(parenthesised: true)
            try expect(symbol: ")")
            return expression
        case .symbol("["): return try parseList()
        case .symbol("{"): return try parseDictionary()
        default: throw unexpected("an expression")
        }
    }

    private mutating func parseList() throws(TemplateError) -> TemplateExpression {
        let line = line
        var items: [TemplateExpression] = []
        advance()
        while current != .symbol("]") {
            items.append(try parseExpression())
            guard skip(symbol: ",") else { break }
        }
        try expect(symbol: "]")
        return try node(.list(items), line: line, over: items)
    }

    private mutating func parseDictionary() throws(TemplateError) -> TemplateExpression {
        let line = line
        var members: [(key: TemplateExpression, value: TemplateExpression)] = []
        advance()
        while current != .symbol("}") {
            let key = try parseExpression()
            try expect(symbol: ":")
            members.append((key, try parseExpression()))
            guard skip(symbol: ",") else { break }
        }
        try expect(symbol: "}")
        return try node(.dictionary(members), line: line, over: members.flatMap { [$0.key, $0.value] })
    }

    // MARK: Accesses and calls

    private mutating func parsePostfix(_ start: TemplateExpression) throws(TemplateError) -> TemplateExpression {
        var expression = start
        while true {
            let line = line
            switch current {
            case .symbol("."):
                advance()
                if case .integer(let position) = current {
                    advance()
                    let item = try node(.literal(.integer(position)), line: line)
                    expression = try node(.item(expression, item), line: line, over: [expression])
                } else {
                    let name = try expectName()
                    let kind = TemplateExpression.Kind.attribute(expression, name: name, method: TemplateMethod(name: name))
                    expression = try node(kind, line: line, over: [expression])
                }
            case .symbol("["):
                advance()
                expression = try parseSubscript(of: expression, line: line)
            case .symbol("("):
                let arguments = try parseArguments()
                expression = try node(.call(expression, arguments), line: line, over: [expression] + arguments.expressions)
            default: return expression
            }
        }
    }

    private mutating func parseSubscript(
        of object: TemplateExpression, line: Int
    ) throws(TemplateError) -> TemplateExpression {
        var start: TemplateExpression?
        if current != .symbol(":") {
            let item = try parseExpression()
            if skip(symbol: "]") { return try node(.item(object, item), line: line, over: [object, item]) }
            start = item
        }
        guard current == .symbol(":") else { throw unexpected("']' or ':'") }
        advance()
        let stop = current == .symbol(":") || current == .symbol("]") ? nil : try parseExpression()
        let step = skip(symbol: ":") && current != .symbol("]") ? try parseExpression() : nil
        try expect(symbol: "]")
        return try node(
            .slice(object, start: start, stop: stop, step: step), line: line,
            over: [object] + [start, stop, step].compactMap(\.self)
        )
    }

    private static let keywordLimit = 1_000

    private mutating func parseArguments() throws(TemplateError) -> TemplateArgumentList {
        let line = line
        var list = TemplateArgumentList()
        try expect(symbol: "(")
        while current != .symbol(")") {
            var inOrder = list.spreadNamed == nil
            if skip(symbol: "*") {
                inOrder = inOrder && list.spread == nil
                list.spread = try parseExpression()
            } else if skip(symbol: "**") {
                list.spreadNamed = try parseExpression()
            } else if case .name(let name) = current, next == .symbol("=") {
                advance()
                advance()
                // More would take quadratic time to compare, and to bind.
                guard list.named.count < Self.keywordLimit else {
                    throw .syntax(line: line, reason: "more than \(Self.keywordLimit) named arguments")
                }
                inOrder = inOrder && !list.named.contains { TemplateText.equal($0.name, name) }
                list.named.append((name, try parseExpression()))
            } else {
                inOrder = inOrder && list.spread == nil && list.named.isEmpty
                list.positional.append(try parseExpression())
            }
            guard inOrder else { throw .syntax(line: line, reason: "arguments of a call are out of order or repeated") }
            guard skip(symbol: ",") else { break }
        }
        try expect(symbol: ")")
        return list
    }

    // MARK: Filters and tests

    private mutating func parseFilters(_ start: TemplateExpression) throws(TemplateError) -> TemplateExpression {
        var expression = start
        while true {
            let line = line
            switch current {
            case .symbol("|"):
                advance()
                let call = try parseFilterCall()
                expression = try node(.filter(expression, call), line: line, over: [expression] + call.arguments.expressions)
            case .name("is"): expression = try parseTest(of: expression)
            case .symbol("("):
                let arguments = try parseArguments()
                expression = try node(.call(expression, arguments), line: line, over: [expression] + arguments.expressions)
            default: return expression
            }
        }
    }

    /// `upper`, or with `afterPipe` the same behind a pipe, and all further ones behind pipes.
    mutating func parseFilterNames(afterPipe: Bool = false) throws(TemplateError) -> [TemplateFilterCall] {
        if afterPipe { try expect(symbol: "|") }
        var calls = [try parseFilterCall()]
        while skip(symbol: "|") { calls.append(try parseFilterCall()) }
        return calls
    }

    private mutating func parseFilterCall() throws(TemplateError) -> TemplateFilterCall {
        let line = line
        let name = try parseDottedName()
        guard let filter = TemplateFilter(name: name) else { throw .syntax(line: line, reason: "no filter named '\(name)'") }
        let arguments = current == .symbol("(") ? try parseArguments() : TemplateArgumentList()
        try checkNames(in: arguments, of: filter, line: line)
        return TemplateFilterCall(filter: filter, arguments: arguments, line: line)
    }

    /// Filters that take the name of another filter or test: the name is checked here when it is a literal.
    private func checkNames(in arguments: TemplateArgumentList, of filter: TemplateFilter, line: Int) throws(TemplateError) {
        func literal(_ position: Int) -> String? {
            guard position < arguments.positional.count, case .literal(.string(let name)) = arguments.positional[position].kind
            else { return nil }
            return name
        }
        switch filter {
        case .map:
            if let name = literal(0), TemplateFilter(name: name) == nil {
                throw .syntax(line: line, reason: "no filter named '\(name)'")
            }
        case .select, .reject, .selectattr, .rejectattr:
            let position = filter == .select || filter == .reject ? 0 : 1
            if let name = literal(position), TemplateTest(name: name) == nil {
                throw .syntax(line: line, reason: "no test named '\(name)'")
            }
        default: break
        }
    }

    private mutating func parseDottedName() throws(TemplateError) -> String {
        var name = try expectName()
        while skip(symbol: ".") { name += "." + (try expectName()) }
        return name
    }

    private mutating func parseTest(of expression: TemplateExpression) throws(TemplateError) -> TemplateExpression {
        let line = line
        advance()
        let isNegated = skip(word: "not")
        let name = try parseDottedName()
        guard let test = TemplateTest(name: name) else { throw .syntax(line: line, reason: "no test named '\(name)'") }
        var arguments = TemplateArgumentList()
        if current == .symbol("(") {
            arguments = try parseArguments()
        } else if startsTestArgument {
            if current == .name("is") { throw .syntax(line: line, reason: "tests with 'is' cannot be chained") }
            arguments.positional = [try parsePostfix(try parsePrimary())]
        }
        let children = [expression] + arguments.expressions
        let result = try node(.test(expression, test, arguments), line: line, over: children)
        return isNegated ? try node(.not(result), line: line, over: [result]) : result
    }

    /// A test's single argument may stand without parentheses: `x is divisibleby 3`.
    private var startsTestArgument: Bool {
        switch current {
        case .name(let name): !["else", "or", "and"].contains(name)
        case .string, .integer, .float, .symbol("["), .symbol("{"): true
        default: false
        }
    }
}
