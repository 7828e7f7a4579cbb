package import Inference
internal import Platform

/// What a `generation_config.json` recommends: used where a request says nothing.
package struct GenerationDefaults: Sendable, Equatable {
    /// Tokens that end an answer.
    package var endTokens: [TokenID] = []
    /// False: the authors recommend greedy decoding.
    package var doSample: Bool? = nil
    package var temperature: Float? = nil
    package var topP: Float? = nil
    package var topK: Int? = nil
    package var minP: Float? = nil
    package var repetitionPenalty: Float? = nil
    /// Tokens of an answer at most.
    package var maxNewTokens: Int? = nil

    package init() {}

    /// The defaults of the model in `directory`: `generation_config.json`, and for what it leaves open the token ids of
    /// `config.json`. A missing `generation_config.json` is fine.
    package init(directory: String) throws(ModelConfigurationError) {
        self.init()
        if FileStamp.isReadable(directory + "/generation_config.json") {
            self = try Self(
                ModelConfiguration.object(named: "generation_config.json", in: directory), file: "generation_config.json")
        }
        let model = ConfigurationFields(try ModelConfiguration.object(named: "config.json", in: directory), file: "config.json")
        if endTokens.isEmpty { endTokens = try Self.tokens(model, "eos_token_id") }
    }

    /// Parses the text of a `generation_config.json`. Never traps, whatever the bytes.
    package init(parsing text: Span<UInt8>) throws(ModelConfigurationError) {
        try self.init(ModelConfiguration.object(parsing: text, file: "generation_config.json"), file: "generation_config.json")
    }

    private init(_ object: JSONObject, file: String) throws(ModelConfigurationError) {
        let fields = ConfigurationFields(object, file: file)
        endTokens = try Self.tokens(fields, "eos_token_id")
        doSample = try fields.bool("do_sample")
        temperature = try fields.number("temperature", in: 0...100).map { Float($0) }
        topP = try fields.number("top_p", in: 0...1).map { Float($0) }
        topK = try fields.integer("top_k", in: -1...Int(Int32.max)).map { max($0, 0) }
        // No share at all still keeps the likeliest token.
        if topP == 0 { (topP, topK) = (nil, 1) }
        minP = try fields.number("min_p", in: 0...1).map { Float($0) }
        repetitionPenalty = try fields.number("repetition_penalty", in: 1e-3...1e3).map { Float($0) }
        maxNewTokens = try fields.integer("max_new_tokens", in: 1...Int(Int32.max))
    }

    /// A token id, or a list of them. Negative ids, which some files use for "none", are dropped.
    private static func tokens(_ fields: ConfigurationFields, _ key: String) throws(ModelConfigurationError) -> [TokenID] {
        guard let value = fields[key] else { return [] }
        var tokens: [TokenID] = []
        for element in value.array ?? [value] {
            guard let number = element.integer, let token = TokenID(exactly: number) else {
                throw fields.failure(key, "\(value.text) was found, a token id or a list of them was expected")
            }
            if token >= 0, !tokens.contains(token) { tokens.append(token) }
        }
        return tokens
    }
}
