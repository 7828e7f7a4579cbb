internal import Inference
package import Kernels
package import Platform
package import Weights

/// A decoder's weights, looked up once: what the forward pass reads, layer by layer. Immutable, shared by all threads.
package struct DecoderWeights: Sendable {
    struct Layer: Sendable {
        var inputNorm: [Float]
        /// Rows of query, key and value heads.
        var inputs: PanelMatrix
        /// Empty where the model has none; so for all that may be absent.
        var inputBias: [Float]
        var queryNorm: [Float]
        var keyNorm: [Float]
        var output: PanelMatrix
        var outputBias: [Float]
        var feedForwardNorm: [Float]
        /// Rows of gate, then of up.
        var gateAndUp: PanelMatrix
        var down: PanelMatrix
    }

    package let configuration: ModelConfiguration
    package let form: WeightForm
    /// Equal wherever equal numbers are computed with.
    package let fingerprint: Digest
    let layers: [Layer]
    let finalNorm: [Float]
    let head: PanelMatrix
    /// May be the head.
    let embedding: WeightTable

    /// The weights of `configuration` out of `store`, which was loaded for its `DecoderPlan`.
    package init(_ configuration: ModelConfiguration, store: WeightStore) {
        typealias Name = DecoderPlan.Name
        self.configuration = configuration
        form = store.form
        fingerprint = Digest(of: "\(store.fingerprint) \(configuration)")
        layers = (0..<configuration.shape.layers).map { layer in
            func vector(_ part: String) -> [Float] { store.vector(Name.layer(layer, part)) }
            func panels(_ part: String) -> PanelMatrix { store.panels(Name.layer(layer, part)) }
            return Layer(
                inputNorm: vector(Name.inputNorm), inputs: panels(Name.inputs),
                inputBias: configuration.inputBias ? vector(Name.inputBias) : [],
                queryNorm: configuration.headNorms ? vector(Name.queryNorm) : [],
                keyNorm: configuration.headNorms ? vector(Name.keyNorm) : [],
                output: panels(Name.output), outputBias: configuration.outputBias ? vector(Name.outputBias) : [],
                feedForwardNorm: vector(Name.feedForwardNorm), gateAndUp: panels(Name.gateAndUp), down: panels(Name.down))
        }
        finalNorm = store.vector(Name.finalNorm)
        head = store.panels(Name.head)
        embedding = configuration.tiedEmbeddings ? .panels(head) : store.table(Name.embedding)
    }

    /// Bytes of weights that one step of decoding reads.
    package var stepBytes: Int {
        let matrices = layers.flatMap { [$0.inputs, $0.output, $0.gateAndUp, $0.down] } + [head]
        return matrices.reduce(0) { $0 + $1.byteCount }
    }

    /// Multiplications and additions, each counted, of the matrices for one token; the head apart, since few tokens need it.
    package var tokenOperations: (layers: Int, head: Int) {
        let matrices = layers.flatMap { [$0.inputs, $0.output, $0.gateAndUp, $0.down] }
        return (matrices.reduce(0) { $0 + 2 * $1.rows * $1.columns }, 2 * head.rows * head.columns)
    }

    /// The geometry of KV pages for this model.
    package var keyValueGeometry: KeyValueGeometry { Self.keyValueGeometry(configuration, form) }

    /// That of a model whose weights are not there yet.
    package static func keyValueGeometry(_ configuration: ModelConfiguration, _ form: WeightForm) -> KeyValueGeometry {
        let shape = configuration.shape
        return KeyValueGeometry(layers: shape.layers, heads: shape.keyValueHeads, dimension: shape.headDimension, type: form.elementType)
    }
}
