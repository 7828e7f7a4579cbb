internal import Platform

/// One rendering of a program: walks its statements and writes text. Holds everything the rendering changes, and its budgets.
///
/// Names are looked up from the inside out: each iteration of a loop, each macro call and each `with`, `call`, `filter` and
/// `set` block has a scope of its own, so an assignment inside is not seen outside; an `if` has none.
struct TemplateInterpreter {
    let program: TemplateProgram
    let limits: TemplateLimits
    let now: TemplateDate

    /// Where the template is being evaluated, for errors.
    var line = 1
    private(set) var steps = 0
    private var depth = 0
    private var output = ""
    var scope: TemplateScope
    private var globals: [TemplateValue?]
    /// Namespaces and macros by their numbers.
    var namespaces: [TemplateDictionary] = []
    var macros: [TemplateMacroValue] = []
    private let loopName: TemplateName?

    enum Flow { case onward, breakLoop, continueLoop }

    /// The text of `program` with `variables` as its global names.
    static func render(
        _ program: TemplateProgram, variables: JSONObject, now: TemplateDate, limits: TemplateLimits
    ) throws(TemplateError) -> String {
        var interpreter = TemplateInterpreter(program, now: now, limits: limits)
        for (position, name) in program.names.enumerated() {
            guard let value = variables[name] else { continue }
            interpreter.globals[position] = try interpreter.value(of: value)
        }
        _ = try interpreter.execute(program.body)
        return interpreter.output
    }

    private init(_ program: TemplateProgram, now: TemplateDate, limits: TemplateLimits) {
        self.program = program
        self.now = now
        self.limits = limits
        globals = Array(repeating: nil, count: program.names.count)
        scope = TemplateScope(parent: nil)
        loopName = program.names.firstIndex(of: "loop")
    }

    // MARK: Budgets

    func failure(_ reason: String) -> TemplateError { .failed(line: line, reason: reason) }

    /// Pays for `count` steps of work.
    mutating func charge(_ count: Int = 1) throws(TemplateError) {
        steps += count
        guard steps <= limits.steps else { throw .exceeded(line: line, limit: "steps of work", bound: limits.steps) }
    }

    /// Pays for making or scanning `bytes` of text, before it is done.
    mutating func charge(bytes: Int) throws(TemplateError) {
        guard bytes <= limits.outputBytes else {
            throw .exceeded(line: line, limit: "bytes of text", bound: limits.outputBytes)
        }
        try charge(bytes / 64 + 1)
    }

    /// Pays for work on each code point of `text`, such as changing its case.
    mutating func charge(walking text: String) throws(TemplateError) { try charge(text.utf8.count / 4 + 1) }

    /// Pays for reading a number from `text`.
    mutating func charge(parsing text: String) throws(TemplateError) { try charge(text.utf8.count / 4 + 8) }

    /// Pays for hashing or comparing a name or a key beyond what its step covers.
    mutating func charge(name: String) throws(TemplateError) {
        if name.utf8.count >= 64 { try charge(name.utf8.count / 64) }
    }

    /// Steps that are left.
    var allowance: Int { max(0, limits.steps - steps) }

    mutating func enter() throws(TemplateError) {
        depth += 1
        guard depth <= limits.evaluationDepth else {
            throw .exceeded(line: line, limit: "levels of evaluation", bound: limits.evaluationDepth)
        }
    }

    mutating func leave() { depth -= 1 }

    /// A list or tuple's elements, paid for and not nested too deeply.
    mutating func list(_ elements: [TemplateValue]) throws(TemplateError) -> TemplateList {
        try charge(elements.count)
        let list = TemplateList(elements)
        try check(depth: list.depth)
        return list
    }

    func check(depth: Int) throws(TemplateError) {
        guard depth <= limits.valueDepth else {
            throw .exceeded(line: line, limit: "levels of nested values", bound: limits.valueDepth)
        }
    }

    // MARK: Statements

    mutating func execute(_ body: [TemplateStatement]) throws(TemplateError) -> Flow {
        try enter()
        defer { leave() }
        for statement in body {
            try charge()
            let flow = try execute(statement)
            if flow != .onward { return flow }
        }
        return .onward
    }

    private mutating func execute(_ statement: TemplateStatement) throws(TemplateError) -> Flow {
        switch statement {
        case .text(let text): try write(text)
        case .output(let expression):
            let value = try evaluate(expression)
            if case .string(let text) = value { try write(text) } else { try write(try text(of: value)) }
        case .set(let target, let expression): try assign(try evaluate(expression), to: target)
        case .setBlock(let target, let filters, let body, let line):
            let text = try captureInScope(body)
            self.line = line
            try assign(try apply(filters, to: .string(text)), to: target)
        case .branch(let branches, let otherwise): return try executeBranch(branches, otherwise)
        case .loop(let loop): return try execute(loop)
        case .macro(let macro): scope.set(macro.name, define(macro))
        case .callBlock(let callee, let arguments, let body): try executeCallBlock(callee, arguments, body)
        case .filterBlock(let filters, let body):
            let text = try captureInScope(body)
            try write(try self.text(of: try apply(filters, to: .string(text))))
        case .with(let assignments, let body): return try execute(with: assignments, body)
        case .breakLoop: return .breakLoop
        case .continueLoop: return .continueLoop
        }
        return .onward
    }

    private mutating func executeBranch(
        _ branches: [(test: TemplateExpression, body: [TemplateStatement])], _ otherwise: [TemplateStatement]
    ) throws(TemplateError) -> Flow {
        for branch in branches where try isTrue(try evaluate(branch.test)) { return try execute(branch.body) }
        return otherwise.isEmpty ? .onward : try execute(otherwise)
    }

