import Platform
import TestSupport
import Testing

@testable import Tokenization

/// Keys that a client chose so that they look alike to Swift's `String`.
@Suite(.timeLimit(.minutes(1))) struct ChatTemplateKeyTests {
    /// Spellings of one canonical text: each has `places` é's, some composed, some not. Of one length in bytes.
    private static func spellings(_ count: Int, places: Int = 20) -> [String] {
        (0..<(1 << places)).lazy.filter { $0.nonzeroBitCount == places / 2 }.prefix(count).map { pattern in
            (0..<places).map { pattern >> $0 & 1 == 1 ? "e\u{301}" : "\u{E9}" }.joined()
        }
    }

    @Test("spellings of one text are different keys with different hashes")
    func hashes() {
        let keys = Self.spellings(Build.size(10_000, debug: 300)).map { TemplateDictionary.Key.string(ExactText($0)) }
        #expect(Set(keys).count == keys.count)
        #expect(Set(keys.map(\.hashValue)).count == keys.count)
        #expect(TemplateDictionary.Key(.float(.nan)) == TemplateDictionary.Key(.float(-.nan)))
    }

    /// With keys that collide these 60,000 would take hours: each would be compared with all before it.
    @Test("a request full of spellings of one text is rendered")
    func request() throws {
        let count = Build.size(60_000, debug: 1000)
        let keys = Self.spellings(count)
        #expect(Set(keys).count == 1 && Set(keys.map(\.utf8.count)).count == 1)
        let object = JSON.object(JSONObject(keys.map { ($0, 1) }))
        let variables = JSONObject([("d", object), ("l", .array(keys.map(JSON.string))), ("last", .string(keys[count - 1]))])
        #expect(try ChatTemplateFixtures.render("{{ d | length }} {{ d[last] }} {{ l | unique(true) | list | length }}", variables) == "\(count) 1 \(count)")
    }
}
