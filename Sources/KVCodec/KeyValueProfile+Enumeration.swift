/// The space of compositions.
extension KeyValueProfile {
    /// Every valid composition of components, each with a few settings that stand for all: what a test walks through and a search starts
    /// from.
    package static let compositions: [KeyValueProfile] = {
        var result: [KeyValueProfile] = []
        for transform in Transform.allCases {
            for quantiser in quantisers {
                for coder in Coder.allCases {
                    for (sinks, recent) in [(0, 0), (4, 64), (4, 0), (0, 16)] {
                        if let profile = try? KeyValueProfile(
                            transform: transform, quantiser: quantiser, coder: coder, sinks: sinks, recent: recent)
                        {
                            result.append(profile)
                        }
                    }
                }
            }
        }
        return result
    }()

    /// What is valid with some transform and some coder.
    private static let quantisers: [Quantiser] = {
        let (split, layers) = (ProfileNumber(0.8), ProfileNumber(0.67))
        var result: [Quantiser] = [
            .none, .fp8, .bounded(keys: ProfileNumber(0.05), values: ProfileNumber(0.02)),
            .deadzone(.init(keys: ProfileNumber(0.5), values: ProfileNumber(0.25))),
            .deadzone(
                .init(
                    keys: ProfileNumber(0.6), values: ProfileNumber(0.8), isRelative: true, rounding: ProfileNumber(0.4),
                    pull: ProfileNumber(0.05))),
            .deadzone(.init(keys: ProfileNumber(0.6), values: ProfileNumber(0.8), isAllocated: true, isRelative: true)),
            .codebook(.init(keys: .init(high: 8, axis: .token), values: .init(high: 6, axis: .token))),
            .codebook(.init(keys: .init(high: 12, low: 8, axis: .token), values: .init(high: 8, low: 5, axis: .token), headShare: split)),
            .codebook(
                .init(
                    keys: .init(high: 16, low: 8, layerShare: layers, axis: .token),
                    values: .init(high: 8, low: 5, layerShare: layers, axis: .token))),
        ]
        for keyAxis in Quantiser.Axis.allCases {
            for valueAxis in Quantiser.Axis.allCases {
                for scales in Quantiser.Scales.allCases {
                    for group in [0, 32] {
                        let plain = Quantiser.Uniform(
                            keys: .init(high: 6, axis: keyAxis), values: .init(high: 4, axis: valueAxis), group: group, scales: scales)
                        result.append(.uniform(plain))
                    }
                }
            }
        }
        let (keys, values) = (Quantiser.Levels(high: 12, low: 6, axis: .channel), Quantiser.Levels(high: 8, low: 4, axis: .token))
        for scales in Quantiser.Scales.allCases {
            for group in [0, 16] {
                result.append(.uniform(.init(keys: keys, values: values, headShare: split, group: group, scales: scales)))
                var (first, second) = (keys, values)
                (first.layerShare, second.layerShare) = (layers, layers)
                result.append(.uniform(.init(keys: first, values: second, group: group, scales: scales)))
                result.append(
                    .uniform(
                        .init(
                            keys: .init(high: 6, axis: .channel), values: .init(high: 5, axis: .token), group: group, scales: scales,
                            isAllocated: true)))
                result.append(
                    .uniform(
                        .init(keys: .init(high: 255, axis: .channel), values: .init(high: 24, axis: .token), group: group, scales: scales)))
                result.append(
                    .uniform(
                        .init(
                            isSymmetric: true, keys: .init(high: 31, axis: .token), values: .init(high: 11, axis: .token), group: group,
                            scales: scales)))
                result.append(
                    .uniform(
                        .init(
                            isSymmetric: true, keys: .init(high: 31, low: 15, layerShare: layers, axis: .token),
                            values: .init(high: 15, low: 11, layerShare: layers, axis: .channel), group: group, scales: scales)))
            }
        }
        return result
    }()
}
