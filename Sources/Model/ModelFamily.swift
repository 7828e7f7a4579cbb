/// The decoder families that share Ferry's one forward pass: RMSNorm, rotary positions, grouped-query attention, SwiGLU.
package enum ModelFamily: String, Sendable, CaseIterable {
    case llama
    case mistral
    case qwen2
    case qwen3

    /// The one entry that `architectures` may have.
    package var architecture: String {
        switch self {
        case .llama: "LlamaForCausalLM"
        case .mistral: "MistralForCausalLM"
        case .qwen2: "Qwen2ForCausalLM"
        case .qwen3: "Qwen3ForCausalLM"
        }
    }
}
