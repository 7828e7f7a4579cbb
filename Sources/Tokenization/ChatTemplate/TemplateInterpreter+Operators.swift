internal import Glibc

extension TemplateInterpreter {
    // MARK: Truth

    func isTrue(_ value: TemplateValue) throws(TemplateError) -> Bool {
        switch value {
        case .undefined, .none: false
        case .bool(let value): value
        case .integer(let value): value != 0
        case .float(let value): value != 0
        case .string(let value): !value.isEmpty
        case .list(let list), .tuple(let list), .view(_, let list): !list.elements.isEmpty
        case .dictionary(let dictionary): dictionary.count > 0
        case .range(let range): range.count > 0
        case .loop(let state): state.count > 0
        case .iterator, .namespace, .macro, .function, .method: true
        }
    }

    // MARK: Arithmetic

    mutating func evaluateArithmetic(
        _ first: TemplateExpression, _ rest: [(operation: TemplateOperator, operand: TemplateExpression)]
    ) throws(TemplateError) -> TemplateValue {
        var result = try evaluate(first)
        for (operation, operand) in rest {
            let right = try evaluate(operand)
            result = try combine(result, operation, right)
        }
        return result
    }

    mutating func combine(
        _ left: TemplateValue, _ operation: TemplateOperator, _ right: TemplateValue
    ) throws(TemplateError) -> TemplateValue {
        switch (operation, left, right) {
        // Python formats before it looks at the right operand's kind, and an absent one is formatted as nothing.
        case (.modulo, .string(let format), _): return .string(try formatted(percent: format, with: right))
        case (_, .undefined(let absence), _), (_, _, .undefined(let absence)): throw failure(absence.reason)
        case (.add, .string(let a), .string(let b)):
            try charge(bytes: a.utf8.count + b.utf8.count)
            return .string(a + b)
        case (.add, .list(let a), .list(let b)): return .list(try list(a.elements + b.elements))
        case (.add, .tuple(let a), .tuple(let b)): return .tuple(try list(a.elements + b.elements))
        case (.multiply, .string(let text), _) where right.asInteger != nil: return try repeated(text, right.asInteger!)
        case (.multiply, _, .string(let text)) where left.asInteger != nil: return try repeated(text, left.asInteger!)
        case (.multiply, .list(let items), _) where right.asInteger != nil:
            return .list(try repeated(items, right.asInteger!))
        case (.multiply, _, .list(let items)) where left.asInteger != nil: return .list(try repeated(items, left.asInteger!))
        case (.multiply, .tuple(let items), _) where right.asInteger != nil:
            return .tuple(try repeated(items, right.asInteger!))
        case (.multiply, _, .tuple(let items)) where left.asInteger != nil:
            return .tuple(try repeated(items, left.asInteger!))
        default: break
        }
        if let a = left.asInteger, let b = right.asInteger { return try integers(a, operation, b) }
        if let a = left.asDouble, let b = right.asDouble { return try floats(a, operation, b) }
        throw mismatch(left, operation, right)
    }

    private func mismatch(_ left: TemplateValue, _ operation: TemplateOperator, _ right: TemplateValue) -> TemplateError {
        switch (operation, left) {
        case (.add, .string), (.add, .list), (.add, .tuple):
            failure("can only concatenate \(left.typeName) (not \"\(right.typeName)\") to \(left.typeName)")
        default: failure("unsupported operands for \(operation.rawValue): '\(left.typeName)' and '\(right.typeName)'")
        }
    }

    private mutating func repeated(_ text: String, _ count: Int) throws(TemplateError) -> TemplateValue {
        let (bytes, overflow) = text.utf8.count.multipliedReportingOverflow(by: max(0, count))
        try charge(bytes: overflow ? .max : bytes)
        return .string(TemplateText.repeated(text, count))
    }

    private mutating func repeated(_ items: TemplateList, _ count: Int) throws(TemplateError) -> TemplateList {
        let (total, overflow) = items.elements.count.multipliedReportingOverflow(by: max(0, count))
        guard !overflow, total <= limits.steps else {
            throw .exceeded(line: line, limit: "steps of work", bound: limits.steps)
        }
        try charge(total)
        if items.elements.isEmpty { return items }
        return TemplateList(Array(repeatElement(items.elements, count: max(0, count)).joined()))
    }

    private func checked(_ result: (partialValue: Int, overflow: Bool)) throws(TemplateError) -> TemplateValue {
        guard !result.overflow else { throw failure("an integer beyond 64 bits") }
        return .integer(result.partialValue)
    }

