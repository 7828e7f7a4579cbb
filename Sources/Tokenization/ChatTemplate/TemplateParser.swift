internal import Platform

/// Builds a program from a template's text: statements here, expressions in `TemplateParser+Expressions.swift`.
///
/// What the language lacks on purpose (inheritance, includes, imports, recursive loops) is refused by name, and so are
/// filters and tests that do not exist, so that a model's template fails when it is loaded and not under a client's request.
struct TemplateParser {
    private let tokens: [TemplateToken]
    let limits: TemplateLimits
    private var index = 0
    private var nesting = 0
    private var loops = 0
    private var names: [String] = []
    private var numbers: [ExactText: TemplateName] = [:]

    static func parse(_ text: String, limits: TemplateLimits) throws(TemplateError) -> TemplateProgram {
        var parser = TemplateParser(tokens: try TemplateLexer.tokens(of: text, limits: limits), limits: limits)
        let (body, _) = try parser.parseBody(until: [])
        return TemplateProgram(body: body, names: parser.names)
    }

    private init(tokens: [TemplateToken], limits: TemplateLimits) {
        self.tokens = tokens
        self.limits = limits
    }

    // MARK: Tokens

    var current: TemplateToken.Kind { tokens[index].kind }
    var next: TemplateToken.Kind { tokens[min(index + 1, tokens.count - 1)].kind }
    var line: Int { tokens[index].line }

    mutating func advance() { if index + 1 < tokens.count { index += 1 } }

    mutating func skip(symbol: String) -> Bool {
        guard current == .symbol(symbol) else { return false }
        advance()
        return true
    }

    mutating func skip(word: String) -> Bool {
        guard current == .name(word) else { return false }
        advance()
        return true
    }

    mutating func expect(_ kind: TemplateToken.Kind, _ meaning: String) throws(TemplateError) {
        guard current == kind else { throw unexpected(meaning) }
        advance()
    }

    mutating func expect(symbol: String) throws(TemplateError) { try expect(.symbol(symbol), "'\(symbol)'") }

    mutating func expectName() throws(TemplateError) -> String {
        guard case .name(let name) = current else { throw unexpected("a name") }
        advance()
        return name
    }

    func unexpected(_ expected: String) -> TemplateError {
        let found =
            switch current {
            case .text: "text"
            case .name(let name): "'\(name)'"
            case .string: "a string"
            case .integer, .float: "a number"
            case .symbol(let symbol): "'\(symbol)'"
            case .blockBegin: "'{%'"
            case .blockEnd: "'%}'"
            case .outputBegin: "'{{'"
            case .outputEnd: "'}}'"
            case .end: "the end of the template"
            }
        return .syntax(line: line, reason: "\(expected) was expected, found \(found)")
    }

    /// The number of `name`; the same name always has the same number.
    mutating func number(of name: String) -> TemplateName {
        let key = ExactText(name)
        if let number = numbers[key] { return number }
        numbers[key] = names.count
        names.append(name)
        return names.count - 1
    }

    // MARK: Depth

    /// Called on entering whatever may contain itself; `leave` balances it.
    mutating func enter() throws(TemplateError) {
        nesting += 1
        guard nesting <= limits.nesting else {
            throw .exceeded(line: line, limit: "levels of nesting", bound: limits.nesting)
        }
    }

    mutating func leave() { nesting -= 1 }

    func node(
        _ kind: TemplateExpression.Kind, line: Int, over children: [TemplateExpression] = []
    ) throws(TemplateError) -> TemplateExpression {
        var depth = 1
        for child in children { depth = max(depth, child.depth + 1) }
        guard depth <= limits.nesting else { throw .exceeded(line: line, limit: "levels of nesting", bound: limits.nesting) }
        return TemplateExpression(kind, line: line, depth: depth)
    }

    // MARK: Statements

