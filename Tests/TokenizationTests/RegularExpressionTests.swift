import Platform
import TestSupport
import Testing

@testable import Tokenization

@Suite struct RegularExpressionTests {
    private func split(_ pattern: String, _ text: String, _ behavior: SplitBehavior = .isolated) throws -> [String] {
        let json = #"{"type":"Split","pattern":{"Regex":\#(Tiny.quoted(pattern))},"behavior":"\#(behavior.rawValue)","invert":false}"#
        return try Tiny.pieces(preTokenizer: json, text)
    }

    @Test("what the two syntaxes read differently is rewritten")
    func rewriting() throws {
        #expect(try PatternSyntax.translate(#"\s+(?!\S)"#) == #"\p{White_Space}+(?!\P{White_Space})"#)
        #expect(try PatternSyntax.translate(#"[^\s\h]"#) == #"[^\p{White_Space}0-9A-Fa-f]"#)
        #expect(try PatternSyntax.translate(#"(?m:.)a{,3}b{1,2}+"#) == #"(?s:.)a{0,3}(?:b{1,2})+"#)
        #expect(try PatternSyntax.translate(#"(a(b)|[c]){2}+\s{1,3}+é{2}+"#) == #"(?:(a(b)|[c]){2})+(?:\p{White_Space}{1,3})+(?:é{2})+"#)
        #expect(try split("(?m:.)", "a\nb") == ["a", "\n", "b"])
        #expect(try split("^a", "a\na\n") == ["a", "\n", "a", "\n"])
        #expect(try split("\\h+", "ab[c]&1f_") == ["ab", "[", "c", "]&", "1f", "_"])
        #expect(try split("\\b", "ab x") == ["ab", " ", "x"])
        #expect(try split("x*", "abxxc") == ["a", "b", "xx", "c"])
        #expect(try split("x*", "abxxc", .mergedWithPrevious) == ["a", "bxx", "c"])
        #expect(try split(#"\u0061|[\u0062]"#, "abc") == ["a", "b", "c"])
    }

