internal import Glibc
internal import Platform

extension ChatTemplate {
    /// Bytes of a file that is read for a template; a larger one is refused.
    private static let fileLimit = 64 << 20

    /// The chat template of the model in `directory`, with its special tokens as variables; nil when it has none.
    ///
    /// Looked for in `chat_template.jinja`, `chat_template.json` and `tokenizer_config.json`, in this order. Where a model has
    /// several by name, `default` is used, and `tool_use` when tools are given.
    package static func load(
        directory: String, limits: TemplateLimits = TemplateLimits()
    ) throws(TemplateError) -> ChatTemplate? {
        let configurationPath = directory + "/tokenizer_config.json"
        let configuration = try readJSON(configurationPath)
        var variables = JSONObject()
        addSpecialTokens(from: try readJSON(directory + "/special_tokens_map.json"), to: &variables)
        addSpecialTokens(from: configuration, to: &variables)

        let filePath = directory + "/chat_template.jinja"
        if let bytes = try read(filePath) {
            guard let source = String(validating: bytes, as: UTF8.self) else {
                throw .configuration(path: filePath, reason: "not UTF-8")
            }
            let toolUsePath = directory + "/additional_chat_templates/tool_use.jinja"
            let toolUse = try read(toolUsePath).map { String(decoding: $0, as: UTF8.self) }
            return try ChatTemplate(source: source, toolUse: toolUse, variables: variables, limits: limits)
        }
        for (path, file) in [
            (directory + "/chat_template.json", try readJSON(directory + "/chat_template.json")), (configurationPath, configuration),
        ] {
            guard let value = file?["chat_template"], !value.isNull else { continue }
            let (source, toolUse) = try templates(in: value, path: path)
            return try ChatTemplate(source: source, toolUse: toolUse, variables: variables, limits: limits)
        }
        return nil
    }

    /// A template, or a list of `{"name": …, "template": …}`.
    private static func templates(in value: JSON, path: String) throws(TemplateError) -> (source: String, toolUse: String?) {
        if let source = value.string { return (source, nil) }
        guard let list = value.array, !list.isEmpty else {
            throw .configuration(path: path, reason: "chat_template is \(value.kind), a string or a list was expected")
        }
        var named: [String: String] = [:]
        for entry in list {
            guard let name = entry["name"]?.string, let source = entry["template"]?.string else {
                throw .configuration(path: path, reason: "chat_template has an entry without the strings 'name' and 'template'")
            }
            named[name] = source
        }
        guard let standard = named["default"] ?? (named.count == 1 ? named.values.first : nil) else {
            let names = named.keys.sorted().joined(separator: ", ")
            throw .configuration(path: path, reason: "chat_template has \(names), an entry named 'default' was expected")
        }
        return (standard, named["tool_use"])
    }

    private static let specialTokens = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]

    /// A special token is a string or an object with its text as `content`; null is the same as absent.
    private static func addSpecialTokens(from configuration: JSON?, to variables: inout JSONObject) {
        for name in specialTokens {
            guard let token = configuration?[name], let text = token.string ?? token["content"]?.string else { continue }
            variables[name] = .string(text)
        }
    }

    private static func readJSON(_ path: String) throws(TemplateError) -> JSON? {
        guard let bytes = try read(path) else { return nil }
        do {
            return try JSON(parsing: bytes, limits: .file)
        } catch {
            throw .configuration(path: path, reason: error.description)
        }
    }

    /// The bytes of a file; nil when there is none.
    private static func read(_ path: String) throws(TemplateError) -> [UInt8]? {
        do {
            let file = try MappedFile(path: path)
            guard file.count <= fileLimit else {
                throw TemplateError.configuration(path: path, reason: "more than \(fileLimit) bytes")
            }
            return file.copiedBytes()
        } catch let error as FileError {
            if error.code == ENOENT { return nil }
            throw .file(error)
        } catch let error as TemplateError {
            throw error
        } catch {
            preconditionFailure("an error of another kind: \(error)")
        }
    }
}
