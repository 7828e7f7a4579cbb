package import Platform

/// The member `messages`: checked, and brought into the form that chat templates expect.
package enum ChatMessages {
    private static let roles: Set<String> = ["system", "developer", "user", "assistant", "tool", "function"]

    package static func read(_ fields: inout FieldReader, _ limits: RequestLimits) throws(APIError) -> [JSON] {
        guard let messages = try fields.array("messages", atMost: limits.messages) else {
            throw FieldReader.missing(fields.path("messages"), expected: "an array of messages")
        }
        guard !messages.isEmpty else {
            throw APIError(.invalidValue, "messages: at least one message was expected, found none", param: "messages")
        }
        var normal: [JSON] = []
        normal.reserveCapacity(messages.count)
        for (index, message) in messages.enumerated() { normal.append(try read(message, "messages[\(index)]", limits)) }
        return normal
    }

    private static func read(_ message: JSON, _ path: String, _ limits: RequestLimits) throws(APIError) -> JSON {
        guard let object = message.object else { throw FieldReader.wrongType(path, message, expected: "an object") }
        var fields = FieldReader(object, at: path)
        guard let role = try fields.string("role", longest: 64) else {
            throw FieldReader.missing(fields.path("role"), expected: "one of system, developer, user, assistant, tool")
        }
        guard roles.contains(role) else {
            throw APIError(
                .invalidValue, "\(fields.path("role")): one of system, developer, user, assistant, tool was expected, found \"\(role)\"",
                param: fields.path("role"))
        }
        var normal = JSONObject()
        // The newer name of the same role; templates know only the older one.
        normal["role"] = .string(role == "developer" ? "system" : role)
        let calls = try fields.array("tool_calls", atMost: limits.tools)
        if let content = fields.value("content") {
            normal["content"] = .string(try text(of: content, fields.path("content"), limits))
        } else if role == "assistant" {
            // An assistant's turn may consist of calls alone. Templates differ in how they ask for "no content"; all accept "".
            normal["content"] = ""
        } else {
            throw FieldReader.missing(fields.path("content"), expected: "a string or an array of parts")
        }
        for name in ["name", "tool_call_id", "reasoning_content", "reasoning"] {
            if let value = try fields.string(name, longest: .max) { normal[name] = .string(value) }
        }
        if let calls {
            var normalCalls: [JSON] = []
            for (index, call) in calls.enumerated() { normalCalls.append(try read(call: call, "\(path).tool_calls[\(index)]")) }
            normal["tool_calls"] = .array(normalCalls)
        }
        return .object(normal)
    }

    /// A content given as parts becomes one string, parts on lines of their own.
    private static func text(of content: JSON, _ path: String, _ limits: RequestLimits) throws(APIError) -> String {
        if let text = content.string { return text }
        guard let parts = content.array else {
            throw FieldReader.wrongType(path, content, expected: "a string or an array of parts")
        }
        try FieldReader.bound(parts.count, limits.contentParts, path)
        var texts: [String] = []
        for (index, part) in parts.enumerated() {
            let path = "\(path)[\(index)]"
            if let text = part.string {
                texts.append(text)
                continue
            }
            guard let object = part.object else { throw FieldReader.wrongType(path, part, expected: "an object with a type") }
            var fields = FieldReader(object, at: path)
            guard let type = try fields.string("type", longest: 64) else {
                throw FieldReader.missing(fields.path("type"), expected: "\"text\"")
            }
            switch type {
            case "text", "input_text", "refusal":
                let name = type == "refusal" ? "refusal" : "text"
                guard let text = try fields.string(name, longest: .max) else {
                    throw FieldReader.missing(fields.path(name), expected: "a string")
                }
                texts.append(text)
            case "image_url", "input_image", "image":
                throw APIError(.imageRejected, "\(path): this model reads no images", param: path)
            default:
                throw APIError(
                    .unsupportedParameter, "\(fields.path("type")): \"text\" was expected, found \"\(type)\"", param: fields.path("type"))
            }
        }
        return texts.joined(separator: "\n")
    }

    private static func read(call: JSON, _ path: String) throws(APIError) -> JSON {
        guard let object = call.object else { throw FieldReader.wrongType(path, call, expected: "an object") }
        var fields = FieldReader(object, at: path)
        guard var function = try fields.object("function") else {
            throw FieldReader.missing(fields.path("function"), expected: "an object with name and arguments")
        }
        var definition = FieldReader(function, at: fields.path("function"))
        guard try definition.string("name", longest: 256) != nil else {
            throw FieldReader.missing(definition.path("name"), expected: "the function's name")
        }
        if let arguments = definition.value("arguments") {
            function["arguments"] = try parsed(arguments, definition.path("arguments"))
        }
        var normal = object
        normal["function"] = .object(function)
        return .object(normal)
    }

    /// On the wire arguments are JSON in a string; templates print them as objects.
    private static func parsed(_ arguments: JSON, _ path: String) throws(APIError) -> JSON {
        switch arguments {
        case .object: return arguments
        case .string(""): return .object(JSONObject())
        case .string(let text):
            do {
                return try JSON(parsing: text)
            } catch {
                throw APIError(.invalidValue, "\(path): JSON in a string was expected; \(error.reason) (byte \(error.offset))", param: path)
            }
        default: throw FieldReader.wrongType(path, arguments, expected: "a string with JSON")
        }
    }
}