    @Test(
        "what cannot be rewritten is refused",
        arguments: ["[a[bc]]", "[a&&b]", "a(?i)b", "(*LIMIT_MATCH=1)a", #"\Qa\E"#, #"\xE9"#, #"[\W]"#, "(?~a)", "a{2}?", "[a", "a(", #"\"#, #"\p{Nope}"#, "(?i", #"\u12"#, #"\Ga"#]
    )
    func refusals(_ pattern: String) {
        #expect(throws: RegularExpression.Failure.self) { try RegularExpression(pattern) }
    }

    /// By `Goldens/make_goldens.py`: how the reference cuts a sample of all kinds of characters at classes and properties.
    @Test("properties, classes and code points mean what they mean to the reference")
    func goldens() throws {
        let table = Goldens.json("patterns.json")
        let sample = table["sample"]!.string!
        for row in table["rows"]!.array! {
            let pattern = row["pattern"]!.string!
            let scalars = Array((row["text"]?.string ?? sample).unicodeScalars)
            var expected: [[Unicode.Scalar]] = []
            var start = 0
            for end in row["ends"]!.array!.map({ Int($0.integer!) }) {
                expected.append(Array(scalars[start..<end]))
                start = end
            }
            let found = try split(pattern, TemplateText.string(scalars)).map { Array($0.unicodeScalars) }
            guard found != expected else { continue }
            let first = zip(found, expected).first { $0 != $1 }
            Issue.record("\(pattern): \(first?.0 ?? []) found, \(first?.1 ?? []) expected; \(found.count) pieces, \(expected.count) expected")
        }
    }

    @Test(
        "names that only one engine knows, and opposites that cannot be written, are refused; by name where it is seen here",
        arguments: [
            (#"\p{Xan}"#, ""), (#"\p{L&}"#, "L&"), (#"\p{bidi_class:al}"#, "bidi_class:al"), (#"\p{Bidi_Mirrored}"#, ""),
            ("[[:^word:]]", "word"), ("[[:foo:]]", "foo"), (#"[\P{alnum}]"#, "alnum"), (#"(?i)[\p{Lu}]"#, "Lu"), (#"\p{sc:Han}"#, "sc:Han"),
        ])
    func namedRefusals(_ pattern: String, _ name: String) throws {
        let failure = try #require(throws: RegularExpression.Failure.self) { try RegularExpression(pattern) }
        #expect(name.isEmpty || failure.reason.contains(name), "\(failure.reason)")
    }

    @Test("what folding joins or parts is refused where case is ignored", arguments: ["(?i)ss", "(?i:aß)", "(?i)[À-ÿ]", #"(?i)\x73s"#, "(?i)s(?:t)", "(?i)fi", "(?i)ŉ"])
    func folding(_ pattern: String) throws {
        #expect(throws: RegularExpression.Failure.self) { try RegularExpression(pattern) }
        _ = try RegularExpression(pattern.replacing("(?i", with: "(?x"))
    }

    @Test("a pattern that explodes on a text is an error, not a stall")
    func explosion() throws {
        let expression = try RegularExpression("(a+a+)+b(?=c)")
        var matcher = RegularExpression.Matcher(expression)
        let text = [UInt8](repeating: UInt8(ascii: "a"), count: 64) + Array("bd".utf8)
        #expect(throws: TokenizerError.patternTooCostly(pattern: "(a+a+)+b(?=c)")) { try matcher.firstMatch(in: text.span, from: 0) }
    }

    /// Each start is cheap enough; all of them together would take hours.
    @Test(
        "patterns that are costly from every start are an error, not a stall", .timeLimit(.minutes(2)),
        arguments: [#"\s+$|\s"#, #"[ b]{0,2000}[b ]{0,2000}[cd]|x"#])
    func budget(_ pattern: String) throws {
        let text = String(repeating: " ", count: Build.size(4 << 20, debug: 1 << 18)) + "a"
        #expect(throws: TokenizerError.patternTooCostly(pattern: pattern)) { try split(pattern, text) }
        let replace = #"{"type":"Replace","pattern":{"Regex":\#(Tiny.quoted(pattern))},"content":""}"#
        #expect(throws: TokenizerError.patternTooCostly(pattern: pattern)) {
            try Tiny.tokenizer(Tiny.json(normalizer: replace)).encode(text, addSpecialTokens: false)
        }
    }

    @Test("the budget is one for all steps and parts of a text")
    func sharedBudget() throws {
        let node = try Tiny.node(#"{"type":"Split","pattern":{"Regex":"b"},"behavior":"Isolated","invert":false}"#)
        var buffer = PieceBuffer(text: [UInt8](repeating: 97, count: 1_000), startsAtOrigin: true)
        var budget = MatchBudget(.seconds(1))
        try PreTokenizer(node).apply(to: &buffer, within: &budget)
        #expect(budget.left < .seconds(1))
        budget = MatchBudget(.zero)
        #expect(throws: TokenizerError.patternTooCostly(pattern: "b")) { try PreTokenizer(node).apply(to: &buffer, within: &budget) }
    }

    @Test("matches are found beyond the starts that are tried at a time")
    func windows() throws {
        for count in [0, 1, 62, 63, 64, 65, 66, 127, 128, 129, 200] {
            let before = String(repeating: "é", count: count)
            #expect(try split("b", before + "b" + before) == [before, "b", before].filter { !$0.isEmpty })
            #expect(try split("(?<=é)$", before) == (count == 0 ? [] : [before]))
        }
    }

    @Test("the behaviours join matches with their neighbours as the reference does")
    func behaviors() throws {
        #expect(try split("-", "a--b-c-", .isolated) == ["a", "-", "-", "b", "-", "c", "-"])
        #expect(try split("-", "a--b-c-", .removed) == ["a", "b", "c"])
        #expect(try split("-", "a--b-c-", .mergedWithPrevious) == ["a-", "-", "b-", "c-"])
        #expect(try split("-", "a--b-c-", .mergedWithNext) == ["a", "-", "-b", "-c", "-"])
        #expect(try split("-", "a--b-c-", .contiguous) == ["a", "--", "b", "-", "c", "-"])
        #expect(try split("-", "--b", .mergedWithPrevious) == ["-", "-", "b"])
        #expect(try split("-", "--b", .mergedWithNext) == ["-", "-b"])
        #expect(try split("-", "--b", .contiguous) == ["--", "b"])
        #expect(try Tiny.pieces(preTokenizer: #"{"type":"Split","pattern":{"String":""},"behavior":"Removed","invert":false}"#, "abc") == ["a", "b", "c"])
        #expect(try Tiny.pieces(preTokenizer: #"{"type":"Split","pattern":{"String":"ab"},"behavior":"Contiguous","invert":true}"#, "ababcab") == ["abab", "c", "ab"])
    }
}
