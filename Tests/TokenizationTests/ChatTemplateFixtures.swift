import Platform
import TestSupport

@testable import Tokenization

/// The committed templates, conversations and expected outputs, made by `Goldens/make_template_goldens.py`.
enum ChatTemplateFixtures {
    /// The moment the goldens were rendered at.
    static let now = TemplateDate(year: 2025, month: 3, day: 7, hour: 14, minute: 5, second: 9)
    static let tokens = JSONObject([("bos_token", "<s>"), ("eos_token", "</s>")])
    static let folder = SharedFiles.repository + "/Tests/TokenizationTests/Fixtures/templates/"

    static func text(_ name: String) throws -> String {
        String(decoding: try MappedFile(path: folder + name).copiedBytes(), as: UTF8.self)
    }

    static func cases(_ name: String) throws -> [JSON] {
        try JSON(parsing: try MappedFile(path: folder + name).copiedBytes(), limits: .file).array ?? []
    }

    static func conversation(_ name: String?) throws -> JSON {
        guard let found = try cases("conversations.json").first(where: { $0["name"]?.string == name }) else {
            throw FileError("find", path: "conversations.json", detail: "no conversation \(name ?? "")")
        }
        return found
    }

    /// What rendering gives, in the goldens' words.
    static func outcome(
        of template: ChatTemplate, _ conversation: JSON, prompt: Bool, tokens: JSONObject = tokens
    ) -> (key: String, text: String) {
        var extra = tokens
        for member in conversation["extra"]?.object?.members ?? [] { extra[member.key] = member.value }
        do {
            let text = try template.render(
                messages: conversation["messages"]?.array ?? [], tools: conversation["tools"]?.array, addGenerationPrompt: prompt,
                extra: extra, now: now
            )
            return ("output", text)
        } catch .raised(let message) {
            return ("raised", message)
        } catch {
            return ("error", error.description)
        }
    }

    /// The text of `source` with `variables`.
    static func render(
        _ source: String, _ variables: JSONObject = JSONObject(), limits: TemplateLimits = TemplateLimits()
    ) throws(TemplateError) -> String {
        try ChatTemplate(source: source, limits: limits)
            .render(messages: [], addGenerationPrompt: false, extra: variables, now: now)
    }
}
