package import Inference
internal import Platform

/// What chat and text completions have in common: how to generate and how to report.
package struct GenerationOptions: Sendable, Equatable {
    package var model: String?
    /// Without `seed`, `stopTokens` and `maxTokens`, which need the model and the prompt.
    package var sampling: SamplingParameters
    /// Nil: drawn at random.
    package var seed: UInt64?
    /// Nil: the route's default.
    package var maxTokens: Int?
    package var choices = 1
    package var stops: [String] = []
    package var stopTokens: Set<TokenID> = []
    package var ignoresEnd = false
    package var includesStop = false
    package var skipsSpecialTokens = true
    package var streams = false
    package var reportsUsage = false
    package var reportsUsageContinuously = false
    package var reportsTokenIDs = false
    /// The response extension `ferry`.
    package var reportsFerry = false
    package var priority = 0
    package var cacheSalt = ""
    /// The whole time the client gives the answer, from its arrival; nil: the server's own limit.
    package var timeout: Duration?
    /// Keep only this many tokens from the prompt's end.
    package var promptTail: Int?
    /// Members that were accepted and have no effect, for the debug log.
    package var ignored: [String] = []

    /// Reads every member that both routes share.
    ///
    /// - Parameter defaults: what the model's own generation settings say; a member of the request overrides each.
    init(from fields: inout FieldReader, limits: RequestLimits, defaults: SamplingParameters) throws(APIError) {
        sampling = defaults
        model = try fields.string("model", longest: 512)
        try Self.refuseUnsupported(&fields)
        try readSampling(&fields, limits)
        try readEnd(&fields, limits)
        try readReporting(&fields)
        choices = try fields.integer("n", in: 1...limits.sequences) ?? 1
        try fields.refuse("best_of") { $0.integer == choices }
        priority = try fields.integer("priority", in: -1_000_000_000...1_000_000_000) ?? 0
        cacheSalt = try fields.string("cache_salt", longest: 256) ?? ""
        if let seconds = try fields.number("timeout", in: 0...86_400, aboveLower: true) {
            timeout = .nanoseconds(Int64(Double(seconds) * 1e9))
        }
        promptTail = try fields.integer("truncate_prompt_tokens", in: 1...Int.max)
    }

    private mutating func readSampling(_ fields: inout FieldReader, _ limits: RequestLimits) throws(APIError) {
        if let value = try fields.number("temperature", in: 0...2) { sampling.temperature = value }
        if let value = try fields.number("top_p", in: 0...1, aboveLower: true) { sampling.topP = value }
        if let value = try fields.integer("top_k", in: -1...Int(Int32.max)) { sampling.topK = max(0, value) }
        if let value = try fields.number("min_p", in: 0...1) { sampling.minP = value }
        if let value = try fields.number("presence_penalty", in: -2...2) { sampling.presencePenalty = value }
        if let value = try fields.number("frequency_penalty", in: -2...2) { sampling.frequencyPenalty = value }
        if let value = try fields.number("repetition_penalty", in: 0...10, aboveLower: true) { sampling.repetitionPenalty = value }
        if let value = fields.value("seed") { seed = try Self.seed(value, fields.path("seed")) }
        if let biases = try fields.object("logit_bias") {
            sampling.logitBias = try Self.logitBias(biases, fields.path("logit_bias"), limits)
        }
    }

    private mutating func readEnd(_ fields: inout FieldReader, _ limits: RequestLimits) throws(APIError) {
        let older = try fields.integer("max_tokens", in: 1...Int.max)
        maxTokens = try fields.integer("max_completion_tokens", in: 1...Int.max) ?? older
        sampling.minTokens = try fields.integer("min_tokens", in: 0...(maxTokens ?? Int.max)) ?? 0
        ignoresEnd = try fields.bool("ignore_eos") ?? false
        includesStop = try fields.bool("include_stop_str_in_output") ?? false
        skipsSpecialTokens = try fields.bool("skip_special_tokens") ?? true
        if let value = fields.value("stop") { stops = try Self.stops(value, fields.path("stop"), limits) }
        if let ids = try fields.array("stop_token_ids", atMost: limits.stopTokens) {
            stopTokens = Set(try Self.tokens(ids, fields.path("stop_token_ids"), limits))
        }
    }

    private mutating func readReporting(_ fields: inout FieldReader) throws(APIError) {
        streams = try fields.bool("stream") ?? false
        reportsTokenIDs = try fields.bool("return_token_ids") ?? false
        reportsFerry = try fields.bool("ferry") ?? false
        guard let object = try fields.object("stream_options") else { return }
        guard streams else {
            throw APIError(
                .invalidValue, "stream_options: only allowed when stream is true", param: fields.path("stream_options"))
        }
        var options = FieldReader(object, at: fields.path("stream_options"))
        reportsUsage = try options.bool("include_usage") ?? false
        reportsUsageContinuously = reportsUsage ? try options.bool("continuous_usage_stats") ?? false : false
    }

    /// Members of the OpenAI, vLLM and SGLang APIs that would change the answer and that Ferry does not have.
    private static func refuseUnsupported(_ fields: inout FieldReader) throws(APIError) {
        if let format = try fields.object("response_format") {
            var format = FieldReader(format, at: fields.path("response_format"))
            let type = try format.string("type", longest: 64) ?? "text"
            guard type == "text" else {
                throw APIError(
                    .unsupportedParameter, "\(format.path("type")): \"text\" was expected, found \"\(type)\"; constrained output is not supported",
                    param: format.path("type"))
            }
        }
        for name in [
            "grammar", "structured_outputs", "structural_tag", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "regex", "ebnf",
            "json_schema", "prompt_logprobs", "prompt_embeds", "kv_transfer_params", "audio",
        ] { try fields.refuse(name) }
        for name in ["allowed_token_ids", "bad_words", "logits_processors", "functions"] {
            try fields.refuse(name) { $0.array?.isEmpty == true }
        }
        for name in ["use_beam_search", "return_tokens_as_token_ids"] { try fields.refuse(name) { $0.bool == false } }
        try fields.refuse("modalities") { $0.array?.allSatisfy { $0.string == "text" } == true }
        try fields.refuse("function_call") { $0.string == "none" || $0.string == "auto" }
    }

    // MARK: Values

    /// Any whole number; negative ones and those of 64 bits without sign keep their bits.
    static func seed(_ value: JSON, _ path: String) throws(APIError) -> UInt64 {
        switch value {
        case .integer(let seed): return UInt64(bitPattern: seed)
        case .number(let seed) where seed.rounded() == seed: return UInt64(exactly: seed) ?? seed.bitPattern
        case .number(let seed): throw APIError(.invalidType, "\(path): a whole number was expected, found \(seed)", param: path)
        default: throw FieldReader.wrongType(path, value, expected: "a whole number")
        }
    }

    static func logitBias(_ object: JSONObject, _ path: String, _ limits: RequestLimits) throws(APIError) -> [TokenID: Float] {
        try FieldReader.bound(object.count, limits.logitBiases, path)
        var biases: [TokenID: Float] = [:]
        for (key, value) in object.members {
            guard let token = TokenID(key), token >= 0, Int(token) < limits.vocabulary else {
                throw APIError(
                    .invalidValue, "\(path): keys are token ids from 0 to \(limits.vocabulary - 1), found \"\(key.prefix(32))\"", param: path)
            }
            guard let bias = value.double else {
                throw FieldReader.wrongType("\(path).\(key)", value, expected: "a number from -100 to 100")
            }
            guard (-100...100).contains(bias) else {
                throw APIError(
                    .invalidValue, "\(path).\(key): a number from -100 to 100 was expected, found \(FieldReader.text(bias))",
                    param: "\(path).\(key)")
            }
            biases[token] = Float(bias)
        }
        return biases
    }

    static func stops(_ value: JSON, _ path: String, _ limits: RequestLimits) throws(APIError) -> [String] {
        if let single = value.string {
            // Clients that build their request from a form send "" for "none".
            guard !single.isEmpty else { return [] }
            try boundStop(single, path, limits)
            return [single]
        }
        guard let array = value.array else { throw FieldReader.wrongType(path, value, expected: "a string or an array of strings") }
        try FieldReader.bound(array.count, limits.stops, path)
        var stops: [String] = []
        for (index, element) in array.enumerated() {
            let path = "\(path)[\(index)]"
            guard let stop = element.string else { throw FieldReader.wrongType(path, element, expected: "a string") }
            guard !stop.isEmpty else { throw APIError(.invalidValue, "\(path): a string that is not empty was expected", param: path) }
            try boundStop(stop, path, limits)
            stops.append(stop)
        }
        return stops
    }

    private static func boundStop(_ stop: String, _ path: String, _ limits: RequestLimits) throws(APIError) {
        guard stop.utf8.count <= limits.stopBytes else {
            throw APIError(
                .invalidValue, "\(path): at most \(limits.stopBytes) bytes were expected, found \(stop.utf8.count)", param: path)
        }
    }

    static func tokens(_ values: [JSON], _ path: String, _ limits: RequestLimits) throws(APIError) -> [TokenID] {
        var tokens: [TokenID] = []
        tokens.reserveCapacity(values.count)
        for (index, value) in values.enumerated() {
            // The path is only spelled out when there is something to say about it.
            guard let token = value.integer, token >= 0, token < limits.vocabulary else {
                tokens.append(TokenID(try FieldReader.integer(value, in: 0...(limits.vocabulary - 1), "\(path)[\(index)]")))
                continue
            }
            tokens.append(TokenID(token))
        }
        return tokens
    }

    /// The whole body as an object.
    static func object(of body: Span<UInt8>, _ limits: RequestLimits) throws(APIError) -> JSONObject {
        let json: JSON
        do {
            json = try JSON(parsing: body, limits: limits.json)
        } catch {
            throw APIError(.invalidJSON, "the body is not JSON: \(error.reason) (byte \(error.offset))")
        }
        guard let object = json.object else { throw APIError(.invalidType, "the body: an object was expected, found \(json.kind)") }
        return object
    }
}
