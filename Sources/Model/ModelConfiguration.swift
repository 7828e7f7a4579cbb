package import Inference
package import Platform

/// What a `config.json` says about a decoder, as both major versions of transformers write it.
///
/// Whatever changes results and is not implemented is refused by name: a model that loads is computed as its authors meant.
package struct ModelConfiguration: Sendable, Equatable {
    package var family: ModelFamily
    package var shape: ModelShape
    package var normEpsilon: Float
    package var rotary: RotaryConfiguration
    /// Biases on the query, key and value projections.
    package var inputBias: Bool
    /// Bias on the attention's output projection.
    package var outputBias: Bool
    /// RMSNorm over each query and key head before rotation.
    package var headNorms: Bool
    /// The head is the embedding table.
    package var tiedEmbeddings: Bool

    package init(
        family: ModelFamily, shape: ModelShape, normEpsilon: Float, rotary: RotaryConfiguration, inputBias: Bool,
        outputBias: Bool,
        headNorms: Bool, tiedEmbeddings: Bool
    ) {
        self.family = family
        self.shape = shape
        self.normEpsilon = normEpsilon
        self.rotary = rotary
        self.inputBias = inputBias
        self.outputBias = outputBias
        self.headNorms = headNorms
        self.tiedEmbeddings = tiedEmbeddings
    }

    /// Bounds on every dimension, well above the largest published models. Beyond: refused.
    package enum Bounds {
        package static let layers = 1...1024
        package static let hidden = 1...65_536
        package static let intermediate = 1...1_048_576
        package static let heads = 1...1024
        /// What the attention kernels take.
        package static let headDimension = 8...256
        package static let vocabulary = 1...4_194_304
        package static let context = 2...16_777_216
        /// Bytes of a configuration file.
        package static let fileBytes = 4 << 20
    }

    /// Reads `config.json` in `directory`.
    package init(directory: String) throws(ModelConfigurationError) {
        try self.init(Self.object(named: "config.json", in: directory), file: "config.json")
    }

    /// Parses the text of a `config.json`. Never traps, whatever the bytes.
    package init(parsing text: Span<UInt8>, file: String = "config.json") throws(ModelConfigurationError) {
        try self.init(Self.object(parsing: text, file: file), file: file)
    }

    /// Interprets the object of a decoder's configuration.
    package init(_ object: JSONObject, file: String) throws(ModelConfigurationError) {
        let fields = ConfigurationFields(object, file: file)
        let family = try Self.family(fields)
        try Self.refuseWhatIsMissing(fields)

        let hidden = try fields.required("hidden_size", in: Bounds.hidden)
        let heads = try fields.required("num_attention_heads", in: Bounds.heads)
        let keyValueHeads: Int
        if family == .llama {
            keyValueHeads = try fields.integer("num_key_value_heads", in: Bounds.heads) ?? heads
        } else {
            keyValueHeads = try fields.required("num_key_value_heads", in: Bounds.heads)
        }
        guard heads % keyValueHeads == 0 else {
            throw fields.failure(
                "num_key_value_heads", "\(keyValueHeads) was found, a divisor of num_attention_heads \(heads) was expected")
        }
        let headDimension: Int
        if let given = try fields.integer("head_dim", in: Bounds.headDimension) {
            headDimension = given
        } else if family == .qwen3 {
            headDimension = 128
        } else {
            guard hidden % heads == 0, Bounds.headDimension.contains(hidden / heads) else {
                throw fields.failure(
                    "hidden_size", "\(hidden) was found, a multiple of num_attention_heads \(heads) was expected")
            }
            headDimension = hidden / heads
        }
        guard headDimension % 2 == 0 else {
            throw fields.failure("head_dim", "\(headDimension) was found, an even number was expected")
        }
        let defaultContext =
            switch family {
            case .llama: 2048
            case .mistral: 131_072
            case .qwen2, .qwen3: 32_768
            }
        shape = ModelShape(
            layers: try fields.required("num_hidden_layers", in: Bounds.layers),
            hidden: hidden,
            intermediate: try fields.required("intermediate_size", in: Bounds.intermediate),
            heads: heads,
            keyValueHeads: keyValueHeads,
            headDimension: headDimension,
            vocabulary: try fields.required("vocab_size", in: Bounds.vocabulary),
            context: try fields.integer("max_position_embeddings", in: Bounds.context) ?? defaultContext
        )
        self.family = family
        normEpsilon = Float(try fields.number("rms_norm_eps", in: 0...0.1) ?? 1e-6)
        rotary = try RotaryConfiguration(fields)
        let attentionBias = try fields.bool("attention_bias") ?? false
        inputBias = family == .qwen2 || attentionBias
        outputBias = family != .qwen2 && attentionBias
        headNorms = family == .qwen3
        tiedEmbeddings = try fields.bool("tie_word_embeddings") ?? false
        try Self.refuseSlidingWindow(fields, family: family, context: shape.context)
    }

    private static func family(_ fields: ConfigurationFields) throws(ModelConfigurationError) -> ModelFamily {
        let known = ModelFamily.allCases.map(\.rawValue).joined(separator: ", ")
        guard let name = try fields.string("model_type") else {
            throw fields.failure("model_type", "it is missing, one of \(known) was expected")
        }
        guard let family = ModelFamily(rawValue: name) else {
            throw fields.failure("model_type", "\"\(name)\" was found, one of \(known) was expected")
        }
        if let value = fields["architectures"] {
            guard let names = value.array, names.count == 1, names[0].string == family.architecture else {
                throw fields.failure("architectures", "\(value.text) was found, [\"\(family.architecture)\"] was expected")
            }
        }
        return family
    }

    /// Keys that change results in ways the forward pass does not know, each with the one value it may have.
    private static let neutralValues: [(key: String, value: JSON)] = [
        ("hidden_act", "silu"), ("hidden_activation", "silu"), ("mlp_bias", false),
        ("partial_rotary_factor", 1), ("rotary_pct", 1), ("rope_interleaved", false),
        ("is_encoder_decoder", false), ("add_cross_attention", false), ("use_qk_norm", false), ("qk_layernorm", false),
        ("attn_logit_softcapping", .null), ("final_logit_softcapping", .null), ("logit_scale", 1), ("logits_scaling", 1),
        ("embedding_multiplier", 1), ("residual_multiplier", 1), ("attention_multiplier", .null),
        ("query_pre_attn_scalar", .null),
        ("num_experts", 0), ("num_local_experts", 0), ("attention_chunk_size", .null), ("attn_temperature_tuning", false),
        ("no_rope_layers", .null), ("no_rope_layer_interval", .null), ("layer_norm_eps", .null), ("num_kv_shared_layers", 0),
        ("is_causal", true), ("use_bidirectional_attention", false), ("alibi", false), ("parallel_attn", false), ("attention_sink", false),
    ]

    private static func refuseWhatIsMissing(_ fields: ConfigurationFields) throws(ModelConfigurationError) {
        if let quantization = fields["quantization_config"] {
            let method = quantization["quant_method"]?.string.map { "quant_method \"\($0)\"" } ?? quantization.kind
            throw fields.failure(
                "quantization_config", "\(method) was found; only unquantised bf16, f16 and f32 weights are supported")
        }
        for (key, neutral) in neutralValues {
            guard let value = fields[key] else { continue }
            let isNeutral =
                if let expected = neutral.double, let found = value.double { expected == found } else { value == neutral }
            guard isNeutral else {
                let wish = neutral.isNull ? "its absence" : neutral.text
                throw fields.failure(
                    key, "\(value.text) was found, \(wish) was expected: it changes results in a way that is not supported")
            }
        }
    }

    /// A window at least as long as the context never cuts anything off; a shorter one is refused.
    private static func refuseSlidingWindow(
        _ fields: ConfigurationFields, family: ModelFamily, context: Int
    ) throws(ModelConfigurationError) {
        if try fields.bool("use_sliding_window") == true {
            throw fields.failure(
                "use_sliding_window", "true was found, false was expected: sliding-window attention is not supported")
        }
        if let types = fields["layer_types"] {
            guard let names = types.array, names.allSatisfy({ $0.string == "full_attention" }) else {
                throw fields.failure(
                    "layer_types", "only \"full_attention\" was expected: sliding-window attention is not supported")
            }
        }
        // Qwen writes a window that counts only under `use_sliding_window`, which was false or absent.
        guard family == .llama || family == .mistral else { return }
        if family == .mistral, context > 4096, !fields.keys.contains("sliding_window") {
            throw fields.failure(
                "sliding_window", "it is missing, which means 4096; null or at least max_position_embeddings \(context) was expected: "
                    + "sliding-window attention is not supported")
        }
        if let window = try fields.integer("sliding_window", in: 0...Int(Int32.max)), window < context {
            throw fields.failure(
                "sliding_window",
                "\(window) was found, null or at least max_position_embeddings \(context) was expected: "
                    + "sliding-window attention is not supported")
        }
    }

    static func object(named name: String, in directory: String) throws(ModelConfigurationError) -> JSONObject {
        let mapping: MappedFile
        do throws(FileError) {
            mapping = try MappedFile(path: directory + "/" + name)
        } catch {
            throw ModelConfigurationError(file: error.path, reason: "cannot \(error.operation) it: \(error.detail)")
        }
        return try object(parsing: Span<UInt8>(_bytes: mapping.bytes), file: name)
    }

    static func object(parsing text: Span<UInt8>, file: String) throws(ModelConfigurationError) -> JSONObject {
        guard text.count <= Bounds.fileBytes else {
            throw ModelConfigurationError(
                file: file, reason: "\(text.count) bytes were found, at most \(Bounds.fileBytes) were expected")
        }
        let root: JSON
        do throws(JSONError) {
            root = try JSON(parsing: text)
        } catch {
            throw ModelConfigurationError(file: file, reason: "\(error)")
        }
        guard let object = root.object else {
            throw ModelConfigurationError(file: file, reason: "\(root.kind) was found, an object was expected")
        }
        return object
    }
}
