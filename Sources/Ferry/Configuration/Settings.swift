internal import Foundation
internal import Yams

/// What is wrong with the configuration; the program exits with 78.
struct ConfigurationError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Values of all keys: `--set` over environment over file over defaults. Checked as they are read.
struct Settings: Sendable {
    /// A value and where it came from, for error messages and `--print-config`.
    struct Entry: Sendable {
        var values: [String]
        var origin: String
    }

    private var entries: [String: Entry] = [:]

    /// - Parameters:
    ///   - file: a YAML file of nested keys; nil for none.
    ///   - overrides: `key=value` from the command line, the last one winning.
    init(file: String?, environment: [String: String], overrides: [String]) throws(ConfigurationError) {
        if let file { try read(file: file) }
        for key in SettingKey.all {
            if let value = environment[key.variable] { try set(key.name, to: value, origin: key.variable) }
        }
        let sections = Set(SettingKey.all.map { "FERRY_" + $0.name.prefix { $0 != "." }.uppercased() + "_" })
        for name in environment.keys.sorted() where sections.contains(where: name.hasPrefix) {
            guard SettingKey.all.contains(where: { $0.variable == name }) else {
                throw ConfigurationError("the environment variable \(name) belongs to no key; serve --help and configs/local.yaml name them")
            }
        }
        for override in overrides {
            guard let equals = override.firstIndex(of: "=") else {
                throw ConfigurationError("--set \(override): key=value was expected")
            }
            try set(String(override[..<equals]), to: String(override[override.index(after: equals)...]), origin: "--set")
        }
        for key in SettingKey.all { try check(key) }
    }

    /// Overrides `name`, for flags that have a name of their own (`--model`, `--listen`).
    mutating func set(_ name: String, to value: String, origin: String) throws(ConfigurationError) {
        let key = try Self.key(name, origin: origin)
        let values = if case .list = key.kind { value.split(separator: ",").map(String.init) } else { [value] }
        entries[name] = Entry(values: values, origin: origin)
        try check(key)
    }

    private static func key(_ name: String, origin: String) throws(ConfigurationError) -> SettingKey {
        if let key = SettingKey.byName[name] { return key }
        let last = name.split(separator: ".").last.map(String.init) ?? name
        let near = SettingKey.all.first { $0.name.hasSuffix("." + last) || $0.name.replacing("_", with: "") == name.replacing("_", with: "") }
        throw ConfigurationError("\(origin): unknown key \(name)" + (near.map { "; did you mean \($0.name)?" } ?? ""))
    }

    private mutating func read(file: String) throws(ConfigurationError) {
        let text: String
        do { text = try String(contentsOfFile: file, encoding: .utf8) } catch {
            throw ConfigurationError("cannot read \(file): \(error.localizedDescription)")
        }
        let root: Node?
        do { root = try Yams.compose(yaml: text) } catch { throw ConfigurationError("\(file) is not YAML: \(error)") }
        if let root, root.null == nil { try read(root, path: "", file: file) }
    }

    private mutating func read(_ node: Node, path: String, file: String) throws(ConfigurationError) {
        let place = file + (node.mark.map { ":\($0.line)" } ?? "")
        switch node {
        case .mapping(let mapping):
            for (key, value) in mapping {
                guard let name = key.string else { throw ConfigurationError("\(place): a key that is not text") }
                try read(value, path: path.isEmpty ? name : path + "." + name, file: file)
            }
        case .sequence(let sequence):
            let key = try Self.key(path, origin: place)
            guard case .list = key.kind else { throw ConfigurationError("\(place): \(path) is one value, a list was found") }
            var values: [String] = []
            for element in sequence {
                guard let value = element.string else {
                    throw ConfigurationError("\(place): \(path) holds an element that is not text, a list of texts was expected")
                }
                values.append(value)
            }
            entries[path] = Entry(values: values, origin: place)
        case .scalar(let scalar):
            // A section whose keys are all commented out.
            if node.null != nil, SettingKey.all.contains(where: { $0.name.hasPrefix(path + ".") }) { return }
            let key = try Self.key(path, origin: place)
            let isEmpty = scalar.string.isEmpty || node.null != nil
            entries[key.name] = isEmpty ? nil : Entry(values: [scalar.string], origin: place)
        case .alias: throw ConfigurationError("\(place): aliases are not read")
        }
    }

