import Platform
import TestSupport
import Testing

@testable import Tokenization

/// What a hostile template can try, and the bound that ends it. None of them may take long or end the process.
@Suite struct ChatTemplateLimitsTests {
    private static let wide =
        "{% set ns = namespace() %}{% set ns.d = {" + (0..<9_000).map { "'k\($0)': 1" }.joined(separator: ", ") + "} %}"

    /// The name of the limit that `source` runs into; nil when it renders.
    private static func limit(
        _ source: String, _ variables: JSONObject = JSONObject(), _ limits: TemplateLimits = TemplateLimits(steps: 200_000)
    ) throws -> String? {
        do {
            _ = try ChatTemplateFixtures.render(source, variables, limits: limits)
            return nil
        } catch .exceeded(_, let limit, _) {
            return limit
        }
    }

    @Test(arguments: [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}",
        "{% for i in range(100000) %}{% set x = [1] * 1000 %}{% endfor %}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l | tojson }}",
        "{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(60) %}{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}{% endfor %}{{ ns.a == ns.b }}",
        "{{ [0] * 100000000000 }}",
        "{{ range(100000) | sort | sort(reverse=true) | map('string') | join | length }}",
        "{% set s = 'a' * 100000 %}{% for i in range(1000) %}{{ s.replace('a', 'b') | length }}{% endfor %}",
        "{% macro twice() %}{% for i in range(2) %}{{ caller() }}{% endfor %}{% endmacro %}"
            + String(repeating: "{% call twice() %}", count: 30) + "x" + String(repeating: "{% endcall %}", count: 30),
    ])
    func `work beyond the step budget ends`(source: String) throws {
        #expect(try Self.limit(source) == "steps of work")
    }

    /// Work whose size is an argument's, done so often that a step for each call would allow minutes of it.
    @Test(arguments: [
        "{% set b = 'ab' * 2000000 %}{% for i in range(100) %}{% set q = 'x'.strip(b) %}{% endfor %}",
        "{% set b = 'ab' * 2000000 %}{% for i in range(100) %}{% set q = 'x' | trim(b) %}{% endfor %}",
        "{% set b = ' ' * 4000000 %}{% for i in range(100) %}{% set q = b.strip() %}{% endfor %}",
        "{% set t = ('ab',) * 300000 %}{% for i in range(2000) %}{% set q = 'x'.startswith(t) %}{% endfor %}",
        "{% set t = ('a' * 1000 + 'b',) * 1000 %}{% set x = 'a' * 2000 %}{% for i in range(1000) %}{% set q = x.startswith(t) %}{% endfor %}",
        "{% for i in range(20000) %}{% set q = 5e-324 | round(2) %}{% endfor %}",
        "{% for i in range(20000) %}{% set q = '%f' % 5e-324 %}{% endfor %}",
        // A dictionary of 9,000 names: each call walks it to spread it, each format to find its holes.
        wide + "{% macro m() %}{{ kwargs | length }}{% endmacro %}{% for i in range(100) %}{{ m(**ns.d) }}{% endfor %}",
        wide + "{% for i in range(100) %}{{ '{k8999}'.format(**ns.d) }}{% endfor %}",
        "{% set b = 'ab' * 2000000 %}{% for i in range(100) %}{% set q = 'x'.partition(b) %}{% endfor %}",
        "{% set b = 'ab' * 2000000 %}{% for i in range(100) %}{% set q = b is upper %}{% endfor %}",
        "{% set b = ' ' * 4000000 %}{% for i in range(100) %}{% set q = b | int %}{% set q = b | float %}{% endfor %}",
        "{% set b = 'a' * 4000000 %}{% for i in range(100) %}{% set q = [{}] | map(attribute=b) | list %}{% endfor %}",
        "{% set b = 'a,' * 2000000 %}{% for i in range(100) %}{% set q = [] | sort(attribute=b) %}{% endfor %}",
        "{% set b = 'ab' * 2000000 %}{% set d = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, 8: 8, 9: 9} %}"
            + "{% for i in range(100) %}{% set q = d[b] %}{% set q = b in d %}{% endfor %}",
        "{% set b = 'ab' * 2000000 %}{% for i in range(100) %}{% set q = [1, 2] | tojson(separators=(b, ':')) %}{% endfor %}",
        "{% set b = '\u{E9}\"' * 1000000 %}{% for i in range(100) %}{% set q = [b] | tojson %}{% endfor %}",
    ])
    func `work is paid for by the size of its arguments`(source: String) throws {
        #expect(try Self.limit(source, JSONObject(), TemplateLimits()) == "steps of work")
    }

    /// By scanning, this would be trillions of comparisons: hours.
    @Test(.timeLimit(.minutes(1))) func `a scope with many names looks them up`() {
        let scope = TemplateScope(parent: nil)
        let count = Build.size(3_000_000, debug: 30_000)
        for name in 0..<count { scope.set(name, .integer(name)) }
        #expect(scope[count - 1]?.asInteger == count - 1 && scope[count]?.asInteger == nil)
    }

    @Test(arguments: [
        "{% set ns = namespace(s='ab') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{% set ns = namespace(s='ab') %}{% for i in range(60) %}{% set ns.s = ns.s.replace('a', ns.s) %}{% endfor %}",
        "{% set ns = namespace(s='ab') %}{% for i in range(60) %}{% set ns.s = ns.s.join([ns.s, ns.s, ns.s]) %}{% endfor %}",
        "{% set ns = namespace(s='ab') %}{% for i in range(60) %}{% set ns.s = '%s%s' % (ns.s, ns.s) %}{% endfor %}",
        "{{ 'x' * 1000000000000 }}", "{{ 'x' | center(99999999) }}", "{{ 'x'.zfill(99999999) }}", "{{ 'x'.ljust(99999999) }}",
        "{{ 'a\\nb' | indent(99999999) }}", "{{ [1] | tojson(indent=99999999) }}",
        "{{ ('x' * 1000000).replace('', 'y' * 1000000) }}",
    ])
    func `text beyond the byte budget is not made`(source: String) throws {
        #expect(try Self.limit(source, JSONObject(), TemplateLimits(steps: 1_000_000, outputBytes: 1 << 22)) == "bytes of text")
    }

    @Test func `output beyond its budget ends`() throws {
        let limits = TemplateLimits(outputBytes: 1_000)
        #expect(try Self.limit("{% for i in range(1001) %}x{% endfor %}", JSONObject(), limits) == "bytes of text")
        #expect(try Self.limit("{% for i in range(1000) %}x{% endfor %}", JSONObject(), limits) == nil)
    }

    @Test(arguments: [
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro a(x) %}{{ b(x) }}{% endmacro %}{% macro b(x) %}{{ a(x) }}{% endmacro %}{{ a(1) }}",
        "{% macro m() %}{% for i in [1] %}{% if true %}{% set x %}{{ [(((m())))] }}{% endset %}{% endif %}{% endfor %}{% endmacro %}{{ m() }}",
        "{% macro m(x=m()) %}{% endmacro %}{{ m() }}",
        "{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}",
    ])
    func `macros that call themselves for ever end before the stack does`(source: String) throws {
        #expect(try Self.limit(source) == "levels of evaluation")
    }

    @Test(arguments: [
        String(repeating: "(", count: 10_000) + String(repeating: ")", count: 10_000),
        String(repeating: "[", count: 10_000) + String(repeating: "]", count: 10_000),
        String(repeating: "{1:", count: 10_000) + String(repeating: "}", count: 10_000),
        String(repeating: "not ", count: 10_000), String(repeating: "-", count: 10_000), "x" + String(repeating: ".a", count: 10_000),
        "x" + String(repeating: "[0]", count: 10_000), "x" + String(repeating: "|first", count: 10_000),
        "x" + String(repeating: "()", count: 10_000), String(repeating: "1 if 1 else ", count: 10_000) + "1",
        "1" + String(repeating: " if 1", count: 10_000),
        String(repeating: "x[", count: 10_000) + String(repeating: "]", count: 10_000),
        String(repeating: "f(", count: 10_000) + String(repeating: ")", count: 10_000),
    ])
    func `nesting beyond the bound is refused by the parser`(expression: String) throws {
        // A sign directly behind the braces would be whitespace control.
        #expect(try Self.limit("{{ " + expression + " }}") == "levels of nesting")
    }

    @Test func `nested blocks and targets are bounded`() throws {
        #expect(try Self.limit(String(repeating: "{% if 1 %}", count: 10_000)) == "levels of nesting")
        #expect(try Self.limit("{% set " + String(repeating: "(", count: 10_000) + String(repeating: ")", count: 10_000) + " %}") == "levels of nesting")
    }

    @Test func `long flat chains are not nesting`() throws {
        let sum = "{{ 0" + String(repeating: " + 1", count: 5_000) + " }}"
        #expect(try ChatTemplateFixtures.render(sum) == "5000")
        let text = "{{ ''" + String(repeating: " ~ 'a'", count: 2_000) + " }}"
        #expect(try ChatTemplateFixtures.render(text).utf8.count == 2_000)
        let branches = "{% if 0 %}" + String(repeating: "{% elif 0 %}", count: 5_000) + "{% else %}x{% endif %}"
        #expect(try ChatTemplateFixtures.render(branches) == "x")
    }

    @Test(arguments: [
        "{% set ns = namespace(l=[]) %}{% for i in range(99999) %}{% set ns.l = [ns.l] %}{% endfor %}",
        "{% set ns = namespace(l={}) %}{% for i in range(99999) %}{% set ns.l = {'a': ns.l} %}{% endfor %}",
        "{% set ns = namespace(l=1) %}{% for i in range(99999) %}{% set ns.l = (ns.l,)|map('string') %}{% set ns.l = [ns.l]|reverse %}{% endfor %}",
        "{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}",
        "{% set ns = namespace() %}{% set ns.l = [ns] %}{{ ns.l }}",
    ])
    func `values nested without end are refused`(source: String) throws {
        let found = try Self.limit(source)
        #expect(found == "levels of nested values" || found == "steps of work")
    }

    /// Freeing a chain of 100,000 would exhaust the stack.
    @Test func `loops kept beyond their end form no chain`() throws {
        let source = """
            {% set ns = namespace(prev=none, cur=none) %}{% for i in range(100000) %}{% for x in [1] %}{% set ns.cur = loop %}{% endfor %}\
            {% set q = ns.cur.changed(ns.prev) %}{% set ns.prev = ns.cur %}{% endfor %}hello
            """
        #expect(try ChatTemplateFixtures.render(source, limits: TemplateLimits(steps: 10_000_000)) == "hello")
    }

    @Test func `a finished loop keeps no value, not even itself`() {
        weak var kept: TemplateLoopState?
        do {
            let state = TemplateLoopState([.integer(1)])
            kept = state
            state.remember(.loop(state))
            state.finish()
            state.remember(.loop(state))
            #expect(state.lastChanged == nil && state.items.isEmpty)
        }
        #expect(kept == nil)
    }

    @Test func `nested input is bounded`() throws {
        var value = JSON.array([])
        for _ in 0..<101 { value = .array([value]) }
        #expect(try Self.limit("{{ x }}", JSONObject([("x", value)])) == "levels of nested values")
    }

    @Test func `a range is as long as Python's sandbox allows`() throws {
        #expect(try Self.limit("{{ range(100000) | length }}") == nil)
        #expect(try Self.limit("{{ range(100001) | length }}") == "elements of a range")
        #expect(try Self.limit("{{ range(-9223372036854775807, 9223372036854775807) }}") == "elements of a range")
        #expect(try Self.limit("{{ range(0, 9223372036854775807, 922337203685477) | length }}") == nil)
    }

    @Test func `the text of a template is bounded`() throws {
        let limits = TemplateLimits(sourceBytes: 100)
        #expect(try Self.limit(String(repeating: "x", count: 101), JSONObject(), limits) == "bytes of template text")
        #expect(try Self.limit(String(repeating: "x", count: 100), JSONObject(), limits) == nil)
    }

    @Test func `a thousand messages take less than half of the default budget in the longest of the common templates`() throws {
        let limits = TemplateLimits(steps: 400_000)
        let template = try ChatTemplate(source: try ChatTemplateFixtures.text("qwen3-style.jinja"), limits: limits)
        let messages = (0..<1_000).map { index -> JSON in
            ["role": .string(index % 2 == 0 ? "user" : "assistant"), "content": .string("<think>\na\n</think>\n\n" + String(repeating: "word ", count: 400))]
        }
        let text = try template.render(messages: messages, addGenerationPrompt: true, now: ChatTemplateFixtures.now)
        #expect(text.utf8.count > 2_000_000)
    }
}