    /// Statements up to a block whose first word is one of `ends`; that word is consumed and returned.
    private mutating func parseBody(until ends: [String]) throws(TemplateError) -> ([TemplateStatement], end: String) {
        var body: [TemplateStatement] = []
        while true {
            switch current {
            case .text(let text):
                advance()
                body.append(.text(text))
            case .outputBegin:
                advance()
                body.append(.output(try parseTuple()))
                try expect(.outputEnd, "'}}'")
            case .blockBegin:
                advance()
                guard case .name(let word) = current else { throw unexpected("the name of a statement") }
                if ends.contains(word) {
                    advance()
                    return (body, word)
                }
                try enter()
                body.append(contentsOf: try parseStatement(word, until: ends))
                leave()
                try expect(.blockEnd, "'%}'")
            case .end:
                guard ends.isEmpty else { throw unexpected("'{% \(ends[ends.count - 1]) %}'") }
                return (body, "")
            default: throw unexpected("text or a tag")
            }
        }
    }

    /// The body of a statement from the end of its opening tag; consumes the word of the closing tag.
    private mutating func parseBlock(_ ends: String...) throws(TemplateError) -> ([TemplateStatement], end: String) {
        _ = skip(symbol: ":")
        try expect(.blockEnd, "'%}'")
        return try parseBody(until: ends)
    }

    private mutating func parseStatement(_ word: String, until ends: [String]) throws(TemplateError) -> [TemplateStatement] {
        let line = line
        advance()
        switch word {
        case "if": return [try parseIf()]
        case "for": return [try parseFor()]
        case "set": return [try parseSet(line: line)]
        case "macro": return [try parseMacro(line: line)]
        case "call": return [try parseCallBlock(line: line)]
        case "filter":
            let filters = try parseFilterNames()
            return [.filterBlock(filters, body: try parseBlock("endfilter").0)]
        case "with": return [try parseWith()]
        case "generation":
            // Marks the assistant's own text for training; here only its scope matters.
            return [.with([], body: try parseBlock("endgeneration").0)]
        case "print":
            return [.output(try parseTuple())]
        case "break", "continue":
            guard loops > 0 else { throw .syntax(line: line, reason: "'\(word)' outside a loop") }
            return [word == "break" ? .breakLoop : .continueLoop]
        case "extends", "block", "include", "import", "from", "autoescape", "do", "trans", "debug":
            throw .syntax(line: line, reason: "the statement '\(word)' is not supported")
        default:
            let wanted = ends.isEmpty ? "" : " (\(ends.map { "'\($0)'" }.joined(separator: " or ")) was expected)"
            throw .syntax(line: line, reason: "unknown statement '\(word)'\(wanted)")
        }
    }

    private mutating func parseIf() throws(TemplateError) -> TemplateStatement {
        var branches: [(test: TemplateExpression, body: [TemplateStatement])] = []
        while true {
            let test = try parseTuple(conditional: false)
            let (body, end) = try parseBlock("elif", "else", "endif")
            branches.append((test, body))
            if end == "elif" { continue }
            return .branch(branches, otherwise: end == "else" ? try parseBlock("endif").0 : [])
        }
    }

    private mutating func parseFor() throws(TemplateError) -> TemplateStatement {
        let target = try parseTarget(until: "in")
        guard skip(word: "in") else { throw unexpected("'in'") }
        let sequence = try parseTuple(conditional: false, until: "recursive")
        let condition = skip(word: "if") ? try parseExpression() : nil
        if current == .name("recursive") { throw .syntax(line: line, reason: "recursive loops are not supported") }
        loops += 1
        let (body, end) = try parseBlock("endfor", "else")
        loops -= 1
        let otherwise = end == "else" ? try parseBlock("endfor").0 : []
        return .loop(
            TemplateLoop(target: target, sequence: sequence, condition: condition, body: body, otherwise: otherwise)
        )
    }

    private mutating func parseSet(line: Int) throws(TemplateError) -> TemplateStatement {
        let target = try parseTarget(attributes: true)
        if skip(symbol: "=") { return .set(target, try parseTuple()) }
        let filters = current == .symbol("|") ? try parseFilterNames(afterPipe: true) : []
        return .setBlock(target, filters: filters, body: try parseBlock("endset").0, line: line)
    }

