import Platform
import TestSupport
import Testing

@testable import Tokenization

@Suite struct ChatTemplateLanguageTests {
    private static func error(_ source: String, _ variables: JSONObject = JSONObject()) -> TemplateError? {
        do {
            _ = try ChatTemplateFixtures.render(source, variables)
            return nil
        } catch {
            return error
        }
    }

    @Test func `raise_exception is the client's error and carries the message alone`() {
        let error = Self.error("\n{{ raise_exception('Roles must alternate') }}")
        #expect(error == .raised("Roles must alternate"))
        #expect(error?.description == "Roles must alternate")
    }

    @Test(arguments: [
        ("a\n{{ x.y }}", 2, "'x' is undefined"),
        ("{{ messages.append(1) }}", 1, "'append' of a list cannot be used: values do not change in a template (a namespace can hold what changes)"),
        ("\n\n{% for m in [{}] %}\n{{ m.role.x }}{% endfor %}", 4, "'dict object' has no attribute 'role'"),
        ("{{ 'a' + 1 }}", 1, "can only concatenate str (not \"int\") to str"),
        ("{{ 9223372036854775807 + 1 }}", 1, "an integer beyond 64 bits"),
        ("{{ lipsum() }}", 1, "'lipsum' is undefined"),
        ("{{ 'x'.encode() }}", 1, "the method 'encode' of a text is not supported"),
    ])
    func `an error names the line and what is wrong`(source: String, line: Int, reason: String) {
        #expect(Self.error(source) == .failed(line: line, reason: reason))
    }

    @Test(arguments: [
        ("{{ x | nosuch }}", 1, "no filter named 'nosuch'"),
        ("\n{% if false %}{{ x is nosuch }}{% endif %}", 2, "no test named 'nosuch'"),
        ("{{ x | map('nosuch') }}", 1, "no filter named 'nosuch'"),
        ("{{ x | selectattr('a', 'nosuch') }}", 1, "no test named 'nosuch'"),
        ("{% include 'other' %}", 1, "the statement 'include' is not supported"),
        ("{% endfor %}", 1, "unknown statement 'endfor'"),
        ("{% if x %}\n", 1, "'{% endif %}' was expected, found the end of the template"),
        ("{% for x in y %}{% endif %}", 1, "unknown statement 'endif' ('endfor' or 'else' was expected)"),
        ("{{ 'abc }}", 1, "a string without its closing quote"),
        ("{# abc", 1, "a comment without its end '#}'"),
        ("{% raw %}abc", 1, "a raw block without its end '{% endraw %}'"),
        ("{{ (1] }}", 1, "unexpected ']', expected ')'"),
        ("{{ a ? b }}", 1, "unexpected character '?'"),
        ("{% break %}", 1, "'break' outside a loop"),
        ("{{ 99999999999999999999 }}", 1, "'99999999999999999999' is not a 64-bit number"),
        ("{{ x y }}", 1, "'}}' was expected, found 'y'"),
        ("{% for x in y recursive %}{% endfor %}", 1, "recursive loops are not supported"),
    ])
    func `what is not of the language is refused when parsed`(source: String, line: Int, reason: String) {
        #expect(Self.error(source) == .syntax(line: line, reason: reason))
    }

    @Test func `text counts, compares and cuts by code point`() throws {
        let variables = JSONObject([("composed", "\u{E9}"), ("combined", "e\u{301}"), ("crlf", "a\r\nb"), ("flag", "🇩🇪")])
        #expect(try ChatTemplateFixtures.render("{{ composed == combined }}", variables) == "False")
        #expect(try ChatTemplateFixtures.render("{{ combined | length }}{{ flag | length }}{{ crlf | length }}", variables) == "224")
        #expect(try ChatTemplateFixtures.render("{{ crlf.split('\\n') }}", variables) == "['a\\r', 'b']")
        #expect(try ChatTemplateFixtures.render("{{ combined in 'e' }}{{ 'e' in combined }}", variables) == "FalseTrue")
        #expect(try ChatTemplateFixtures.render("{{ {composed: 1}[combined] is defined }}", variables) == "False")
    }

    @Test func `values cannot be changed but a namespace can`() throws {
        #expect(Self.error("{% set d = {'a': 1} %}{{ d.update({'a': 2}) }}") != nil)
        #expect(Self.error("{% set d = {'a': 1} %}{% set d.a = 2 %}") == .failed(line: 1, reason: "'d' is no namespace: its attributes cannot be set"))
        #expect(try ChatTemplateFixtures.render("{% set n = namespace(a=1) %}{% for i in [1, 2] %}{% set n.a = n.a + i %}{% endfor %}{{ n.a }}") == "4")
    }

