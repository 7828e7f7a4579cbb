/// A value while a template is rendered, with the meanings Python gives it. Belongs to one rendering.
enum TemplateValue {
    /// A name, member or element that is not there. Prints as nothing; anything but testing and printing it fails.
    indirect case undefined(TemplateAbsence)
    case none
    case bool(Bool)
    /// Python's integers are unbounded; these have 64 bits, and leaving them is an error.
    case integer(Int)
    case float(Double)
    case string(String)
    case list(TemplateList)
    case tuple(TemplateList)
    case dictionary(TemplateDictionary)
    case range(TemplateRange)
    /// What `select`, `map` or `items` give: elements that can be walked once.
    case iterator(TemplateIterator)
    /// What a dictionary's methods give: elements that can be walked often, but not indexed.
    case view(TemplateDictionary.View, TemplateList)
    /// By number, so that one that holds itself is no cycle of references.
    case namespace(Int)
    case loop(TemplateLoopState)
    case macro(Int)
    case function(TemplateFunction)
    case method(TemplateBoundMethod)
}

/// Why a value is undefined; the words of the error when it is used.
enum TemplateAbsence {
    case name(String)
    case attribute(of: String, name: String)
    case element(of: String, key: String)
    case unsafeAttribute(of: String, name: String)
    case because(String)

    var reason: String {
        switch self {
        case .name(let name): "'\(name)' is undefined"
        case .attribute(let kind, let name): "'\(kind)' has no attribute '\(name)'"
        case .element(let kind, let key): "\(kind) has no element \(key)"
        case .unsafeAttribute(let kind, let name):
            "'\(name)' of a \(kind) cannot be used: values do not change in a template (a namespace can hold what changes)"
        case .because(let reason): reason
        }
    }
}

/// Elements and how deeply they nest, which is bounded so that walking and freeing a value cannot exhaust the stack.
struct TemplateList {
    let elements: [TemplateValue]
    /// 1 for a list of plain values.
    let depth: Int

    /// O(elements).
    init(_ elements: [TemplateValue]) {
        self.elements = elements
        var depth = 1
        for element in elements { depth = max(depth, element.depth + 1) }
        self.depth = depth
    }
}

/// The elements of a `range()`, computed when asked for.
struct TemplateRange: Equatable {
    let start: Int
    let stop: Int
    let step: Int
    let count: Int

    subscript(index: Int) -> Int { start + index * step }
}

/// Elements that are handed out once.
final class TemplateIterator {
    private(set) var remaining: ArraySlice<TemplateValue>
    let depth: Int

    init(_ elements: [TemplateValue]) {
        remaining = elements[...]
        depth = TemplateList(elements).depth
    }

    func next() -> TemplateValue? { remaining.popFirst() }

    func rest() -> [TemplateValue] {
        defer { remaining = [] }
        return Array(remaining)
    }
}

/// The `loop` of a running `for`.
final class TemplateLoopState {
    private(set) var items: [TemplateValue]
    let count: Int
    let nestingDepth: Int
    var index = 0
    /// What `loop.changed` saw last. Not counted in `nestingDepth`, so it is let go before another value can hold this loop's end.
    private(set) var lastChanged: TemplateValue?
    private var isFinished = false

    init(_ items: [TemplateValue]) {
        self.items = items
        count = items.count
        nestingDepth = TemplateList(items).depth + 1
    }

    /// A finished loop remembers nothing: else a chain of them, each the value of the next, would nest without bound.
    func remember(_ value: TemplateValue) {
        if !isFinished { lastChanged = value }
    }

    /// Drops all values, and takes none from here on, so that a loop kept beyond its end is part of no chain and no cycle of
    /// references.
    func finish() {
        isFinished = true
        items = []
        lastChanged = nil
    }
}

final class TemplateBoundMethod {
    let receiver: TemplateValue
    let method: TemplateMethod

    init(_ receiver: TemplateValue, _ method: TemplateMethod) {
        self.receiver = receiver
        self.method = method
    }
}

extension TemplateValue {
    init(_ literal: TemplateLiteral) {
        switch literal {
        case .none: self = .none
        case .bool(let value): self = .bool(value)
        case .integer(let value): self = .integer(value)
        case .float(let value): self = .float(value)
        case .string(let value): self = .string(value)
        }
    }

    /// How deeply values nest in this one; 0 for a plain value. O(1).
    var depth: Int {
        switch self {
        case .list(let list), .tuple(let list), .view(_, let list): list.depth
        case .dictionary(let dictionary): dictionary.depth
        case .iterator(let iterator): iterator.depth
        case .loop(let state): state.nestingDepth
        case .method(let bound): bound.receiver.depth + 1
        default: 0
        }
    }

    /// Python's name for the type.
    var typeName: String {
        switch self {
        case .undefined: "Undefined"
        case .none: "NoneType"
        case .bool: "bool"
        case .integer: "int"
        case .float: "float"
        case .string: "str"
        case .list: "list"
        case .tuple: "tuple"
        case .dictionary: "dict"
        case .range: "range"
        case .iterator: "generator"
        case .view(let view, _): view.rawValue
        case .namespace: "Namespace"
        case .loop: "LoopContext"
        case .macro: "Macro"
        case .function: "function"
        case .method: "builtin_function_or_method"
        }
    }

    /// How an error about a missing member names the object.
    var objectName: String { if case .none = self { "None" } else { typeName + " object" } }

    var isUndefined: Bool { if case .undefined = self { true } else { false } }
    var isNone: Bool { if case .none = self { true } else { false } }

    /// An integer or boolean as the integer it counts for.
    var asInteger: Int? {
        switch self {
        case .integer(let value): value
        case .bool(let value): value ? 1 : 0
        default: nil
        }
    }

    var asDouble: Double? {
        if case .float(let value) = self { return value }
        return asInteger.map(Double.init)
    }
}
