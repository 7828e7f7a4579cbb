internal import Platform

/// Reads the members of one object of a configuration file, with errors that name file and key.
///
/// A member that is `null` counts as absent: that is how the files spell "not set".
struct ConfigurationFields {
    let file: String
    private let object: JSONObject
    private let prefix: String

    init(_ object: JSONObject, file: String, prefix: String = "") {
        self.object = object
        self.file = file
        self.prefix = prefix
    }

    func failure(_ key: String, _ reason: String) -> ModelConfigurationError {
        ModelConfigurationError(file: file, key: prefix + key, reason: reason)
    }

    subscript(key: String) -> JSON? {
        guard let value = object[key], !value.isNull else { return nil }
        return value
    }

    func integer(_ key: String, in range: ClosedRange<Int>) throws(ModelConfigurationError) -> Int? {
        guard let value = self[key] else { return nil }
        guard let number = value.integer else { throw failure(key, "\(value.kind) was found, a whole number was expected") }
        guard range.contains(number) else {
            throw failure(key, "\(number) was found, \(range.lowerBound) to \(range.upperBound) was expected")
        }
        return number
    }

    func required(_ key: String, in range: ClosedRange<Int>) throws(ModelConfigurationError) -> Int {
        guard let value = try integer(key, in: range) else { throw failure(key, "it is missing, a whole number was expected") }
        return value
    }

    /// A finite number in `range`.
    func number(_ key: String, in range: ClosedRange<Double>) throws(ModelConfigurationError) -> Double? {
        guard let value = self[key] else { return nil }
        guard let number = value.double else { throw failure(key, "\(value.kind) was found, a number was expected") }
        guard range.contains(number) else {
            throw failure(key, "\(number) was found, \(range.lowerBound) to \(range.upperBound) was expected")
        }
        return number
    }

    func bool(_ key: String) throws(ModelConfigurationError) -> Bool? {
        guard let value = self[key] else { return nil }
        guard let flag = value.bool else { throw failure(key, "\(value.kind) was found, true or false was expected") }
        return flag
    }

    func string(_ key: String) throws(ModelConfigurationError) -> String? {
        guard let value = self[key] else { return nil }
        guard let text = value.string else { throw failure(key, "\(value.kind) was found, a string was expected") }
        return text
    }

    func fields(_ key: String) throws(ModelConfigurationError) -> ConfigurationFields? {
        guard let value = self[key] else { return nil }
        guard let object = value.object else { throw failure(key, "\(value.kind) was found, an object was expected") }
        return ConfigurationFields(object, file: file, prefix: prefix + key + ".")
    }

    var keys: [String] { object.keys }
}
