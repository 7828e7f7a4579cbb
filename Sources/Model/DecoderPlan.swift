internal import Inference
package import Weights

/// The operands of a decoder and the stored tensors they come from.
///
/// Fused as the forward pass multiplies: query, key and value rows in one matrix; gate and up rows in one.
package struct DecoderPlan: Sendable, Equatable {
    package let weights: WeightPlan

    /// - Parameter prefix: before every name but `lm_head.weight`'s: "model." in a text model.
    package init(_ configuration: ModelConfiguration, prefix: String = "model.") {
        let shape = configuration.shape
        let queryRows = shape.heads * shape.headDimension
        let keyRows = shape.keyValueHeads * shape.headDimension
        var plan = WeightPlan()
        func panels(_ name: String, _ sources: [WeightPlan.Source], columns: Int) {
            plan.append(.init(name: name, form: .panels, sources: sources, columns: columns))
        }
        func vector(_ name: String, _ sources: [WeightPlan.Source]) {
            plan.append(.init(name: name, form: .vector, sources: sources, columns: 1))
        }
        // A tied head's panels serve for look-up too; a table of their own would hold the same values twice.
        if !configuration.tiedEmbeddings {
            plan.append(
                .init(
                    name: Name.embedding, form: .table, sources: [.init("\(prefix)embed_tokens.weight", rows: shape.vocabulary)],
                    columns: shape.hidden))
        }
        for layer in 0..<shape.layers {
            let stored = "\(prefix)layers.\(layer)."
            let attention = stored + "self_attn."
            let inputs = [("q_proj", queryRows), ("k_proj", keyRows), ("v_proj", keyRows)]
            func name(_ part: String) -> String { Name.layer(layer, part) }
            vector(name(Name.inputNorm), [.init(stored + "input_layernorm.weight", rows: shape.hidden)])
            panels(name(Name.inputs), inputs.map { .init("\(attention)\($0.0).weight", rows: $0.1) }, columns: shape.hidden)
            if configuration.inputBias {
                vector(name(Name.inputBias), inputs.map { .init("\(attention)\($0.0).bias", rows: $0.1) })
            }
            if configuration.headNorms {
                vector(name(Name.queryNorm), [.init(attention + "q_norm.weight", rows: shape.headDimension)])
                vector(name(Name.keyNorm), [.init(attention + "k_norm.weight", rows: shape.headDimension)])
            }
            panels(name(Name.output), [.init(attention + "o_proj.weight", rows: shape.hidden)], columns: queryRows)
            if configuration.outputBias { vector(name(Name.outputBias), [.init(attention + "o_proj.bias", rows: shape.hidden)]) }
            vector(name(Name.feedForwardNorm), [.init(stored + "post_attention_layernorm.weight", rows: shape.hidden)])
            panels(
                name(Name.gateAndUp),
                [
                    .init(stored + "mlp.gate_proj.weight", rows: shape.intermediate),
                    .init(stored + "mlp.up_proj.weight", rows: shape.intermediate),
                ], columns: shape.hidden)
            panels(name(Name.down), [.init(stored + "mlp.down_proj.weight", rows: shape.hidden)], columns: shape.intermediate)
        }
        vector(Name.finalNorm, [.init("\(prefix)norm.weight", rows: shape.hidden)])
        let head = configuration.tiedEmbeddings ? "\(prefix)embed_tokens.weight" : "lm_head.weight"
        panels(Name.head, [.init(head, rows: shape.vocabulary)], columns: shape.hidden)
        weights = plan
    }

    /// Names of operands, inside a plan and an image.
    enum Name {
        static let embedding = "embedding"
        static let finalNorm = "norm"
        static let head = "head"
        static let inputNorm = "input_norm"
        static let inputs = "qkv"
        static let inputBias = "qkv_bias"
        static let queryNorm = "q_norm"
        static let keyNorm = "k_norm"
        static let output = "o"
        static let outputBias = "o_bias"
        static let feedForwardNorm = "feed_forward_norm"
        static let gateAndUp = "gate_up"
        static let down = "down"

        static func layer(_ layer: Int, _ part: String) -> String { "layers.\(layer).\(part)" }
    }
}
