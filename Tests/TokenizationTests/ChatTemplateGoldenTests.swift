import Platform
import TestSupport
import Testing

@testable import Tokenization

@Suite struct ChatTemplateGoldenTests {
    @Test func `templates in the style of each family render as in Python`() throws {
        var templates: [String: ChatTemplate] = [:]
        for golden in try ChatTemplateFixtures.cases("family_goldens.json") {
            let name = try #require(golden["template"]?.string)
            if templates[name] == nil { templates[name] = try ChatTemplate(source: try ChatTemplateFixtures.text(name)) }
            let conversation = try ChatTemplateFixtures.conversation(golden["conversation"]?.string)
            let prompt = golden["prompt"]?.bool ?? false
            let (key, text) = ChatTemplateFixtures.outcome(of: try #require(templates[name]), conversation, prompt: prompt)
            let place = Comment(rawValue: "\(name), \(golden["conversation"]?.string ?? ""), prompt \(prompt): \(text)")
            #expect(golden[key] != nil, place)
            if key != "error", let expected = golden[key]?.string {
                #expect(TemplateText.equal(text, expected), place)
            }
        }
    }

    @Test func `letters change case as in Python`() throws {
        for golden in try ChatTemplateFixtures.cases("case_goldens.json") {
            let (source, expected) = (try #require(golden.array?[0].string), try #require(golden.array?[1].string))
            let found = try ChatTemplateFixtures.render(source)
            #expect(TemplateText.equal(found, expected), "\(source): \(found) found, \(expected) expected")
        }
    }

    @Test func `random templates render as in Python`() throws {
        let cases = try ChatTemplateFixtures.cases("random_goldens.json")
        let variables = try #require(cases.first?.object)
        for golden in cases.dropFirst() {
            let source = try #require(golden.array?[0].string)
            let expected = golden.array?[1].string
            let found: String?
            var problem = ""
            do {
                found = try ChatTemplateFixtures.render(source, variables)
            } catch {
                found = nil
                problem = error.description
            }
            let same = found == nil || expected == nil ? found == expected : TemplateText.equal(found!, expected!)
            #expect(same, Comment(rawValue: "\(source.debugDescription): \((expected ?? "error").debugDescription) expected, found \((found ?? problem).debugDescription)"))
        }
    }

    @Test(.enabled(if: SharedFiles.path("tokenizers/qwen2.5") != nil))
    func `published templates render as in Python`() throws {
        var templates: [String: ChatTemplate] = [:]
        for golden in try ChatTemplateFixtures.cases("shared_goldens.json") {
            let name = try #require(golden["folder"]?.string)
            guard let folder = SharedFiles.path(name) else { continue }
            if templates[name] == nil { templates[name] = try ChatTemplate.load(directory: folder) }
            let conversation = try ChatTemplateFixtures.conversation(golden["conversation"]?.string)
            let prompt = golden["prompt"]?.bool ?? false
            let (key, text) = ChatTemplateFixtures.outcome(of: try #require(templates[name]), conversation, prompt: prompt, tokens: JSONObject())
            let place = Comment(rawValue: "\(name), \(golden["conversation"]?.string ?? "")")
            if key == "output" {
                #expect(golden["bytes"]?.integer == text.utf8.count, place)
                #expect(golden["fnv"]?.string == Self.fnv(text), place)
            } else {
                #expect(golden[key] != nil, place)
            }
        }
    }

    /// FNV-1a, 64 bits, as the script that made the goldens computes it.
    private static func fnv(_ text: String) -> String {
        var value: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text.utf8 { value = (value ^ UInt64(byte)) &* 0x100_0000_01B3 }
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
