@testable import Tokenization
import Testing

@Suite struct UnicodeFormTests {
    private func apply(_ form: UnicodeForm, _ text: String) -> [Unicode.Scalar] {
        Array(String(decoding: form.apply(to: Array(text.utf8)), as: UTF8.self).unicodeScalars)
    }

    @Test("the four forms differ where they should")
    func forms() {
        #expect(apply(.composed, "e\u{301}") == ["\u{E9}"])
        #expect(apply(.decomposed, "\u{E9}") == ["e", "\u{301}"])
        #expect(apply(.compatibilityComposed, "ﬁ①") == ["f", "i", "1"])
        #expect(apply(.compatibilityDecomposed, "Å") == ["A", "\u{30A}"])
        #expect(apply(.composed, "\u{1112}\u{1161}\u{11AB}") == ["\u{D55C}"])
        #expect(apply(.composed, "a\0\u{301}") == ["a", "\0", "\u{301}"])
        #expect(apply(.composed, "").isEmpty)
    }

    @Test("what passes unexamined as composed neither changes nor composes with anything")
    func settled() {
        let settled = UnicodeForm.settledWhenComposed
        for range in settled {
            for value in range {
                guard let scalar = Unicode.Scalar(value) else { continue }
                #expect(scalar.properties.canonicalCombiningClass == .notReordered)
                // An ASCII tail with a combining mark takes the long way, whatever stands before it.
                let text = String(String.UnicodeScalarView([scalar, "e", "\u{301}"]))
                let result = apply(.composed, text)
                if result != [scalar, "\u{E9}"] { Issue.record("U+\(String(value, radix: 16)) becomes \(result)") }
            }
        }
        // No canonical decomposition has one of them behind its first scalar.
        for value in UInt32(0xC0)..<0x30000 {
            guard let scalar = Unicode.Scalar(value), !(0xAC00...0xD7A3).contains(value) else { continue }
            for part in apply(.decomposed, String(Character(scalar))).dropFirst() where settled.contains(where: { $0.contains(part.value) }) {
                Issue.record("U+\(String(value, radix: 16)) decomposes into U+\(String(part.value, radix: 16))")
            }
        }
    }
}