    private func integers(_ a: Int, _ operation: TemplateOperator, _ b: Int) throws(TemplateError) -> TemplateValue {
        switch operation {
        case .add: return try checked(a.addingReportingOverflow(b))
        case .subtract: return try checked(a.subtractingReportingOverflow(b))
        case .multiply: return try checked(a.multipliedReportingOverflow(by: b))
        case .divide, .floorDivide, .modulo:
            guard b != 0 else { throw failure("division by zero") }
            if operation == .divide { return .float(Double(a) / Double(b)) }
            let (quotient, overflow) = a.dividedReportingOverflow(by: b)
            // The one overflow is the least integer by -1: its remainder is 0.
            let remainder = overflow ? 0 : a % b
            let isInexact = remainder != 0 && (remainder < 0) != (b < 0)
            if operation == .modulo { return .integer(isInexact ? remainder + b : remainder) }
            return try checked((quotient - (isInexact ? 1 : 0), overflow))
        case .power:
            if b < 0 {
                guard a != 0 else { throw failure("0 cannot be raised to a negative power") }
                return .float(pow(Double(a), Double(b)))
            }
            return try power(a, b)
        }
    }

    private func power(_ base: Int, _ exponent: Int) throws(TemplateError) -> TemplateValue {
        if base == 0 || base == 1 || exponent == 0 { return .integer(exponent == 0 ? 1 : base) }
        if base == -1 { return .integer(exponent % 2 == 0 ? 1 : -1) }
        var result = 1
        // A base of two or more leaves 64 bits within 63 multiplications.
        for _ in 0..<exponent {
            let (product, overflow) = result.multipliedReportingOverflow(by: base)
            guard !overflow else { throw failure("an integer beyond 64 bits") }
            result = product
        }
        return .integer(result)
    }

    private func floats(_ a: Double, _ operation: TemplateOperator, _ b: Double) throws(TemplateError) -> TemplateValue {
        switch operation {
        case .add: return .float(a + b)
        case .subtract: return .float(a - b)
        case .multiply: return .float(a * b)
        case .divide, .floorDivide, .modulo:
            guard b != 0 else { throw failure("division by zero") }
            if operation == .divide { return .float(a / b) }
            var remainder = fmod(a, b)
            if remainder != 0, (remainder < 0) != (b < 0) { remainder += b }
            if operation == .modulo { return .float(remainder == 0 ? (b < 0 ? -0.0 : 0.0) : remainder) }
            let quotient = (a - remainder) / b
            return .float(quotient == 0 ? copysign(0, a / b) : quotient.rounded(.toNearestOrEven))
        case .power:
            let result = pow(a, b)
            guard !result.isNaN || a.isNaN || b.isNaN else { throw failure("a power that is not a real number") }
            guard a != 0 || b >= 0 else { throw failure("0.0 cannot be raised to a negative power") }
            guard result.isFinite || !a.isFinite || !b.isFinite else { throw failure("a result beyond a float's range") }
            return .float(result)
        }
    }

    func negated(_ value: TemplateValue) throws(TemplateError) -> TemplateValue {
        if case .undefined(let absence) = value { throw failure(absence.reason) }
        if case .float(let number) = value { return .float(-number) }
        guard let number = value.asInteger else { throw failure("a \(value.typeName) has no negative") }
        return try checked((0).subtractingReportingOverflow(number))
    }

    func positive(_ value: TemplateValue) throws(TemplateError) -> TemplateValue {
        if case .undefined(let absence) = value { throw failure(absence.reason) }
        if case .float = value { return value }
        guard let number = value.asInteger else { throw failure("a \(value.typeName) has no sign") }
        return .integer(number)
    }

    // MARK: Comparison

    mutating func evaluateComparison(
        _ first: TemplateExpression, _ rest: [(operation: TemplateComparison, operand: TemplateExpression)]
    ) throws(TemplateError) -> Bool {
        var left = try evaluate(first)
        for (operation, operand) in rest {
            let right = try evaluate(operand)
            guard try compare(left, operation, right) else { return false }
            left = right
        }
        return true
    }

    mutating func compare(
        _ a: TemplateValue, _ operation: TemplateComparison, _ b: TemplateValue
    ) throws(TemplateError) -> Bool {
        switch operation {
        case .equal: return try areEqual(a, b)
        case .notEqual: return !(try areEqual(a, b))
        case .less: return try isLess(a, b, "<")
        case .greater: return try isLess(b, a, ">")
        // Not the negation of the opposite: every comparison with a NaN is false.
        case .lessOrEqual: return try isLess(a, b, "<=") ? true : try areEqual(a, b)
        case .greaterOrEqual: return try isLess(b, a, ">=") ? true : try areEqual(a, b)
        case .contained: return try contains(b, a)
        case .notContained: return !(try contains(b, a))
        }
    }

    mutating func areEqual(_ a: TemplateValue, _ b: TemplateValue) throws(TemplateError) -> Bool {
        try charge()
        switch (a, b) {
        case (.undefined, .undefined), (.none, .none): return true
        case (.string(let a), .string(let b)):
            try charge(a.utf8.count == b.utf8.count ? a.utf8.count / 64 : 0)
            return TemplateText.equal(a, b)
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
            guard a.elements.count == b.elements.count else { return false }
            for (a, b) in zip(a.elements, b.elements) where !(try areEqual(a, b)) { return false }
            return true
        case (.dictionary(let a), .dictionary(let b)):
            guard a.count == b.count else { return false }
            for entry in a.entries {
                if case .string(let key) = entry.shown { try charge(name: key) }
                guard let other = b[entry.key], try areEqual(entry.value, other) else { return false }
            }
            return true
        case (.range(let a), .range(let b)):
            return a.count == b.count && (a.count == 0 || a.start == b.start && (a.count == 1 || a.step == b.step))
        case (.namespace(let a), .namespace(let b)): return a == b
        case (.macro(let a), .macro(let b)): return a == b
        case (.function(let a), .function(let b)): return a == b
        case (.iterator(let a), .iterator(let b)): return a === b
        case (.loop(let a), .loop(let b)): return a === b
        default:
            if let a = a.asInteger, let b = b.asInteger { return a == b }
            if let a = a.asDouble, let b = b.asDouble { return a == b }
            return false
        }
    }

