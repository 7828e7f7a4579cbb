extension TemplateInterpreter {
    /// The filters over elements. Where Python makes a lazy iterator, this makes one whose elements are already computed.
    mutating func applyToSequence(
        _ filter: TemplateFilter, _ value: TemplateValue, _ arguments: inout TemplateArguments
    ) throws(TemplateError) -> TemplateValue {
        let what = filter.rawValue
        switch filter {
        case .join:
            let values = try bind(&arguments, what, "d", "attribute")
            var elements = try elements(of: value)
            if let attribute = values[1], !attribute.isNone { elements = try pluck(elements, attribute) }
            return .string(try joined(elements, separator: try text(of: values[0] ?? .string(""))))
        case .map: return .iterator(try iterator(try mapped(value, &arguments)))
        case .select, .reject, .selectattr, .rejectattr: return .iterator(try iterator(try selected(filter, value, &arguments)))
        case .sort:
            let values = try bind(&arguments, what, "reverse", "case_sensitive", "attribute")
            let elements = try elements(of: value)
            let keys = try sortKeys(elements, attribute: values[2], caseSensitive: try flag(values[1]))
            return .list(try list(try sorted(zip(keys, elements).map { (key: $0, value: $1) }, descending: try flag(values[0]))))
        case .unique:
            let values = try bind(&arguments, what, "case_sensitive", "attribute")
            return .iterator(try iterator(try unique(try elements(of: value), values[1], caseSensitive: try flag(values[0]))))
        case .reverse:
            _ = try bind(&arguments, what)
            if case .string(let text) = value {
                try charge(walking: text)
                return .string(TemplateText.string(text.unicodeScalars.reversed()))
            }
            let reversed = Array(try elements(of: value).reversed())
            // Python cannot walk an iterator backwards, so the filter makes a list of it.
            if case .iterator = value { return .list(try list(reversed)) }
            return .iterator(try iterator(reversed))
        case .sum:
            let values = try bind(&arguments, what, "attribute", "start")
            var elements = try elements(of: value)
            if let attribute = values[0], !attribute.isNone { elements = try pluck(elements, attribute) }
            var total = values[1] ?? .integer(0)
            for element in elements { total = try combine(total, .add, element) }
            return total
        case .min, .max: return try extreme(filter, value, &arguments)
        case .dictsort: return try dictionarySorted(value, &arguments)
        case .groupby: return try grouped(value, &arguments)
        default: return try batched(value, &arguments)
        }
    }

    private func flag(_ value: TemplateValue?) throws(TemplateError) -> Bool { try value.map(isTrue) ?? false }

    private mutating func iterator(_ elements: [TemplateValue]) throws(TemplateError) -> TemplateIterator {
        try charge(elements.count)
        let iterator = TemplateIterator(elements)
        try check(depth: iterator.depth)
        return iterator
    }

    // MARK: Attributes of elements

    /// `"a.0.b"` walks members and positions, an integer is a position.
    private mutating func member(_ element: TemplateValue, _ path: TemplateValue) throws(TemplateError) -> TemplateValue {
        guard case .string(let text) = path else {
            return path.isNone ? element : try item(of: element, path)
        }
        var result = element
        try charge(name: text)
        for part in TemplateText.split(text, by: ".", limit: allowance) {
            try charge()
            let isNumber = !part.isEmpty && part.utf8.allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
            result = try item(of: result, isNumber ? .integer(Int(part) ?? .max) : .string(part))
        }
        return result
    }

    private mutating func pluck(_ elements: [TemplateValue], _ path: TemplateValue) throws(TemplateError) -> [TemplateValue] {
        var result: [TemplateValue] = []
        for element in elements {
            try charge()
            result.append(try member(element, path))
        }
        return result
    }

    private mutating func mapped(
        _ value: TemplateValue, _ arguments: inout TemplateArguments
    ) throws(TemplateError) -> [TemplateValue] {
        guard try isTrue(value) else { return [] }
        let elements = try elements(of: value)
        if arguments.positional.isEmpty, let attribute = arguments.take(named: "attribute") {
            let standard = arguments.take(named: "default")
            if let extra = arguments.named.first { throw failure("map takes no argument '\(extra.name)'") }
            var result = try pluck(elements, attribute)
            if let standard, !standard.isNone { result = result.map { $0.isUndefined ? standard : $0 } }
            return result
        }
        guard case .string(let name) = arguments.positional.first else { throw failure("map needs the name of a filter") }
        guard let filter = TemplateFilter(name: name) else { throw failure("no filter named '\(name)'") }
        arguments.positional.removeFirst()
        var result: [TemplateValue] = []
        try enter()
        defer { leave() }
        for element in elements {
            try charge()
            var copy = arguments
            result.append(try apply(filter, to: element, &copy))
        }
        return result
    }

    private mutating func selected(
        _ filter: TemplateFilter, _ value: TemplateValue, _ arguments: inout TemplateArguments
    ) throws(TemplateError) -> [TemplateValue] {
        guard try isTrue(value) else { return [] }
        let elements = try elements(of: value)
        var attribute = TemplateValue.none
        if filter == .selectattr || filter == .rejectattr {
            guard !arguments.positional.isEmpty else { throw failure("\(filter.rawValue) needs the name of an attribute") }
            attribute = arguments.positional.removeFirst()
        }
        var test: TemplateTest?
        if !arguments.positional.isEmpty {
            let name = arguments.positional.removeFirst()
            guard case .string(let name) = name, let found = TemplateTest(name: name) else {
                throw failure("no test named '\(try text(of: name))'")
            }
            test = found
        }
        let keepsPassing = filter == .select || filter == .selectattr
        var kept: [TemplateValue] = []
        for element in elements {
            try charge()
            let subject = try member(element, attribute)
            var copy = arguments
            let passes = if let test { try passes(test, subject, &copy) } else { try isTrue(subject) }
            if passes == keepsPassing { kept.append(element) }
        }
        return kept
    }

    // MARK: Order

    private mutating func folded(_ value: TemplateValue, _ caseSensitive: Bool) throws(TemplateError) -> TemplateValue {
        guard !caseSensitive, case .string(let text) = value else { return value }
        try charge(walking: text)
        return .string(TemplateText.lowercased(text))
    }

    private mutating func sortKeys(
        _ elements: [TemplateValue], attribute: TemplateValue?, caseSensitive: Bool
    ) throws(TemplateError) -> [TemplateValue] {
        var paths = [attribute ?? .none]
        if case .string(let text) = attribute {
            try charge(walking: text)
            paths = TemplateText.split(text, by: ",", limit: -1).map(TemplateValue.string)
        }
        var keys: [TemplateValue] = []
        for element in elements {
            var key: [TemplateValue] = []
            for path in paths {
                try charge()
                key.append(try folded(try member(element, path), caseSensitive))
            }
            keys.append(.list(try list(key)))
        }
        return keys
    }

    private mutating func unique(
        _ elements: [TemplateValue], _ attribute: TemplateValue?, caseSensitive: Bool
    ) throws(TemplateError) -> [TemplateValue] {
        var seen: Set<TemplateDictionary.Key> = []
        var kept: [TemplateValue] = []
        for element in elements {
            try charge()
            let key = try self.key(try folded(try member(element, attribute ?? .none), caseSensitive))
            if seen.insert(key).inserted { kept.append(element) }
        }
        return kept
    }

    private mutating func extreme(
        _ filter: TemplateFilter, _ value: TemplateValue, _ arguments: inout TemplateArguments
    ) throws(TemplateError) -> TemplateValue {
        let values = try bind(&arguments, filter.rawValue, "case_sensitive", "attribute")
        let isCaseSensitive = try flag(values[0])
        var best: (key: TemplateValue, value: TemplateValue)?
        for element in try elements(of: value) {
            let key = try folded(try member(element, values[1] ?? .none), isCaseSensitive)
            guard let current = best else {
                best = (key, element)
                continue
            }
            if filter == .min ? try isLess(key, current.key) : try isLess(current.key, key) { best = (key, element) }
        }
        return best?.value ?? .undefined(.because("no element: the sequence is empty"))
    }

    private mutating func dictionarySorted(
        _ value: TemplateValue, _ arguments: inout TemplateArguments
    ) throws(TemplateError) -> TemplateValue {
        let values = try bind(&arguments, "dictsort", "case_sensitive", "by", "reverse")
        let isCaseSensitive = try flag(values[0])
        let by = try string(values[1], "dictsort") ?? "key"
        guard by == "key" || by == "value" else { throw failure("dictsort by '\(by)': key or value were expected") }
        if case .undefined(let absence) = value { throw failure(absence.reason) }
        guard case .dictionary(let dictionary) = value else { throw failure("dictsort takes a mapping, not a \(value.typeName)") }
        var keys: [TemplateValue] = []
        for key in by == "key" ? dictionary.keys : dictionary.values { keys.append(try folded(key, isCaseSensitive)) }
        let order = zip(keys, dictionary.items).map { (key: $0, value: $1) }
        return .list(try list(try sorted(order, descending: try flag(values[2]))))
    }

    /// Pairs of a key and the elements that have it, in the order of the keys.
    private mutating func grouped(
        _ value: TemplateValue, _ arguments: inout TemplateArguments
    ) throws(TemplateError) -> TemplateValue {
        let values = try bind(&arguments, "groupby", "attribute", "default", "case_sensitive", required: 1)
        let isCaseSensitive = try flag(values[2])
        var pairs: [(key: TemplateValue, value: TemplateValue)] = []
        for element in try elements(of: value) {
            try charge()
            var key = try member(element, values[0] ?? .none)
            if key.isUndefined, let standard = values[1] { key = standard }
            pairs.append((try folded(key, isCaseSensitive), .tuple(try list([key, element]))))
        }
        var groups: [(key: TemplateValue, shown: TemplateValue, members: [TemplateValue])] = []
        for pair in try sorted(pairs, descending: false) {
            guard case .tuple(let pair) = pair else { preconditionFailure("a group's pair is a \(pair.typeName)") }
            let key = try folded(pair.elements[0], isCaseSensitive)
            if let last = groups.last, try areEqual(last.key, key) {
                groups[groups.count - 1].members.append(pair.elements[1])
            } else {
                groups.append((key, pair.elements[0], [pair.elements[1]]))
            }
        }
        var result: [TemplateValue] = []
        for group in groups { result.append(.tuple(try list([group.shown, .list(try list(group.members))]))) }
        return .list(try list(result))
    }

    private mutating func batched(
        _ value: TemplateValue, _ arguments: inout TemplateArguments
    ) throws(TemplateError) -> TemplateValue {
        let values = try bind(&arguments, "batch", "linecount", "fill_with", required: 1)
        let size = try integer(values[0], "batch", default: 1)
        guard size > 0 else { throw failure("batch takes a positive size, not \(size)") }
        var batches: [TemplateValue] = []
        var batch: [TemplateValue] = []
        for element in try elements(of: value) {
            if batch.count == size {
                batches.append(.list(try list(batch)))
                batch = []
            }
            batch.append(element)
        }
        if !batch.isEmpty {
            if let filling = values[1], !filling.isNone {
                while batch.count < size {
                    try charge()
                    batch.append(filling)
                }
            }
            batches.append(.list(try list(batch)))
        }
        return .iterator(try iterator(batches))
    }

    mutating func end(
        of value: TemplateValue, _ filter: TemplateFilter, _ arguments: inout TemplateArguments
    ) throws(TemplateError) -> TemplateValue {
        _ = try bind(&arguments, filter.rawValue)
        let absent = TemplateValue.undefined(.because("no \(filter.rawValue) item, the sequence is empty"))
        switch value {
        case .list(let list), .tuple(let list), .view(_, let list):
            return (filter == .first ? list.elements.first : list.elements.last) ?? absent
        case .iterator(let iterator) where filter == .first: return iterator.next() ?? absent
        case .iterator: throw failure("a generator has no last item: make a list of it first")
        default:
            let elements = try elements(of: value)
            return (filter == .first ? elements.first : elements.last) ?? absent
        }
    }
}