    private mutating func parseWith() throws(TemplateError) -> TemplateStatement {
        var assignments: [(target: TemplateTarget, value: TemplateExpression)] = []
        while current != .blockEnd {
            if !assignments.isEmpty { try expect(symbol: ",") }
            let target = try parseTarget()
            try expect(symbol: "=")
            assignments.append((target, try parseExpression()))
        }
        return .with(assignments, body: try parseBlock("endwith").0)
    }

    /// Names a body reads that only macros provide are looked for by their numbers: whether `number(of:)` already knows
    /// them is not enough, so the body is parsed first and the tokens between are scanned.
    private mutating func parseMacroBody(end: String) throws(TemplateError) -> ([TemplateStatement], TemplateMacro.Implicit) {
        let start = index
        let outerLoops = loops
        loops = 0
        let (body, _) = try parseBlock(end)
        loops = outerLoops
        var implicit = TemplateMacro.Implicit()
        for position in start..<index {
            guard case .name(let name) = tokens[position].kind else { continue }
            if name == "caller" { implicit.caller = number(of: name) }
            if name == "varargs" { implicit.varargs = number(of: name) }
            if name == "kwargs" { implicit.kwargs = number(of: name) }
        }
        return (body, implicit)
    }

    private mutating func parseMacro(line: Int) throws(TemplateError) -> TemplateStatement {
        let name = number(of: try expectName())
        let parameters = try parseParameters()
        let (body, implicit) = try parseMacroBody(end: "endmacro")
        return .macro(TemplateMacro(name: name, parameters: parameters, implicit: implicit, body: body, line: line))
    }

    private mutating func parseCallBlock(line: Int) throws(TemplateError) -> TemplateStatement {
        let parameters = current == .symbol("(") ? try parseParameters() : []
        let call = try parseExpression()
        guard case .call(let callee, let arguments) = call.kind else {
            throw .syntax(line: line, reason: "a call was expected after 'call'")
        }
        let (body, implicit) = try parseMacroBody(end: "endcall")
        let caller = number(of: "caller")
        return .callBlock(
            callee, arguments,
            body: TemplateMacro(name: caller, parameters: parameters, implicit: implicit, body: body, line: line)
        )
    }

    private mutating func parseParameters() throws(TemplateError) -> [(name: TemplateName, value: TemplateExpression?)] {
        var parameters: [(name: TemplateName, value: TemplateExpression?)] = []
        try expect(symbol: "(")
        while current != .symbol(")") {
            if !parameters.isEmpty { try expect(symbol: ",") }
            let line = line
            let name = number(of: try expectName())
            if skip(symbol: "=") {
                parameters.append((name, try parseExpression()))
            } else if let last = parameters.last, last.value != nil {
                throw .syntax(line: line, reason: "a parameter without a default value follows one with it")
            } else {
                parameters.append((name, nil))
            }
        }
        try expect(symbol: ")")
        return parameters
    }

    // MARK: Targets

    private static let constants: Set<String> = ["true", "false", "none", "True", "False", "None"]

    /// `a`, `a, b`, `(a, (b, c))`, and with `attributes` also `n.x`.
    private mutating func parseTarget(
        attributes: Bool = false, until word: String? = nil
    ) throws(TemplateError) -> TemplateTarget {
        var targets: [TemplateTarget] = []
        var isTuple = false
        while true {
            if isTuple, isTargetEnd(word) { break }
            targets.append(try parseSingleTarget(attributes: attributes))
            guard skip(symbol: ",") else { break }
            isTuple = true
        }
        return isTuple ? .tuple(targets) : targets[0]
    }

    private func isTargetEnd(_ word: String?) -> Bool {
        switch current {
        case .blockEnd, .symbol(")"), .symbol("="): true
        case .name(let name): name == word
        default: false
        }
    }

    private mutating func parseSingleTarget(attributes: Bool) throws(TemplateError) -> TemplateTarget {
        if skip(symbol: "(") {
            try enter()
            defer { leave() }
            let target = try parseTarget(attributes: attributes)
            try expect(symbol: ")")
            return target
        }
        let line = line
        let name = try expectName()
        guard !Self.constants.contains(name) else { throw .syntax(line: line, reason: "cannot assign to '\(name)'") }
        if attributes, skip(symbol: ".") { return .attribute(number(of: name), try expectName()) }
        return .name(number(of: name))
    }
}