    mutating func isLess(_ a: TemplateValue, _ b: TemplateValue, _ sign: String = "<") throws(TemplateError) -> Bool {
        try charge()
        switch (a, b) {
        case (.undefined(let absence), _), (_, .undefined(let absence)): throw failure(absence.reason)
        case (.string(let a), .string(let b)):
            try charge(min(a.utf8.count, b.utf8.count) / 64)
            return TemplateText.precedes(a, b)
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
            for (a, b) in zip(a.elements, b.elements) where !(try areEqual(a, b)) { return try isLess(a, b, sign) }
            return a.elements.count < b.elements.count
        default:
            if let a = a.asInteger, let b = b.asInteger { return a < b }
            if let a = a.asDouble, let b = b.asDouble { return a < b }
            throw failure("'\(sign)' is not supported between '\(a.typeName)' and '\(b.typeName)'")
        }
    }

    mutating func contains(_ container: TemplateValue, _ value: TemplateValue) throws(TemplateError) -> Bool {
        switch container {
        case .string(let text):
            guard case .string(let needle) = value else {
                if case .undefined(let absence) = value { throw failure(absence.reason) }
                throw failure("'in' a text takes a text, not a \(value.typeName)")
            }
            try charge(bytes: text.utf8.count + needle.utf8.count)
            return TemplateText.contains(text, needle)
        case .dictionary(let dictionary):
            return dictionary[try key(value)] != nil
        case .list(let list), .tuple(let list), .view(_, let list):
            for element in list.elements where try areEqual(element, value) { return true }
            return false
        case .range(let range):
            guard let double = value.asDouble, let number = value.asInteger ?? Int(exactly: double) else { return false }
            for index in 0..<range.count {
                try charge()
                if range[index] == number { return true }
            }
            return false
        case .iterator(let iterator):
            while let element = iterator.next() { if try areEqual(element, value) { return true } }
            return false
        case .undefined: return false
        default: throw failure("a \(container.typeName) is not iterable")
        }
    }

    // MARK: Walking

    /// The elements a `for` over `value` sees. An iterator is used up.
    mutating func elements(of value: TemplateValue) throws(TemplateError) -> [TemplateValue] {
        switch value {
        case .undefined: return []
        case .list(let list), .tuple(let list), .view(_, let list):
            try charge(list.elements.count / 8)
            return list.elements
        case .dictionary(let dictionary):
            try charge(dictionary.count)
            return dictionary.keys
        case .string(let text):
            try charge(text.utf8.count)
            return text.unicodeScalars.map { .string(String($0)) }
        case .range(let range):
            try charge(range.count)
            return (0..<range.count).map { .integer(range[$0]) }
        case .iterator(let iterator):
            let rest = iterator.rest()
            try charge(rest.count)
            return rest
        default: throw failure("a \(value.typeName) is not iterable")
        }
    }

    /// Python's `len`.
    mutating func length(of value: TemplateValue) throws(TemplateError) -> Int {
        switch value {
        case .undefined: return 0
        case .string(let text):
            try charge(bytes: text.utf8.count)
            return text.unicodeScalars.count
        case .list(let list), .tuple(let list), .view(_, let list): return list.elements.count
        case .dictionary(let dictionary): return dictionary.count
        case .range(let range): return range.count
        case .loop(let state): return state.count
        default: throw failure("a \(value.typeName) has no length")
        }
    }

    /// `items` in the order of their keys; equal ones keep theirs. Merge sort, since the comparison may fail.
    mutating func sorted(
        _ items: [(key: TemplateValue, value: TemplateValue)], descending: Bool
    ) throws(TemplateError) -> [TemplateValue] {
        try charge(items.count)
        var order = items
        var width = 1
        while width < order.count {
            var merged: [(key: TemplateValue, value: TemplateValue)] = []
            merged.reserveCapacity(order.count)
            var start = 0
            while start < order.count {
                let middle = min(start + width, order.count)
                let end = min(start + 2 * width, order.count)
                var left = start
                var right = middle
                while left < middle, right < end {
                    let takesRight =
                        descending
                        ? try isLess(order[left].key, order[right].key) : try isLess(order[right].key, order[left].key)
                    merged.append(order[takesRight ? right : left])
                    if takesRight { right += 1 } else { left += 1 }
                }
                merged.append(contentsOf: order[left..<middle])
                merged.append(contentsOf: order[right..<end])
                start = end
            }
            order = merged
            width *= 2
        }
        return order.map(\.value)
    }
}
