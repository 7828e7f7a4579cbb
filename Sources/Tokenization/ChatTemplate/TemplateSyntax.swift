/// A parsed template: immutable, shared by every rendering.
struct TemplateProgram: Sendable {
    let body: [TemplateStatement]
    /// Names by their number; expressions and statements refer to names by number.
    let names: [String]
}

/// The position of a name in `TemplateProgram.names`.
typealias TemplateName = Int

/// A value written in the template.
enum TemplateLiteral: Sendable, Equatable {
    case none
    case bool(Bool)
    case integer(Int)
    case float(Double)
    case string(String)
}

/// One node of an expression. `depth` is the height of the tree below it; the parser bounds it, so walking is safe.
final class TemplateExpression: Sendable {
    indirect enum Kind: Sendable {
        case literal(TemplateLiteral)
        case name(TemplateName)
        case list([TemplateExpression])
        case tuple([TemplateExpression])
        case dictionary([(key: TemplateExpression, value: TemplateExpression)])
        /// `object.name`; `method` when values of some kind have a method of that name.
        case attribute(TemplateExpression, name: String, method: TemplateMethod?)
        case item(TemplateExpression, TemplateExpression)
        case slice(TemplateExpression, start: TemplateExpression?, stop: TemplateExpression?, step: TemplateExpression?)
        case call(TemplateExpression, TemplateArgumentList)
        case filter(TemplateExpression, TemplateFilterCall)
        case test(TemplateExpression, TemplateTest, TemplateArgumentList)
        case negative(TemplateExpression)
        case positive(TemplateExpression)
        /// Operators of one precedence, applied left to right.
        case arithmetic(TemplateExpression, [(operation: TemplateOperator, operand: TemplateExpression)])
        /// `a ~ b ~ c`
        case concatenation([TemplateExpression])
        /// `a < b <= c`: true when every neighbouring pair is.
        case comparison(TemplateExpression, [(operation: TemplateComparison, operand: TemplateExpression)])
        case not(TemplateExpression)
        case and([TemplateExpression])
        case or([TemplateExpression])
        case conditional(test: TemplateExpression, then: TemplateExpression, otherwise: TemplateExpression?)
    }

    let kind: Kind
    let line: Int
    let depth: Int

    init(_ kind: Kind, line: Int, depth: Int) {
        self.kind = kind
        self.line = line
        self.depth = depth
    }
}

enum TemplateOperator: String, Sendable {
    case add = "+"
    case subtract = "-"
    case multiply = "*"
    case divide = "/"
    case floorDivide = "//"
    case modulo = "%"
    case power = "**"
}

enum TemplateComparison: String, Sendable {
    case equal = "=="
    case notEqual = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
    case contained = "in"
    case notContained = "not in"
}

/// The arguments of a call as written.
struct TemplateArgumentList: Sendable {
    var positional: [TemplateExpression] = []
    var named: [(name: String, value: TemplateExpression)] = []
    /// `*list` and `**mapping`
    var spread: TemplateExpression?
    var spreadNamed: TemplateExpression?

    var expressions: [TemplateExpression] { positional + named.map(\.value) + [spread, spreadNamed].compactMap(\.self) }
}

struct TemplateFilterCall: Sendable {
    let filter: TemplateFilter
    let arguments: TemplateArgumentList
    let line: Int
}

/// Where a value goes: a name, an attribute of a namespace, or several of them.
indirect enum TemplateTarget: Sendable {
    case name(TemplateName)
    case attribute(TemplateName, String)
    case tuple([TemplateTarget])
}

indirect enum TemplateStatement: Sendable {
    case text(String)
    case output(TemplateExpression)
    case set(TemplateTarget, TemplateExpression)
    /// `{% set x %}…{% endset %}`: the body's output is the value.
    case setBlock(TemplateTarget, filters: [TemplateFilterCall], body: [TemplateStatement], line: Int)
    case branch([(test: TemplateExpression, body: [TemplateStatement])], otherwise: [TemplateStatement])
    case loop(TemplateLoop)
    case macro(TemplateMacro)
    /// `{% call(x) f() %}…{% endcall %}`: the callee, its arguments, and the body as a macro.
    case callBlock(TemplateExpression, TemplateArgumentList, body: TemplateMacro)
    case filterBlock([TemplateFilterCall], body: [TemplateStatement])
    case with([(target: TemplateTarget, value: TemplateExpression)], body: [TemplateStatement])
    case breakLoop
    case continueLoop
}

final class TemplateLoop: Sendable {
    let target: TemplateTarget
    let sequence: TemplateExpression
    let condition: TemplateExpression?
    let body: [TemplateStatement]
    let otherwise: [TemplateStatement]

    init(
        target: TemplateTarget, sequence: TemplateExpression, condition: TemplateExpression?, body: [TemplateStatement],
        otherwise: [TemplateStatement]
    ) {
        self.target = target
        self.sequence = sequence
        self.condition = condition
        self.body = body
        self.otherwise = otherwise
    }
}

final class TemplateMacro: Sendable {
    /// Extra names a macro's body may read; present in its scope only when it does.
    struct Implicit: Sendable {
        var caller: TemplateName?
        var varargs: TemplateName?
        var kwargs: TemplateName?
    }

    let name: TemplateName
    let parameters: [(name: TemplateName, value: TemplateExpression?)]
    let implicit: Implicit
    let body: [TemplateStatement]
    let line: Int

    init(
        name: TemplateName, parameters: [(name: TemplateName, value: TemplateExpression?)], implicit: Implicit,
        body: [TemplateStatement], line: Int
    ) {
        self.name = name
        self.parameters = parameters
        self.implicit = implicit
        self.body = body
        self.line = line
    }
}
