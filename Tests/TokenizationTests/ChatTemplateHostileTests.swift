import Platform
import TestSupport
import Testing

@testable import Tokenization

/// Damaged and invented templates: whatever the bytes, rendering returns or throws.
@Suite struct ChatTemplateHostileTests {

    private static let names = [
        "chatml", "command-r-style", "deepseek-style", "everything", "gemma-style", "hermes-style", "llama2", "llama3-tools",
        "mistral-v3", "qwen3-style", "smollm3-style",
    ]

    private static func conversation() throws -> [UInt8] {
        let conversation = try ChatTemplateFixtures.conversation("tools")
        return Array(conversation.text.utf8)
    }

    private static func survives(_ template: [UInt8], _ variables: [UInt8]) {
        _ = try? ChatTemplate.renderUntrusted(template: template, variables: variables)
    }

    @Test(arguments: names) func `a truncated template returns or throws`(name: String) throws {
        let bytes = Array(try ChatTemplateFixtures.text(name + ".jinja").utf8)
        let variables = try Self.conversation()
        for count in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 150)) { Self.survives(Array(bytes[..<count]), variables) }
    }

    @Test(arguments: names) func `a template with flipped bits returns or throws`(name: String) throws {
        let bytes = Array(try ChatTemplateFixtures.text(name + ".jinja").utf8)
        let variables = try Self.conversation()
        var generator = SeededGenerator(seed: 0x9E37_79B9_7F4A_7C15)
        for _ in 0..<150 {
            var damaged = bytes
            for _ in 0...Int.random(in: 0..<4, using: &generator) {
                damaged[Int.random(in: 0..<damaged.count, using: &generator)] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            }
            Self.survives(damaged, variables)
        }
    }

    /// Pieces of the language in random order reach further than random bytes.
    @Test func `pieces of the language in any order return or throw`() throws {
        let pieces = [
            "{{", "}}", "{%", "%}", "{#", "#}", "{%-", "-%}", " if ", " else ", "elif", "endif", "for x in ", "endfor", "set x", " = ", "endset",
            "macro m(", ")", "(", "endmacro", "call m()", "endcall", "[", "]", "{", "}", ":", ",", ".", "|", "'a'", "\"b\\n\"", "1", "-1", "0.5", "9223372036854775807",
            "-9223372036854775807 - 1", "x", "messages", "loop", "loop.index", "namespace()", "range(3)", "x.y", "is", "not", "in", "and", "or", "+", "-", "*", "//", "%", "**", "~",
            "split", "join", "tojson", "length", "select", "'%s'", "messages[::-1]", "[0]", "[-1:]", "none", "true", "raw", "endraw", "\n", " ", "é", "🇩🇪", "\\", "'", "\"",
            "abs", "round(-3)", "first", "last", "sort", "string", "int", "sum", "batch(2)", "groupby('role')", "indent", "center(3)", "dictsort", "filter upper", "endfilter", "with", "endwith", "break", "continue",
        ]
        let variables = try Self.conversation()
        var generator = SeededGenerator(seed: 42)
        for _ in 0..<3_000 {
            let count = Int.random(in: 1..<14, using: &generator)
            var body = (0..<count).map { _ in pieces.randomElement(using: &generator)! }.joined(separator: Bool.random(using: &generator) ? "" : " ")
            if Bool.random(using: &generator) { body = "{{ " + body + " }}" }
            Self.survives(Array(body.utf8), variables)
        }
    }

    /// Every method and filter meets every kind of value, with too few, strange and extreme arguments.
    @Test func `every filter and method takes any value and any arguments`() throws {
        let values = [
            "none", "true", "0", "-9223372036854775807 - 1", "9223372036854775807", "0.5", "1e308 * 10", "''", "'aé\\n'", "[]", "[1, 'a', none]", "(1,)", "{}", "{'a': 1, none: 2, 1.5: []}",
            "range(3)", "range(0)", "namespace(a=1)", "missing", "([1] | select)", "{'a': 1}.items()", "range", "'x'.upper", "messages",
        ]
        let arguments = ["", "none", "-1", "9223372036854775807", "-9223372036854775807 - 1", "''", "'a'", "[]", "missing", "'a', 'b', 1", "1, 2", "'a', -9223372036854775807", "*[1, 2]", "**{'a': 1}", "width=2", "'a', 'upper'", "1e308"]
        let methods = [
            "strip", "split", "rsplit", "splitlines", "find", "rindex", "count", "replace", "join", "zfill", "center", "partition", "format", "get", "items", "index", "copy", "cycle", "title",
            "removeprefix", "startswith", "isdigit", "capitalize", "swapcase", "isupper", "append",
        ]
        for value in values {
            for argument in arguments {
                let filters = TemplateFilter.allCases.map { "{{ (\(value)) | \($0.rawValue)(\(argument)) }}" }
                for source in filters + methods.map({ "{{ (\(value)).\($0)(\(argument)) }}" }) {
                    Self.survives(Array(source.utf8), [])
                }
                for test in ["divisibleby", "sameas", "in", "lt", "eq", "odd", "upper", "sequence"] {
                    Self.survives(Array("{{ (\(value)) is \(test)(\(argument)) }}".utf8), [])
                }
            }
            for other in values {
                for sign in ["+", "-", "*", "/", "//", "%", "**", "~", "<", "==", "in"] {
                    Self.survives(Array("{{ (\(value)) \(sign) (\(other)) }}".utf8), [])
                }
                Self.survives(Array("{{ (\(value))[\(other)] }}{{ (\(value))[\(other)::\(other)] }}{{ (\(value))[:\(other)] }}".utf8), [])
                Self.survives(Array("{{ range(\(value), \(other)) }}{{ (\(value)) | round(\(other)) }}".utf8), [])
            }
        }
    }

    @Test func `kept inputs return or throw`() throws {
        for input in try ChatTemplateFixtures.cases("hostile.json") {
            Self.survives(Array((input["template"]?.string ?? "").utf8), Array((input["variables"]?.text ?? "").utf8))
        }
    }

    @Test func `damaged variables return or throw`() throws {
        let template = Array(try ChatTemplateFixtures.text("qwen3-style.jinja").utf8)
        let variables = try Self.conversation()
        for count in stride(from: 0, to: variables.count, by: 7) { Self.survives(template, Array(variables[..<count])) }
        for odd in [#"{"messages": [1, null, "x", [], {}]}"#, #"{"messages": [{"role": {}, "content": []}]}"#, #"{"messages": [], "tools": [1]}"#] {
            for name in Self.names { Self.survives(Array(try ChatTemplateFixtures.text(name + ".jinja").utf8), Array(odd.utf8)) }
        }
    }
}
