internal import Platform

/// What may stand behind `is`, by its name in templates; several have other names, and comparison signs are names too.
enum TemplateTest: String, CaseIterable {
    case boolean, callable, defined, divisibleby, eq, escaped, even, `false`, filter, float, ge, gt, `in`, integer, iterable, le
    case lower, lt, mapping, ne, none, number, odd, sameas, sequence, string, test, `true`, undefined, upper

    private static let byName: [ExactText: Self] = {
        var names = Dictionary(uniqueKeysWithValues: allCases.map { (ExactText($0.rawValue), $0) })
        let others: [(String, Self)] = [
            ("==", .eq), ("equalto", .eq), ("!=", .ne), (">", .gt), ("greaterthan", .gt), (">=", .ge), ("<", .lt), ("lessthan", .lt),
            ("<=", .le),
        ]
        for (name, test) in others { names[ExactText(name)] = test }
        return names
    }()

    /// One look-up: a raw value is found by comparing with every case.
    init?(name: String) {
        guard let test = Self.byName[ExactText(name)] else { return nil }
        self = test
    }

    /// The operation this test stands for, when it compares with its argument.
    fileprivate var operation: TemplateComparison? {
        switch self {
        case .eq: .equal
        case .ne: .notEqual
        case .lt: .less
        case .le: .lessOrEqual
        case .gt: .greater
        case .ge: .greaterOrEqual
        case .in: .contained
        default: nil
        }
    }
}

extension TemplateInterpreter {
    mutating func passes(
        _ test: TemplateTest, _ value: TemplateValue, _ arguments: inout TemplateArguments
    ) throws(TemplateError) -> Bool {
        let what = "the test '\(test.rawValue)'"
        if let operation = test.operation {
            let other = try bind(&arguments, what, "other", required: 1)[0] ?? .none
            return try compare(value, operation, other)
        }
        switch test {
        case .divisibleby:
            let divisor = try bind(&arguments, what, "num", required: 1)[0] ?? .none
            return try areEqual(try combine(value, .modulo, divisor), .integer(0))
        case .sameas:
            let other = try bind(&arguments, what, "other", required: 1)[0] ?? .none
            return try isSame(value, other)
        default: _ = try bind(&arguments, what)
        }
        switch (test, value) {
        case (.defined, _): return !value.isUndefined
        case (.undefined, _): return value.isUndefined
        case (.none, _): return value.isNone
        case (.boolean, .bool), (.integer, .integer), (.float, .float), (.string, .string), (.mapping, .dictionary): return true
        case (.true, .bool(let flag)): return flag
        case (.false, .bool(let flag)): return !flag
        case (.number, _): return value.asDouble != nil
        case (.sequence, .string), (.sequence, .list), (.sequence, .tuple), (.sequence, .dictionary), (.sequence, .range): return true
        // An undefined value has a length and answers to indexing, by failing.
        case (.sequence, .undefined): return true
        case (.iterable, .undefined), (.iterable, .string), (.iterable, .list), (.iterable, .tuple), (.iterable, .dictionary),
            (.iterable, .range), (.iterable, .iterator), (.iterable, .view), (.iterable, .loop):
            return true
        case (.callable, .function), (.callable, .macro), (.callable, .method), (.callable, .loop), (.callable, .undefined): return true
        case (.odd, _), (.even, _):
            return try areEqual(try combine(value, .modulo, .integer(2)), .integer(test == .odd ? 1 : 0))
        case (.upper, _), (.lower, _):
            let text = try text(of: value)
            try charge(walking: text)
            return test == .upper ? TemplateText.isUpper(text) : TemplateText.isLower(text)
        case (.filter, .string(let name)):
            try charge(bytes: name.utf8.count)
            return TemplateFilter(name: name) != nil
        case (.test, .string(let name)):
            try charge(bytes: name.utf8.count)
            return TemplateTest(name: name) != nil
        default: return false
        }
    }

    /// Python's `is` for the values that have one identity; others are the same when they are equal and of one kind.
    private mutating func isSame(_ a: TemplateValue, _ b: TemplateValue) throws(TemplateError) -> Bool {
        switch (a, b) {
        case (.undefined, _), (_, .undefined): return false
        default: return a.typeName == b.typeName ? try areEqual(a, b) : false
        }
    }
}
