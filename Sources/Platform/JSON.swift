/// A JSON value that keeps the order of its keys and the exactness of its integers.
///
/// Ferry's own, because what the field needs is missing elsewhere: templates render `tools` in the order they were
/// sent, hostile bodies must be bounded in depth and node count, and nothing below the gateway links Foundation.
package enum JSON: Sendable, Equatable {
    case null
    case bool(Bool)
    /// A number without fraction or exponent that fits 64 bits.
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSON])
    case object(JSONObject)

    /// Member `key` of an object; nil for another kind of value or an absent key.
    package subscript(key: String) -> JSON? {
        if case .object(let object) = self { object[key] } else { nil }
    }

    package var string: String? { if case .string(let value) = self { value } else { nil } }
    package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    package var array: [JSON]? { if case .array(let value) = self { value } else { nil } }
    package var object: JSONObject? { if case .object(let value) = self { value } else { nil } }
    package var isNull: Bool { if case .null = self { true } else { false } }

    /// The value as an integer; a number such as `1.0` or `1e3` counts when it is whole and exact.
    package var integer: Int? {
        switch self {
        case .integer(let value): Int(value)
        case .number(let value): Int(exactly: value)
        default: nil
        }
    }

    package var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    /// What a person would call this kind of value, for error messages.
    package var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .integer, .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

/// The members of a JSON object in the order they were written. Look-up is O(1) from 9 members on, a scan below that.
package struct JSONObject: Sendable, Equatable {
    /// Keys are compared scalar by scalar.
    package private(set) var members: [(key: String, value: JSON)]
    private var index: [ExactText: Int]?

    private static let scanLimit = 8

    package init() {
        members = []
        index = nil
    }

    /// Later members with the same key replace earlier ones in place.
    package init(_ pairs: [(key: String, value: JSON)]) {
        self.init()
        members.reserveCapacity(pairs.count)
        for pair in pairs { self[pair.key] = pair.value }
    }

    package var count: Int { members.count }
    package var isEmpty: Bool { members.isEmpty }
    package var keys: [String] { members.map(\.key) }

    package subscript(key: String) -> JSON? {
        get { position(of: key).map { members[$0].value } }
        set {
            switch (position(of: key), newValue) {
            case (let position?, let value?): members[position].value = value
            case (let position?, nil):
                members.remove(at: position)
                index = members.count > Self.scanLimit ? Self.indexed(members) : nil
            case (nil, let value?):
                members.append((key, value))
                if index != nil {
                    index![ExactText(key)] = members.count - 1
                } else if members.count > Self.scanLimit {
                    index = Self.indexed(members)
                }
            case (nil, nil): break
            }
        }
    }

    private func position(of key: String) -> Int? {
        if let index { return index[ExactText(key)] }
        return members.firstIndex { $0.key.utf8.elementsEqual(key.utf8) }
    }

    private static func indexed(_ members: [(key: String, value: JSON)]) -> [ExactText: Int] {
        var index: [ExactText: Int] = [:]
        index.reserveCapacity(members.count)
        for (position, member) in members.enumerated() { index[ExactText(member.key)] = position }
        return index
    }

    package static func == (a: Self, b: Self) -> Bool {
        a.count == b.count && zip(a.members, b.members).allSatisfy { $0.key.utf8.elementsEqual($1.key.utf8) && $0.value == $1.value }
    }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
    package init(floatLiteral value: Double) { self = .number(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(arrayLiteral elements: JSON...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSON)...) {
        self = .object(JSONObject(elements.map { (key: $0.0, value: $0.1) }))
    }
    package init(nilLiteral: ()) { self = .null }
}
