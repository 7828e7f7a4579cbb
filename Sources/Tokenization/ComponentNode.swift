internal import Platform

/// A place in tokenizer.json: the value there and the path that names it in errors.
struct ComponentNode {
    let value: JSON
    let file: String
    let key: String

    subscript(name: String) -> ComponentNode {
        ComponentNode(value: value[name] ?? .null, file: file, key: key.isEmpty ? name : "\(key).\(name)")
    }

    var isAbsent: Bool { value.isNull }

    func invalid(_ found: String, expected: String) -> TokenizerError {
        .invalid(file: file, key: key.isEmpty ? "the file" : key, found: found, expected: expected)
    }

    func unsupported(_ found: String) -> TokenizerError { .unsupported(file: file, key: key, found: found) }

    func string() throws(TokenizerError) -> String {
        guard let string = value.string else { throw invalid(value.kind, expected: "a string") }
        return string
    }

    /// A string no longer than a pattern may be, as UTF-8.
    func pattern() throws(TokenizerError) -> [UInt8] {
        let bytes = Array(try string().utf8)
        guard bytes.count <= TokenizerLimits.patternBytes else {
            throw invalid("\(bytes.count) bytes", expected: "at most \(TokenizerLimits.patternBytes)")
        }
        return bytes
    }

    /// A string of one scalar, as UTF-8.
    func scalar() throws(TokenizerError) -> [UInt8] {
        let string = try string()
        guard string.unicodeScalars.count == 1 else { throw invalid("\"\(string.prefix(40))\"", expected: "one character") }
        return Array(string.utf8)
    }

    func bool() throws(TokenizerError) -> Bool {
        guard let bool = value.bool else { throw invalid(value.kind, expected: "a boolean") }
        return bool
    }

    func bool(ifAbsent fallback: Bool) throws(TokenizerError) -> Bool { isAbsent ? fallback : try bool() }

    func integer(in range: Range<Int>) throws(TokenizerError) -> Int {
        guard let integer = value.integer else { throw invalid(value.kind, expected: "an integer") }
        guard range.contains(integer) else { throw invalid("\(integer)", expected: "\(range.lowerBound)..<\(range.upperBound)") }
        return integer
    }

    func elements() throws(TokenizerError) -> [ComponentNode] {
        guard let array = value.array else { throw invalid(value.kind, expected: "an array") }
        return array.enumerated().map { ComponentNode(value: $1, file: file, key: "\(key)[\($0)]") }
    }

    func object() throws(TokenizerError) -> JSONObject {
        guard let object = value.object else { throw invalid(value.kind, expected: "an object") }
        return object
    }

    /// The component's name.
    func type() throws(TokenizerError) -> String {
        _ = try object()
        return try self["type"].string()
    }
}
