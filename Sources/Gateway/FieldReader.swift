internal import Inference
package import Platform

/// Reads the members of one JSON object by name and says by path what was found and what was expected.
///
/// `null` counts as absent, as typed clients send it for what they were not given. Members that nobody asked for are listed at
/// the end: they are ignored, never refused.
package struct FieldReader {
    package let object: JSONObject
    private let prefix: String
    private var read: Set<String> = []

    package init(_ object: JSONObject, at path: String = "") {
        self.object = object
        self.prefix = path.isEmpty ? "" : path + "."
    }

    package func path(_ name: String) -> String { prefix + name }

    /// Names that were present and never read, in the order they were sent.
    package var unread: [String] { object.members.compactMap { read.contains($0.key) || $0.value.isNull ? nil : $0.key } }

    package mutating func value(_ name: String) -> JSON? {
        read.insert(name)
        guard let value = object[name], !value.isNull else { return nil }
        return value
    }

    package mutating func string(_ name: String, longest: Int) throws(APIError) -> String? {
        guard let value = value(name) else { return nil }
        guard let string = value.string else { throw Self.wrongType(path(name), value, expected: "a string") }
        guard string.utf8.count <= longest else {
            throw APIError(
                .invalidValue, "\(path(name)): at most \(longest) bytes were expected, found \(string.utf8.count)", param: path(name))
        }
        return string
    }

    package mutating func bool(_ name: String) throws(APIError) -> Bool? {
        guard let value = value(name) else { return nil }
        guard let bool = value.bool else { throw Self.wrongType(path(name), value, expected: "a boolean") }
        return bool
    }

    package mutating func integer(_ name: String, in range: ClosedRange<Int>) throws(APIError) -> Int? {
        guard let value = value(name) else { return nil }
        return try Self.integer(value, in: range, path(name))
    }

    /// - Parameter aboveLower: the lower bound itself is excluded.
    package mutating func number(_ name: String, in range: ClosedRange<Double>, aboveLower: Bool = false) throws(APIError) -> Float? {
        guard let value = value(name) else { return nil }
        let expected = "a number \(aboveLower ? "above" : "from") \(Self.text(range.lowerBound)) \(aboveLower ? "up " : "")to \(Self.text(range.upperBound))"
        guard let number = value.double else { throw Self.wrongType(path(name), value, expected: expected) }
        guard range.contains(number), !aboveLower || number > range.lowerBound else {
            throw APIError(.invalidValue, "\(path(name)): \(expected) was expected, found \(Self.text(number))", param: path(name))
        }
        return Float(number)
    }

    package mutating func array(_ name: String, atMost limit: Int) throws(APIError) -> [JSON]? {
        guard let value = value(name) else { return nil }
        guard let array = value.array else { throw Self.wrongType(path(name), value, expected: "an array") }
        try Self.bound(array.count, limit, path(name))
        return array
    }

    package mutating func object(_ name: String) throws(APIError) -> JSONObject? {
        guard let value = value(name) else { return nil }
        guard let object = value.object else { throw Self.wrongType(path(name), value, expected: "an object") }
        return object
    }

    /// Refuses the member unless it is absent, null, or says what is true anyway.
    package mutating func refuse(_ name: String, unless harmless: (JSON) -> Bool = { _ in false }) throws(APIError) {
        guard let value = value(name), !harmless(value) else { return }
        throw APIError(
            .unsupportedParameter, "\(path(name)) is not supported by this server; it would change the answer, so it is not ignored",
            param: path(name))
    }

    // MARK: Single values

    package static func integer(_ value: JSON, in range: ClosedRange<Int>, _ path: String) throws(APIError) -> Int {
        let expected =
            range.upperBound == .max ? "a whole number of at least \(range.lowerBound)" : "a whole number from \(range.lowerBound) to \(range.upperBound)"
        guard value.double != nil else { throw wrongType(path, value, expected: expected) }
        guard let integer = value.integer else {
            throw APIError(.invalidType, "\(path): \(expected) was expected, found \(text(value.double ?? 0))", param: path)
        }
        guard range.contains(integer) else {
            throw APIError(.invalidValue, "\(path): \(expected) was expected, found \(integer)", param: path)
        }
        return integer
    }

    package static func bound(_ count: Int, _ limit: Int, _ path: String) throws(APIError) {
        guard count <= limit else {
            throw APIError(.invalidValue, "\(path): at most \(limit) elements were expected, found \(count)", param: path)
        }
    }

    package static func wrongType(_ path: String, _ value: JSON, expected: String) -> APIError {
        APIError(.invalidType, "\(path): \(expected) was expected, found \(value.kind)", param: path)
    }

    package static func missing(_ path: String, expected: String) -> APIError {
        APIError(.missingParameter, "\(path) is missing: \(expected) was expected", param: path)
    }

    static func text(_ number: Double) -> String {
        if let whole = Int(exactly: number) { "\(whole)" } else { "\(number)" }
    }
}
