import Platform
import TestSupport
import Testing

@testable import Tokenization

@Suite(.timeLimit(.minutes(2))) struct ByteSearchTests {
    @Test("finds what comparing at each place finds")
    func comparison() {
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<3_000 {
            let text = (0..<generator.next(below: 60)).map { _ in UInt8(97 + generator.next(below: 2)) }
            let pattern = (0...generator.next(below: 14)).map { _ in UInt8(97 + generator.next(below: 2)) }
            let start = generator.next(below: text.count + 1)
            let expected = (start..<max(start, text.count - pattern.count + 1)).first { text[$0...].starts(with: pattern) }
            #expect(ByteSearch(pattern).first(in: text.span, from: start, to: text.count) == expected)
        }
    }

    private static let almost = [UInt8](repeating: UInt8(ascii: "a"), count: 16_383) + [UInt8(ascii: "b")]
    private static let text = String(repeating: "a", count: Build.size(8 << 20, debug: 32 << 10))

    /// Comparing at each place would be a hundred thousand million comparisons a step: hours for each of these.
    @Test("a text that nearly matches a long pattern everywhere is searched in linear time, by every step there may be")
    func hostile() throws {
        let pattern = String(decoding: Self.almost, as: UTF8.self)
        let replace = #"{"type":"Replace","pattern":{"String":"\#(pattern)"},"content":"x"}"#
        let all = [String](repeating: replace, count: TokenizerLimits.steps).joined(separator: ",")
        let normalizer = try Normalizer(Tiny.node(#"{"type":"Sequence","normalizers":[\#(all)]}"#))
        var budget = MatchBudget(bytes: 0)
        #expect(try normalizer.apply(to: Array(Self.text.utf8), within: &budget).text.count == Self.text.utf8.count)
        let split = #"{"type":"Split","pattern":{"String":"\#(pattern)"},"behavior":"Isolated","invert":false}"#
        let splits = [String](repeating: split, count: TokenizerLimits.steps).joined(separator: ",")
        #expect(try Tiny.pieces(preTokenizer: #"{"type":"Sequence","pretokenizers":[\#(splits)]}"#, Self.text).count == 1)
    }
}
