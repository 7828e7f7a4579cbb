internal import Platform

/// The bodies of `GET /v1/models` and `GET /v1/models/{id}`.
enum ModelList {
    /// - Parameter limit: the most tokens of prompt and answer; nil while no worker has said so.
    static func all(_ model: ServedModel, limit: Int?) -> [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        json.field("object", "list")
        json.key("data")
        json.beginArray()
        for name in model.names { write(model, name, limit, to: &json) }
        json.endArray()
        json.endObject()
        return json.bytes
    }

    static func one(_ model: ServedModel, name: String, limit: Int?) -> [UInt8] {
        var json = JSONWriter()
        write(model, name, limit, to: &json)
        return json.bytes
    }

    /// The members of OpenAI's model object, and those of vLLM's that clients read.
    private static func write(_ model: ServedModel, _ name: String, _ limit: Int?, to json: inout JSONWriter) {
        json.beginObject()
        json.field("id", name)
        json.field("object", "model")
        json.field("created", model.created)
        json.field("owned_by", "ferry")
        json.field("root", model.name)
        json.key("parent")
        json.null()
        json.key("max_model_len")
        if let limit { json.integer(limit) } else { json.null() }
        json.key("permission")
        json.beginArray()
        json.endArray()
        json.endObject()
    }
}
