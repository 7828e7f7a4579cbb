internal import Platform

/// Keys and values in the order they were put in. Look-up is O(1) from 9 entries on, a scan below that.
struct TemplateDictionary {
    /// What a dictionary's methods return, by Python's name of the type.
    enum View: String {
        case keys = "dict_keys"
        case values = "dict_values"
        case items = "dict_items"
    }

    /// A key as Python compares keys: 1, 1.0 and true are the same.
    enum Key: Hashable {
        case undefined
        case none
        case integer(Int)
        /// The bits of a number that is no 64-bit integer: then every NaN is one key, and many of them cannot collide.
        case float(UInt64)
        /// Equal when the code points are: Swift's own equality ignores how accents are composed.
        case string(ExactText)

        /// Nil for values that Python cannot hash, and for tuples, which no chat template uses as keys.
        init?(_ value: TemplateValue) {
            switch value {
            case .undefined: self = .undefined
            case .none: self = .none
            case .bool(let value): self = .integer(value ? 1 : 0)
            case .integer(let value): self = .integer(value)
            case .float(let value): self = Int(exactly: value).map(Self.integer) ?? .float((value.isNaN ? .nan : value).bitPattern)
            case .string(let value): self = .string(ExactText(value))
            default: return nil
            }
        }
    }

    struct Entry {
        let key: Key
        /// The key as it was written: 1 and true are the same key but print differently.
        let shown: TemplateValue
        var value: TemplateValue
    }

    private(set) var entries: [Entry] = []
    private var index: [Key: Int]?
    private(set) var depth = 1

    private static let scanLimit = 8

    var count: Int { entries.count }

    subscript(key: Key) -> TemplateValue? { position(of: key).map { entries[$0].value } }

    subscript(name: String) -> TemplateValue? {
        if index != nil { return self[.string(ExactText(name))] }
        for entry in entries {
            if case .string(let key) = entry.key, TemplateText.equal(key.text, name) { return entry.value }
        }
        return nil
    }

    /// Puts `value` under `key`, in place when the key is there.
    mutating func set(_ key: Key, shown: TemplateValue, _ value: TemplateValue) {
        depth = max(depth, value.depth + 1)
        if let position = position(of: key) {
            entries[position].value = value
            return
        }
        entries.append(Entry(key: key, shown: shown, value: value))
        if index != nil {
            index![key] = entries.count - 1
        } else if entries.count > Self.scanLimit {
            var built: [Key: Int] = [:]
            for (position, entry) in entries.enumerated() { built[entry.key] = position }
            index = built
        }
    }

    mutating func set(_ name: String, _ value: TemplateValue) { set(.string(ExactText(name)), shown: .string(name), value) }

    func position(of key: Key) -> Int? {
        if let index { return index[key] }
        return entries.firstIndex { $0.key == key }
    }

    var keys: [TemplateValue] { entries.map(\.shown) }
    var values: [TemplateValue] { entries.map(\.value) }
    var items: [TemplateValue] { entries.map { .tuple(TemplateList([$0.shown, $0.value])) } }
}
