internal import Glibc
internal import Platform

/// How positions turn query and key pairs: the base, and how frequencies are stretched for contexts longer than trained.
package struct RotaryConfiguration: Sendable, Equatable {
    package enum Scaling: Sendable, Equatable {
        case none
        /// Every frequency divided by the factor.
        case linear(factor: Double)
        /// Llama 3.1: low frequencies divided by `factor`, high ones kept, a linear blend between.
        case llama3(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalContext: Int)
    }

    package var base: Double
    package var scaling: Scaling

    package init(base: Double, scaling: Scaling = .none) {
        self.base = base
        self.scaling = scaling
    }

    private static let baseRange = 1.0...1e15
    private static let factorRange = 1e-3...1e6

    /// Reads `rope_theta` and `rope_scaling`, or `rope_parameters`, whichever the file has.
    init(_ fields: ConfigurationFields) throws(ModelConfigurationError) {
        let topBase = try fields.number("rope_theta", in: Self.baseRange)
        if let parameters = try fields.fields("rope_parameters") {
            if let nested = parameters.keys.first(where: { parameters[$0]?.object != nil }) {
                throw parameters.failure(nested, "an object was found: positions that differ by layer are not supported")
            }
            base = try parameters.number("rope_theta", in: Self.baseRange) ?? topBase ?? 10_000
            scaling = try Self.scaling(parameters)
            if let older = try fields.fields("rope_scaling"), try Self.scaling(older) != scaling {
                throw fields.failure("rope_scaling", "it asks for something else than rope_parameters does; one of them was expected")
            }
        } else {
            base = topBase ?? 10_000
            scaling = if let parameters = try fields.fields("rope_scaling") { try Self.scaling(parameters) } else { .none }
        }
    }

    private static func scaling(_ fields: ConfigurationFields) throws(ModelConfigurationError) -> Scaling {
        if let share = try fields.number("partial_rotary_factor", in: 0...1), share != 1 {
            throw fields.failure("partial_rotary_factor", "\(share) was found, 1 was expected: partial rotation is not supported")
        }
        // Older files say "type".
        let key = fields["rope_type"] != nil ? "rope_type" : "type"
        if let older = try fields.string("type"), try fields.string(key) != older {
            throw fields.failure("type", "\"\(older)\" was found beside another rope_type; one of them was expected")
        }
        switch try fields.string(key) ?? "default" {
        case "default": return .none
        case "linear":
            guard let factor = try fields.number("factor", in: factorRange) else {
                throw fields.failure("factor", "it is missing, a number was expected")
            }
            return .linear(factor: factor)
        case "llama3":
            guard let factor = try fields.number("factor", in: factorRange),
                let low = try fields.number("low_freq_factor", in: factorRange),
                let high = try fields.number("high_freq_factor", in: factorRange),
                let original = try fields.integer("original_max_position_embeddings", in: ModelConfiguration.Bounds.context)
            else {
                throw fields.failure(
                    "factor",
                    "factor, low_freq_factor, high_freq_factor and original_max_position_embeddings were expected; one is missing"
                )
            }
            guard low < high else {
                throw fields.failure("low_freq_factor", "\(low) was found, less than high_freq_factor was expected")
            }
            return .llama3(factor: factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContext: original)
        case let other:
            throw fields.failure(key, "\"\(other)\" was found; default, linear and llama3 are supported")
        }
    }

    /// Radians per position of each of the `headDimension / 2` pairs.
    package func frequencies(headDimension: Int) -> [Float] {
        (0..<headDimension / 2).map { pair in
            let plain = Float(1 / pow(base, Double(2 * pair) / Double(headDimension)))
            switch scaling {
            case .none: return plain
            case .linear(let factor): return plain / Float(factor)
            case .llama3(let factor, let low, let high, let original):
                let wavelength = 2 * Double.pi / Double(plain)
                if wavelength < Double(original) / high { return plain }
                if wavelength > Double(original) / low { return Float(Double(plain) / factor) }
                let blend = (Double(original) / wavelength - low) / (high - low)
                return Float((1 - blend) * Double(plain) / factor + blend * Double(plain))
            }
        }
    }
}

extension RotaryConfiguration {
    /// Of the angle that `position` turns a pair by; in f32 throughout, as the models were trained.
    static func cosineAndSine(position: Int, frequency: Float) -> (cosine: Float, sine: Float) {
        let angle = Float(position) * frequency
        return (cos(angle), sin(angle))
    }
}