    private mutating func execute(
        with assignments: [(target: TemplateTarget, value: TemplateExpression)], _ body: [TemplateStatement]
    ) throws(TemplateError) -> Flow {
        // All values are evaluated outside the new scope.
        var values: [TemplateValue] = []
        for assignment in assignments { values.append(try evaluate(assignment.value)) }
        let outer = scope
        scope = TemplateScope(parent: outer)
        defer { scope = outer }
        for (assignment, value) in zip(assignments, values) { try assign(value, to: assignment.target) }
        return try execute(body)
    }

    private mutating func execute(_ loop: TemplateLoop) throws(TemplateError) -> Flow {
        let outer = scope
        var items = try elements(of: try evaluate(loop.sequence))
        if let condition = loop.condition {
            var kept: [TemplateValue] = []
            for item in items {
                scope = TemplateScope(parent: outer)
                defer { scope = outer }
                try assign(item, to: loop.target)
                if try isTrue(try evaluate(condition)) { kept.append(item) }
            }
            items = kept
        }
        let state = TemplateLoopState(items)
        try check(depth: state.nestingDepth)
        defer {
            scope = outer
            state.finish()
        }
        // As in Jinja, `else` is for a loop of which no iteration came to its end, be it for want of items or by `break`.
        var hasCompleted = false
        for index in 0..<state.count {
            try charge()
            state.index = index
            scope = TemplateScope(parent: outer)
            if let loopName { scope.set(loopName, .loop(state)) }
            try assign(items[index], to: loop.target)
            let flow = try execute(loop.body)
            if flow == .breakLoop { break }
            if flow == .onward { hasCompleted = true }
        }
        scope = outer
        return hasCompleted || loop.otherwise.isEmpty ? .onward : try executeOtherwise(loop.otherwise)
    }

    private mutating func executeOtherwise(_ body: [TemplateStatement]) throws(TemplateError) -> Flow {
        let outer = scope
        scope = TemplateScope(parent: outer)
        defer { scope = outer }
        return try execute(body)
    }

    private mutating func executeCallBlock(
        _ callee: TemplateExpression, _ list: TemplateArgumentList, _ body: TemplateMacro
    ) throws(TemplateError) {
        let caller = define(body)
        let function = try evaluate(callee)
        var arguments = try evaluate(list)
        arguments.named.append(("caller", caller))
        line = body.line
        let value = try call(function, &arguments)
        try write(try text(of: value))
    }

    // MARK: Output

    mutating func write(_ text: String) throws(TemplateError) {
        let bytes = output.utf8.count + text.utf8.count
        guard bytes <= limits.outputBytes else {
            throw .exceeded(line: line, limit: "bytes of text", bound: limits.outputBytes)
        }
        try charge(text.utf8.count / 64)
        output += text
    }

    /// What `body` writes, instead of writing it.
    mutating func capture(_ body: [TemplateStatement]) throws(TemplateError) -> String {
        let outer = output
        output = ""
        defer { output = outer }
        _ = try execute(body)
        return output
    }

    private mutating func captureInScope(_ body: [TemplateStatement]) throws(TemplateError) -> String {
        let outer = scope
        scope = TemplateScope(parent: outer)
        defer { scope = outer }
        return try capture(body)
    }

    // MARK: Names

    mutating func assign(_ value: TemplateValue, to target: TemplateTarget) throws(TemplateError) {
        switch target {
        case .name(let name): scope.set(name, value)
        case .attribute(let name, let attribute):
            guard case .namespace(let number) = try lookUp(name) else {
                throw failure("'\(program.names[name])' is no namespace: its attributes cannot be set")
            }
            try charge(name: attribute)
            namespaces[number].set(attribute, value)
        case .tuple(let targets):
            let values = try elements(of: value)
            guard values.count == targets.count else {
                throw failure("\(values.count) values cannot be unpacked into \(targets.count) names")
            }
            for (target, value) in zip(targets, values) { try assign(value, to: target) }
        }
    }

    /// Pays for scopes beyond the first few.
    mutating func lookUp(_ name: TemplateName) throws(TemplateError) -> TemplateValue {
        var inner: TemplateScope? = scope
        var passed = 0
        while let scope = inner {
            if let value = scope[name] { return value }
            inner = scope.parent
            passed += 1
            if passed % 8 == 0 { try charge() }
        }
        if let value = globals[name] { return value }
        let text = program.names[name]
        return TemplateFunction(rawValue: text).map(TemplateValue.function) ?? .undefined(.name(text))
    }
}

/// Names and values of one scope. Look-up is O(1) from 9 names on, a scan below that.
final class TemplateScope {
    let parent: TemplateScope?
    private var slots: [(name: TemplateName, value: TemplateValue)] = []
    private var index: [TemplateName: Int]?

    private static let scanLimit = 8

    init(parent: TemplateScope?) { self.parent = parent }

    subscript(name: TemplateName) -> TemplateValue? {
        position(of: name).map { slots[$0].value }
    }

    private func position(of name: TemplateName) -> Int? {
        if let index { return index[name] }
        return slots.firstIndex { $0.name == name }
    }

    func set(_ name: TemplateName, _ value: TemplateValue) {
        if let position = position(of: name) {
            slots[position].value = value
            return
        }
        slots.append((name, value))
        if index != nil {
            index![name] = slots.count - 1
        } else if slots.count > Self.scanLimit {
            index = Dictionary(uniqueKeysWithValues: slots.enumerated().map { ($1.name, $0) })
        }
    }
}

/// A macro and the scope it was defined in.
struct TemplateMacroValue {
    let macro: TemplateMacro
    let scope: TemplateScope
}
