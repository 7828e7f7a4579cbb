import Inference
import Platform
import TestSupport
import Testing

@testable import Model

@Suite struct ModelConfigurationTests {
    private static let llama = #"""
        {"architectures":["LlamaForCausalLM"],"model_type":"llama","vocab_size":49152,"hidden_size":576,"intermediate_size":1536,
        "num_hidden_layers":30,"num_attention_heads":9,"num_key_value_heads":3,"max_position_embeddings":8192,"hidden_act":"silu",
        "rms_norm_eps":1e-05,"rope_theta":100000,"rope_scaling":null,"tie_word_embeddings":true,"torch_dtype":"bfloat16"}
        """#

    private func parse(_ text: String) throws(ModelConfigurationError) -> ModelConfiguration {
        try ModelConfiguration(parsing: text.utf8.span)
    }

    /// The base configuration with `changes`; nil removes a key.
    private func parse(changing changes: [String: JSON?]) throws -> ModelConfiguration {
        var object = try JSON(parsing: Self.llama).object!
        for (key, value) in changes { object[key] = value }
        return try parse(JSON.object(object).text)
    }

    @Test func `SmolLM2's configuration is read as written`() throws {
        let configuration = try parse(Self.llama)
        #expect(
            configuration.shape
                == ModelShape(
                    layers: 30, hidden: 576, intermediate: 1536, heads: 9, keyValueHeads: 3, headDimension: 64, vocabulary: 49152,
                    context: 8192))
        #expect(configuration == SyntheticModel.named("smollm2-135m")?.configuration)
    }

    @Test func `both ways of writing rotary scaling mean the same`() throws {
        let scaling: JSON = [
            "rope_type": "llama3", "factor": 32, "low_freq_factor": 1, "high_freq_factor": 4,
            "original_max_position_embeddings": 8192,
        ]
        var modern = scaling.object!
        modern["rope_theta"] = 500_000
        let four = try parse(changing: ["rope_theta": 500_000, "rope_scaling": scaling])
        let five = try parse(changing: ["rope_theta": .some(nil), "rope_scaling": .some(nil), "rope_parameters": .object(modern)])
        #expect(four == five)
        #expect(four.rotary == SyntheticModel.named("llama-1b")?.configuration.rotary)
        let old = try parse(changing: ["rope_scaling": ["type": "linear", "factor": 2]])
        #expect(old.rotary.scaling == .linear(factor: 2))
        #expect(try parse(changing: ["rope_scaling": ["rope_type": "default"]]).rotary.scaling == .none)
    }

    @Test func `llama3 scaling keeps high frequencies, divides low ones and blends between`() {
        let plain = RotaryConfiguration(base: 500_000).frequencies(headDimension: 64)
        let scaled = SyntheticModel.named("llama-1b")!.configuration.rotary.frequencies(headDimension: 64)
        #expect(scaled[0] == plain[0] && scaled[10] == plain[10])
        #expect(scaled[31] == plain[31] / 32)
        let blended = plain.indices.filter { scaled[$0] != plain[$0] && scaled[$0] != plain[$0] / 32 }
        #expect(!blended.isEmpty && blended.allSatisfy { scaled[$0] < plain[$0] && scaled[$0] > plain[$0] / 32 })
    }

    @Test(
        arguments: [
            ("model_type", "gemma", "llama, mistral, qwen2, qwen3"),
            ("model_type", nil, "it is missing"),
            ("architectures", ["LlamaForSequenceClassification"], "LlamaForCausalLM"),
            ("hidden_act", "gelu", "\"silu\" was expected"),
            ("mlp_bias", true, "false was expected"),
            ("quantization_config", ["quant_method": "gptq"], "gptq"),
            ("partial_rotary_factor", 0.5, "1 was expected"),
            ("sliding_window", 4096, "sliding-window"),
            ("layer_types", ["full_attention", "sliding_attention"], "sliding-window"),
            ("rope_scaling", ["rope_type": "yarn", "factor": 4], "\"yarn\" was found"),
            ("rope_scaling", ["type": "dynamic", "factor": 4], "\"dynamic\" was found"),
            ("rope_scaling", ["rope_type": "llama3", "factor": 4], "low_freq_factor"),
            ("rope_parameters", ["full_attention": ["rope_type": "default"]], "differ by layer"),
            ("rope_parameters", ["rope_type": "default", "partial_rotary_factor": 0.25], "partial rotation"),
            ("hidden_size", nil, "it is missing"),
            ("hidden_size", "576", "a string was found"),
            ("hidden_size", 577, "a multiple of num_attention_heads"),
            ("hidden_size", 1_000_000_000, "was expected"),
            ("num_hidden_layers", 0, "0 was found"),
            ("num_hidden_layers", -1, "-1 was found"),
            ("num_key_value_heads", 2, "a divisor"),
            ("head_dim", 63, "an even number"),
            ("head_dim", 2048, "8 to 256"),
            ("final_logit_softcapping", 30.0, "softcapping"),
            ("num_experts", 8, "num_experts"),
            ("tie_word_embeddings", "yes", "true or false"),
            ("rms_norm_eps", -1, "rms_norm_eps"),
        ] as [(String, JSON?, String)])
    func `what is not supported is refused by name`(key: String, value: JSON?, words: String) throws {
        let error = #expect(throws: ModelConfigurationError.self) { try parse(changing: [key: value]) }
        #expect(error?.key?.hasPrefix(key) == true, "\(error?.description ?? "")")
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }

    @Test func `neutral values of keys that matter elsewhere are accepted, unknown keys too`() throws {
        let base = try parse(Self.llama)
        let changed = try parse(changing: [
            "sliding_window": .null, "partial_rotary_factor": 1.0, "quantization_config": .null,
            "layer_types": ["full_attention"],
            "pretraining_tp": 1, "some_future_key": ["a": 1], "mlp_bias": false, "head_dim": 64,
        ])
        #expect(changed == base)
        #expect(try parse(changing: ["sliding_window": 8192]) == base)
    }

    @Test func `families differ in biases, head norms and defaults`() throws {
        func family(_ name: String, _ architecture: String, _ more: [String: JSON?] = [:]) throws -> ModelConfiguration {
            var changes: [String: JSON?] = ["model_type": .string(name), "architectures": [.string(architecture)]]
            changes.merge(more) { $1 }
            return try parse(changing: changes)
        }
        let qwen2 = try family("qwen2", "Qwen2ForCausalLM", ["sliding_window": 4096, "use_sliding_window": false])
        #expect(qwen2.inputBias && !qwen2.outputBias && !qwen2.headNorms)
        let qwen3 = try family("qwen3", "Qwen3ForCausalLM", ["head_dim": .some(nil)])
        #expect(!qwen3.inputBias && qwen3.headNorms && qwen3.shape.headDimension == 128)
        let biased = try family("qwen3", "Qwen3ForCausalLM", ["attention_bias": true])
        #expect(biased.inputBias && biased.outputBias)
        #expect(throws: ModelConfigurationError.self) { try family("qwen2", "Qwen2ForCausalLM", ["use_sliding_window": true]) }
        #expect(throws: ModelConfigurationError.self) { try family("mistral", "MistralForCausalLM", ["sliding_window": 4096]) }
        #expect(throws: ModelConfigurationError.self) {
            try family("mistral", "MistralForCausalLM", ["num_key_value_heads": .some(nil)])
        }
        #expect(try parse(changing: ["num_key_value_heads": .some(nil)]).shape.keyValueHeads == 9)
    }

    @Test func `cut and damaged configurations are parsed or refused, never trapped on`() {
        let text = Array(Self.llama.utf8)
        for count in 0..<text.count { _ = try? ModelConfiguration(parsing: Array(text[..<count]).span) }
        var random = SeededGenerator(seed: 3)
        for _ in 0..<3000 {
            var damaged = text
            damaged[Int.random(in: 0..<text.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            _ = try? ModelConfiguration(parsing: damaged.span)
            _ = try? GenerationDefaults(parsing: damaged.span)
        }
    }

    @Test func `generation defaults take one end token or several`() throws {
        func parse(_ text: String) throws -> GenerationDefaults { try GenerationDefaults(parsing: text.utf8.span) }
        #expect(try parse(#"{"eos_token_id":2}"#).endTokens == [2])
        let full = try parse(
            #"{"eos_token_id":[2,0,2],"bos_token_id":1,"do_sample":true,"temperature":0.6,"top_p":0.9,"top_k":20,"repetition_penalty":1.1}"#
        )
        #expect(
            full.endTokens == [2, 0] && full.temperature == 0.6 && full.topK == 20
                && full.doSample == true)
        #expect(try parse("{}") == GenerationDefaults())
        for text in [
            #"{"eos_token_id":"</s>"}"#, #"{"eos_token_id":[2,null]}"#, #"{"temperature":-1}"#, #"{"top_p":2}"#, "[]", "",
        ] {
            #expect(throws: ModelConfigurationError.self) { try parse(text) }
        }
    }

    @Test func `end tokens come from config json where generation config json is missing`() throws {
        let folder = ScratchFolder()
        folder.write("config.json", #"{"eos_token_id":[7,8],"bos_token_id":1}"#)
        #expect(try GenerationDefaults(directory: folder.path).endTokens == [7, 8])
        folder.write("generation_config.json", #"{"eos_token_id":9}"#)
        let defaults = try GenerationDefaults(directory: folder.path)
        #expect(defaults.endTokens == [9])
    }
}
