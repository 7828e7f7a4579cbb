/// Header or trailer fields in the order in which they stood. Names are lower case.
///
/// Linear look-up: a request has a dozen fields, and the parsers bound their number (`HTTPLimits.maximumHeaderCount`).
package struct HTTPHeaders: Sendable, Equatable {
    package struct Field: Sendable, Equatable {
        package let name: String
        package let value: String
    }

    package private(set) var fields: [Field] = []

    package init() {}

    package var isEmpty: Bool { fields.isEmpty }
    package var count: Int { fields.count }

    /// Adds a field after all others, also when the name exists. `name` must be in lower case.
    package mutating func append(_ name: String, _ value: String) {
        assert(!name.isEmpty && name.utf8.allSatisfy { !(65...90).contains($0) }, "header name '\(name)' is not lower case")
        fields.append(Field(name: name, value: value))
    }

    /// Replaces every field of this name by one.
    package mutating func set(_ name: String, _ value: String) {
        fields.removeAll { $0.name == name }
        append(name, value)
    }

    package mutating func remove(_ name: String) { fields.removeAll { $0.name == name } }

    /// The first value of this name.
    package subscript(name: String) -> String? { fields.first { $0.name == name }?.value }

    package func values(_ name: String) -> [String] {
        var values: [String] = []
        for field in fields where field.name == name { values.append(field.value) }
        return values
    }

    package func contains(_ name: String) -> Bool { fields.contains { $0.name == name } }

    /// Whether a comma-separated list field holds `token` (given in lower case), compared without case.
    package func list(_ name: String, contains token: String) -> Bool {
        for field in fields where field.name == name {
            for part in field.value.utf8.split(separator: UInt8(ascii: ",")) where FieldSyntax.equals(part, lowercased: token) {
                return true
            }
        }
        return false
    }
}

extension HTTPHeaders: ExpressibleByDictionaryLiteral {
    package init(dictionaryLiteral elements: (String, String)...) {
        for (name, value) in elements { append(name, value) }
    }
}
