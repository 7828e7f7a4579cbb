import Platform
import TestSupport
import Testing

@testable import Tokenization

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

    /// Ordering by swapping neighbours would take hours for these 4 MB.
    @Test("a run of two million marks is put in order", .timeLimit(.minutes(2)), arguments: ["NFC", "NFD", "NFKC", "NFKD"])
    func longRun(_ name: String) throws {
        let form = try #require(UnicodeForm(rawValue: name))
        let count = Build.size(1_000_000, debug: 10_000)
        let above = Array("\u{301}".utf8)
        let below = Array("\u{327}".utf8)
        let text = Array("q".utf8) + [[UInt8]](repeating: above, count: count).joined() + [[UInt8]](repeating: below, count: count).joined()
        let ordered = Array("q".utf8) + [[UInt8]](repeating: below, count: count).joined() + [[UInt8]](repeating: above, count: count).joined()
        #expect(form.apply(to: text) == ordered)
    }

    /// Random strings of marks, letters that decompose into marks and Hangul, by `Goldens/make_goldens.py`.
    @Test("the forms are the reference's")
    func goldens() {
        for golden in Goldens.json("forms.json").array! {
            let text = golden["text"]!.string!
            for form in [UnicodeForm.composed, .decomposed, .compatibilityComposed, .compatibilityDecomposed] {
                #expect(apply(form, text) == Array(golden[form.rawValue]!.string!.unicodeScalars), "\(form.rawValue) of \(text.debugDescription)")
            }
        }
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
