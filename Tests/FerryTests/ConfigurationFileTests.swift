import Foundation
import TestSupport
import Testing

@testable import Ferry

/// `configs/local.yaml` is for people to read and copy: it must say what the program does.
@Suite struct ConfigurationFileTests {
    private static let path = SharedFiles.repository + "/configs/local.yaml"

    /// The file as `SettingKey.all` has it, without the words at its top.
    private var expected: [String] {
        var lines: [String] = []
        for key in SettingKey.all {
            let parts = key.name.split(separator: ".", maxSplits: 1)
            if !lines.contains("\(parts[0]):") { lines.append("\(parts[0]):") }
            lines.append("  # " + key.meaning)
            lines.append("  \(parts[1]): " + value(of: key))
        }
        return lines
    }

    private func value(of key: SettingKey) -> String {
        if case .list = key.kind { return "[\(key.fallback.replacing(",", with: ", "))]" }
        return key.fallback.isEmpty ? "\"\"" : key.fallback
    }

    @Test func `the file has every key in order, with its meaning and default`() throws {
        let text = try String(contentsOfFile: Self.path, encoding: .utf8)
        let found = text.split(separator: "\n").map(String.init).drop { $0.hasPrefix("#") }
        for (line, (found, expected)) in zip(found, expected).enumerated() {
            try #require(found == expected, "line \(line + 1) after the words at the top")
        }
        #expect(found.count == expected.count, "expected: \(expected.suffix(2)), found: \(found.suffix(2))")
    }

    @Test func `reading the file gives the defaults`() throws {
        let file = try Settings(file: Self.path, environment: [:], overrides: [])
        let none = try Settings(file: nil, environment: [:], overrides: [])
        for key in SettingKey.all { #expect(file.list(key.name) == none.list(key.name), "\(key.name)") }
    }
}
