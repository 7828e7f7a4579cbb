import Platform
import TestSupport
import Testing

@testable import Tokenization

/// A model's directory of these files.
private struct ModelDirectory {
    private let folder = ScratchFolder()
    var path: String { folder.path }

    init(_ files: [String: String]) {
        for (name, text) in files { folder.write(name, text) }
    }

    func render(tools: [JSON]? = nil) throws -> String? {
        try ChatTemplate.load(directory: path)?
            .render(messages: [], tools: tools, addGenerationPrompt: false, now: ChatTemplateFixtures.now)
    }
}

@Suite struct ChatTemplateLoadingTests {
    @Test func `a template file wins over the configuration, which gives the special tokens`() throws {
        let directory = ModelDirectory([
            "chat_template.jinja": "file {{ bos_token }}{{ eos_token }}{{ pad_token is defined }}",
            "tokenizer_config.json": #"{"chat_template": "configuration", "bos_token": "<s>", "eos_token": {"content": "</s>"}, "pad_token": null}"#,
        ])
        #expect(try directory.render() == "file <s></s>False")
    }

    @Test func `tokens missing in the configuration come from the map of special tokens`() throws {
        let directory = ModelDirectory([
            "tokenizer_config.json": #"{"chat_template": "{{ bos_token }}{{ eos_token }}", "bos_token": "<new>"}"#,
            "special_tokens_map.json": #"{"bos_token": "<old>", "eos_token": {"content": "<end>"}}"#,
        ])
        #expect(try directory.render() == "<new><end>")
    }

    @Test func `a list of templates gives the default one, and the one for tools when there are any`() throws {
        let directory = ModelDirectory([
            "tokenizer_config.json": #"{"chat_template": [{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}]}"#
        ])
        #expect(try directory.render() == "d")
        #expect(try directory.render(tools: ["x"]) == "t")
    }

    @Test func `a processor's template file is read too`() throws {
        #expect(try ModelDirectory(["chat_template.json": #"{"chat_template": "p"}"#]).render() == "p")
    }

    @Test func `a model without a template has none`() throws {
        #expect(try ModelDirectory([:]).render() == nil)
        #expect(try ModelDirectory(["tokenizer_config.json": #"{"chat_template": null}"#]).render() == nil)
    }

    @Test(arguments: [
        (#"{"chat_template": 3}"#, "chat_template is a number, a string or a list was expected"),
        (#"{"chat_template": [{"name": "x"}]}"#, "chat_template has an entry without the strings 'name' and 'template'"),
        (#"{"chat_template": [{"name": "b", "template": ""}, {"name": "a", "template": ""}]}"#, "chat_template has a, b, an entry named 'default' was expected"),
        (#"{"chat_template": "#, "invalid JSON at byte 18: a value was expected, the text ends"),
    ])
    func `a configuration that makes no sense is refused by file and key`(text: String, reason: String) throws {
        let directory = ModelDirectory(["tokenizer_config.json": text])
        #expect(throws: TemplateError.configuration(path: directory.path + "/tokenizer_config.json", reason: reason)) {
            try directory.render()
        }
    }
}
