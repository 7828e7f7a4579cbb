import Synchronization
import TestSupport
import Testing

@testable import Gateway

@Suite struct LastOccurrenceTests {
    /// A letter that counts what it is compared to.
    private struct Letter: Equatable {
        static let comparisons = Mutex(0)
        let letter: Character

        static func == (one: Letter, other: Letter) -> Bool {
            comparisons.withLock { $0 += 1 }
            return one.letter == other.letter
        }
    }

    @Test("the last place is found, also where places overlap", arguments: [
        ("aabaabaa", "aabaa", 3), ("aaaa", "aa", 2), ("abc", "abc", 0), ("abcabd", "ab", 3), ("abab", "b", 3), ("abc", "d", nil), ("ab", "abc", nil),
        ("abc", "", nil), ("", "", nil), ("xaabaaab", "aabaa", 1),
    ] as [(String, String, Int?)])
    func places(text: String, part: String, place: Int?) {
        #expect(lastOccurrence(of: Array(part.utf8)[...], in: Array(text.utf8)[...]) == place)
    }

    @Test("slices are searched where they lie")
    func slices() {
        let text = Array("--abab--".utf8), part = Array("(ab)".utf8)
        #expect(lastOccurrence(of: part[1..<3], in: text[2..<6]) == 4)
        #expect(lastOccurrence(of: part[1..<3], in: text[2..<5]) == 2)
    }

    @Test("it agrees with looking at every place")
    func random() {
        var generator = SeededGenerator(seed: 4)
        for _ in 0..<2000 {
            let text = (0..<Int.random(in: 0...24, using: &generator)).map { _ in Int.random(in: 0...1, using: &generator) }
            let part = (0..<Int.random(in: 1...6, using: &generator)).map { _ in Int.random(in: 0...1, using: &generator) }
            let expected = text.indices.last { text[$0...].starts(with: part) }
            #expect(lastOccurrence(of: part[...], in: text[...]) == expected, "\(part) in \(text)")
        }
    }

    @Test("the worst text costs a few comparisons an element", arguments: [
        (String(repeating: "a", count: 20_000), String(repeating: "a", count: 10_000) + "b"),
        (String(repeating: "a", count: 20_000), "b" + String(repeating: "a", count: 10_000)),
        (String(repeating: "ab", count: 10_000), String(repeating: "ab", count: 5000) + "b"),
    ])
    func cost(text: String, part: String) {
        let (text, part) = (text.map { Letter(letter: $0) }, part.map { Letter(letter: $0) })
        Letter.comparisons.withLock { $0 = 0 }
        #expect(lastOccurrence(of: part[...], in: text[...]) == nil)
        #expect(Letter.comparisons.withLock { $0 } <= 4 * (text.count + part.count))
    }

    @Test("a prompt is cut behind the last message's content, white space as the template kept it", arguments: [
        ("u:so <e>a:so <e>", "so ", "u:so <e>a:so "), ("u:so<e>a:so<e>", " so ", "u:so<e>a:so"), ("a: so <e>", " so ", "a: so "),
        ("a:x<e>", "y", nil), ("a:<e>", "  ", nil), ("a", "ab", nil),
    ] as [(String, String, String?)])
    func cut(text: String, content: String, expected: String?) {
        #expect((try? ServedModel.cut(text, after: content)) == expected)
    }
}
