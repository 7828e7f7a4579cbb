package import Inference

/// What the sampler chose.
package struct SampledToken: Sendable, Equatable {
    package var token: TokenID
    /// Where `SamplingParameters.topLogprobs` asked for it.
    package var logprob: Float? = nil
    /// The likeliest tokens, likeliest first; as many as asked for.
    package var alternatives: [TokenLogprob] = []
}

/// Why no token could be chosen.
package enum SamplingError: Error, Equatable, CustomStringConvertible {
    /// A logit is NaN or +∞: the weights or the state of the sequence are damaged.
    case notANumber
    /// Every token is excluded.
    case nothingLeft
    case parameter(name: String, reason: String)

    package var description: String {
        switch self {
        case .notANumber: "the model computed a logit that is not a finite number"
        case .nothingLeft: "no token is left to choose from: bias, minimum length and the model exclude all"
        case .parameter(let name, let reason): "\(name): \(reason)"
        }
    }
}

extension SamplingParameters {
    /// Whether the choice is the likeliest token of the unmodified logits.
    func isPlainGreedy(position: Int) -> Bool { temperature < Sampler.greedyTemperature && !adjustsLogits(position: position) }

    /// Whether single tokens' logits are changed before the choice at `position`.
    func adjustsLogits(position: Int) -> Bool {
        penalizes || !logitBias.isEmpty || (position < minTokens && !stopTokens.isEmpty)
    }

    /// Checks every value's domain.
    package func check(vocabulary: Int) throws(SamplingError) {
        func require(_ condition: Bool, _ name: String, _ reason: @autoclosure () -> String) throws(SamplingError) {
            if !condition { throw .parameter(name: name, reason: reason()) }
        }
        try require(temperature >= 0 && temperature <= 100, "temperature", "\(temperature) was found, 0 to 100 was expected")
        try require(topP > 0 && topP <= 1, "top_p", "\(topP) was found, more than 0 and at most 1 was expected")
        try require(minP >= 0 && minP <= 1, "min_p", "\(minP) was found, 0 to 1 was expected")
        try require(topK >= 0, "top_k", "\(topK) was found, 0 or more was expected")
        try require(presencePenalty.isFinite, "presence_penalty", "\(presencePenalty) was found, a finite number was expected")
        try require(frequencyPenalty.isFinite, "frequency_penalty", "\(frequencyPenalty) was found, a finite number was expected")
        try require(
            repetitionPenalty > 0 && repetitionPenalty.isFinite, "repetition_penalty",
            "\(repetitionPenalty) was found, more than 0 was expected")
        for (token, bias) in logitBias {
            try require(
                token >= 0 && Int(token) < vocabulary, "logit_bias",
                "token \(token) was found, 0 to \(vocabulary - 1) was expected")
            try require(bias.isFinite, "logit_bias", "\(bias) was found for token \(token), a finite number was expected")
        }
    }
}