    @Test func `an assignment in a loop is not seen outside it`() throws {
        #expect(try ChatTemplateFixtures.render("{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = 9 %}{{ x }}{% endfor %}{{ x }}") == "19191")
    }

    @Test func `else of a loop runs when no iteration came to its end`() throws {
        #expect(try ChatTemplateFixtures.render("{% for i in [] %}x{% else %}e{% endfor %}") == "e")
        #expect(try ChatTemplateFixtures.render("{% for i in [1] %}x{% break %}{% else %}e{% endfor %}") == "xe")
        #expect(try ChatTemplateFixtures.render("{% for i in [1, 2] %}{% if i == 2 %}{% break %}{% endif %}x{% else %}e{% endfor %}") == "x")
    }

    @Test func `an iterator can be walked once`() throws {
        #expect(try ChatTemplateFixtures.render("{% set x = [1, 2] | select %}{{ x | list }}{{ x | list }}") == "[1, 2][]")
        #expect(try ChatTemplateFixtures.render("{{ 'yes' if [] | select else 'no' }}") == "yes")
    }

    @Test func `loop knows its neighbours and its end`() throws {
        let source = "{% for x in 'abc' %}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.revindex }}{{ loop.length }}{{ loop.first }}{{ loop.last }} {% endfor %}"
        #expect(try ChatTemplateFixtures.render(source) == "b33TrueFalse ac23FalseFalse b13FalseTrue ")
        #expect(try ChatTemplateFixtures.render("{% for x in [1, 2] %}{% for y in [1] %}{{ loop.length }}{% endfor %}{{ loop.index }}{% endfor %}") == "1112")
    }

    @Test func `extra variables win over special tokens and messages win over extra ones`() throws {
        let template = try ChatTemplate(
            source: "{{ bos_token }}{{ messages | length }}{{ tools }}{{ documents }}{{ x }}", toolUse: "tools!",
            variables: JSONObject([("bos_token", "<a>")]), limits: TemplateLimits()
        )
        let extra = JSONObject([("bos_token", "<b>"), ("messages", "no"), ("x", 1)])
        #expect(try template.render(messages: ["m"], addGenerationPrompt: false, extra: extra, now: ChatTemplateFixtures.now) == "<b>1NoneNone1")
        #expect(try template.render(messages: [], tools: [], addGenerationPrompt: false, now: ChatTemplateFixtures.now) == "tools!")
    }

    @Test func `numbers print as Python prints them`() throws {
        let source = "{{ [0.1 + 0.2, 1e15, 1e16, 123456789012345678.0, 1e22, 0.0001, 0.00001, 1.5e300, -1e-7, 5e-324, 3.0, 100.0, 12345678901234567.0] }}"
        let expected = "[0.30000000000000004, 1000000000000000.0, 1e+16, 1.2345678901234568e+17, 1e+22, 0.0001, 1e-05, 1.5e+300, -1e-07, 5e-324, 3.0, 100.0, 1.2345678901234568e+16]"
        #expect(try ChatTemplateFixtures.render(source) == expected)
        #expect(try ChatTemplateFixtures.render("{{ 2.675|round(2) }} {{ 0.5|round }} {{ 1.5|round }} {{ 1e23|round(1) }} {{ 1250|round(-2) }} {{ '%.3f' % 2.0005 }}") == "2.67 0.0 2.0 1e+23 1200 2.001")
    }
}

@Suite struct TemplateDateTests {
    @Test(arguments: [
        (0, "1970-01-01 00:00:00 Thursday 001"), (951_782_400, "2000-02-29 00:00:00 Tuesday 060"),
        (1_741_356_309, "2025-03-07 14:05:09 Friday 066"), (-1, "1969-12-31 23:59:59 Wednesday 365"),
        (4_102_444_799, "2099-12-31 23:59:59 Thursday 365"), (1_735_689_599, "2024-12-31 23:59:59 Tuesday 366"),
    ])
    func `seconds since 1970 become a calendar day`(seconds: Int, expected: String) {
        #expect(TemplateDate(unixSeconds: seconds).formatted("%Y-%m-%d %H:%M:%S %A %j") == expected)
    }

    @Test func `hours of a half day run from 12 to 11`() {
        let hours = [0, 1, 11, 12, 13, 23].map { TemplateDate(year: 2025, month: 1, day: 2, hour: $0).formatted("%I%p") }
        #expect(hours == ["12AM", "01AM", "11AM", "12PM", "01PM", "11PM"])
        #expect(TemplateDate(year: 2025, month: 1, day: 2).formatted("%-d/%-m/%y %e %%") == "2/1/25  2 %")
    }

    @Test func `an unknown directive is refused`() {
        #expect(TemplateDate(unixSeconds: 0).formatted("%Q") == nil)
        #expect(TemplateDate(unixSeconds: 0).formatted("100%") == nil)
    }
}