    // MARK: Typed reading. The checks ran at the start, so these cannot fail.

    func text(_ name: String) -> String { values(name).first ?? "" }
    /// With a leading `~` as the user's folder.
    func path(_ name: String) -> String { NSString(string: text(name)).expandingTildeInPath }
    func list(_ name: String) -> [String] { values(name) }
    func integer(_ name: String) -> Int { Int(text(name)) ?? 0 }
    func bytes(_ name: String) -> Int { Self.parseBytes(text(name)) ?? 0 }
    func seconds(_ name: String) -> Duration { .nanoseconds(Int64((Double(text(name)) ?? 0) * 1e9)) }

    private func values(_ name: String) -> [String] {
        guard let key = SettingKey.byName[name] else { preconditionFailure("no key \(name)") }
        if let entry = entries[name] { return entry.values }
        if case .list = key.kind { return key.fallback.split(separator: ",").map(String.init) }
        return key.fallback.isEmpty ? [] : [key.fallback]
    }

    private func check(_ key: SettingKey) throws(ConfigurationError) {
        guard let entry = entries[key.name], let value = entry.values.first else { return }
        func wrong(_ expected: String) -> ConfigurationError {
            ConfigurationError("\(entry.origin): \(key.name) is \(key.secret ? "(secret)" : "\"\(value)\""), \(expected) was expected")
        }
        switch key.kind {
        case .text, .list: return
        case .integer(let range):
            guard let number = Int(value), range.contains(number) else {
                throw wrong("a whole number from \(range.lowerBound) to \(range.upperBound)")
            }
        case .bytes(let range):
            guard let number = Self.parseBytes(value), range.contains(number) else {
                throw wrong("bytes such as 512MiB, from \(range.lowerBound) to \(range.upperBound),")
            }
        case .seconds(let range):
            guard let number = Double(value), range.contains(number) else { throw wrong("seconds from \(range.lowerBound) to \(range.upperBound)") }
        case .choice(let words):
            guard words.contains(value) else { throw wrong("one of " + words.joined(separator: ", ")) }
        }
    }

    /// `64`, `512KiB`, `2 GiB`, `1.5GB`; nil for anything else.
    static func parseBytes(_ text: String) -> Int? {
        let number = text.prefix { $0.isNumber || $0 == "." }
        let unit = text.dropFirst(number.count).drop { $0 == " " }.lowercased()
        let factors = [
            "": 1.0, "b": 1, "kib": 1024, "mib": 1_048_576, "gib": 1_073_741_824, "kb": 1e3, "mb": 1e6, "gb": 1e9, "k": 1024, "m": 1_048_576,
            "g": 1_073_741_824,
        ]
        guard let value = Double(number), let factor = factors[unit] else { return nil }
        return Int(exactly: (value * factor).rounded())
    }

    /// The keys of some sections that were set, as `--set` takes them: for a process that is to run with the same.
    func arguments(sections: [String]) -> [String] {
        SettingKey.all.filter { key in entries[key.name] != nil && !key.secret && sections.contains { key.name.hasPrefix($0 + ".") } }
            .flatMap { ["--set", "\($0.name)=\(values($0.name).joined(separator: ","))"] }
    }

    /// The effective values with their origins, one key per line, secrets hidden.
    var description: String {
        SettingKey.all.map { key in
            let value = key.secret && !values(key.name).isEmpty ? "(secret)" : values(key.name).joined(separator: ",")
            return "\(key.name): \(value)  # \(entries[key.name]?.origin ?? "default")"
        }.joined(separator: "\n")
    }
}
