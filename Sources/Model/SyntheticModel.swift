internal import Inference
package import Kernels
package import Platform
internal import Weights

/// A model of random weights in a published shape: for measuring speed without a download. Its words mean nothing.
package struct SyntheticModel: Sendable, Equatable {
    package let name: String
    package let configuration: ModelConfiguration

    /// All known shapes.
    package static let all: [SyntheticModel] = [
        SyntheticModel(
            "smollm2-135m", .llama,
            ModelShape(
                layers: 30, hidden: 576, intermediate: 1536, heads: 9, keyValueHeads: 3, headDimension: 64, vocabulary: 49_152,
                context: 8192),
            epsilon: 1e-5, rotary: RotaryConfiguration(base: 100_000)),
        SyntheticModel(
            "smollm2-360m", .llama,
            ModelShape(
                layers: 32, hidden: 960, intermediate: 2560, heads: 15, keyValueHeads: 5, headDimension: 64, vocabulary: 49_152,
                context: 8192),
            epsilon: 1e-5, rotary: RotaryConfiguration(base: 100_000)),
        SyntheticModel(
            "qwen2.5-0.5b", .qwen2,
            ModelShape(
                layers: 24, hidden: 896, intermediate: 4864, heads: 14, keyValueHeads: 2, headDimension: 64, vocabulary: 151_936,
                context: 32_768),
            epsilon: 1e-6, rotary: RotaryConfiguration(base: 1_000_000)),
        SyntheticModel(
            "qwen3-0.6b", .qwen3,
            ModelShape(
                layers: 28, hidden: 1024, intermediate: 3072, heads: 16, keyValueHeads: 8, headDimension: 128,
                vocabulary: 151_936,
                context: 40_960),
            epsilon: 1e-6, rotary: RotaryConfiguration(base: 1_000_000)),
        SyntheticModel(
            "llama-1b", .llama,
            ModelShape(
                layers: 16, hidden: 2048, intermediate: 8192, heads: 32, keyValueHeads: 8, headDimension: 64, vocabulary: 128_256,
                context: 131_072),
            epsilon: 1e-5,
            rotary: RotaryConfiguration(
                base: 500_000,
                scaling: .llama3(factor: 32, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 8192))),
    ]

    /// The shape of that name; nil for an unknown one.
    package static func named(_ name: String) -> SyntheticModel? { all.first { $0.name == name } }

    /// Any shape.
    package init(name: String, configuration: ModelConfiguration) {
        self.name = name
        self.configuration = configuration
    }

    private init(_ name: String, _ family: ModelFamily, _ shape: ModelShape, epsilon: Float, rotary: RotaryConfiguration) {
        self.init(
            name: name,
            configuration: ModelConfiguration(
                family: family, shape: shape, normEpsilon: epsilon, rotary: rotary, inputBias: family == .qwen2,
                outputBias: false,
                headNorms: family == .qwen3, tiedEmbeddings: true))
    }

    /// Its weights, in memory: the same numbers each time.
    package func weights(_ form: WeightForm, team: ThreadTeam) throws(FileError) -> DecoderWeights {
        let store = try WeightStore(random: DecoderPlan(configuration).weights, weights: form, named: name, team: team)
        return DecoderWeights(configuration, store: store)
    }
}
