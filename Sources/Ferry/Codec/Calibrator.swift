internal import Foundation
internal import Inference
internal import KVCodec
internal import Kernels
internal import Model
internal import Platform

/// What a calibration found, as its file has it.
struct CalibrationFindings {
    var headScores: [Float]
    /// [layer][side]; empty where a model has too many channels.
    var means: [[Float]]
    /// [layer][side] of [component][channel].
    var vectors: [[Float]]
    /// [layer][side]: variances along the vectors.
    var variances: [[Float]]
    /// [layer][side]: divergence in nats for noise of the same variance as the side has, extrapolated from little noise.
    var sensitivities: [Float]
    /// [layer][side][head].
    var stepFactors: [Float]
    /// [layer][side]: errors that do about as much damage; empty where there are no joint vectors.
    var units: [Float] = []
    /// [layer] of [component][channel]: of keys and values together, in their units; empty where a model has too many channels.
    var jointVectors: [[Float]] = []
    var rotaryFrequencies: [Float]
    /// Tokens that were looked at.
    var tokens: Int
}

/// Measures a model for the profiles that need it.
final class Calibrator {
    private let prompts: PromptModel
    private let weights: DecoderWeights
    private let team: ThreadTeam
    private var statistics: [ChannelStatistics] = []
    /// [layer]: of keys and values together.
    private var jointStatistics: [ChannelStatistics] = []
    /// Sums over the text at hand: [layer][query heads, then KV heads][dimension].
    private var sums: [[Double]] = []

    /// Tokens of a stretch of text, as in the recipe of the scores.
    static let stretch = 2048
    /// Channels at most, for which a basis is computed.
    static let mostChannels = 1024
    /// Deviation of the noise over that of the side.
    private static let noise = 0.1
    /// The step, over the deviation of a side, for which steps are allocated.
    private static let step = 0.75

    init(_ weights: DecoderWeights, team: ThreadTeam) throws {
        self.weights = weights
        self.team = team
        prompts = try PromptModel(weights, context: min(Self.stretch, weights.configuration.shape.context), team: team)
    }

    private var shape: ModelShape { weights.configuration.shape }
    private var channels: Int { shape.keyValueHeads * shape.headDimension }

    /// - Parameters:
    ///   - texts: tokens of texts that nothing is measured on later.
    ///   - stretches: of `stretch` tokens at most, evenly spaced in each text; so many of all texts together, at least one of each.
    ///   - windows: on which the model's answer to noise is measured.
    func calibrate(
        _ texts: [[TokenID]], opening: [TokenID], stretches: Int, windows: [TextWindow], progress: (Double) -> Void
    ) throws -> CalibrationFindings {
        let frequencies = weights.configuration.rotary.frequencies(headDimension: shape.headDimension)
        let cut = texts.flatMap {
            Self.cut($0, opening: opening, size: prompts.context - opening.count, count: max(1, stretches / texts.count))
        }
        statistics = (0..<shape.layers * 2).map { _ in ChannelStatistics(channels: channels <= Self.mostChannels ? channels : 0) }
        jointStatistics = (0..<shape.layers).map { _ in ChannelStatistics(channels: isJoint ? 2 * channels : 0) }
        var scores = [Double](repeating: 0, count: shape.layers * shape.keyValueHeads)
        var seen = 0
        for (index, text) in cut.enumerated() {
            look(at: text)
            seen += text.count
            for (place, score) in headScores(tokens: text.count, frequencies).enumerated() { scores[place] += score / Double(cut.count) }
            progress(0.2 * Double(index + 1) / Double(cut.count))
        }
        var findings = CalibrationFindings(
            headScores: scores.map(Float.init), means: [], vectors: [], variances: [], sensitivities: [], stepFactors: [],
            rotaryFrequencies: frequencies, tokens: seen)
        if channels <= Self.mostChannels {
            for (index, part) in statistics.enumerated() {
                let eigen = SymmetricEigen(part.covariance)
                findings.means.append(part.mean.map(Float.init))
                findings.vectors.append(eigen.vectors.flatMap { $0.map(Float.init) })
                findings.variances.append(eigen.values.map { Float(max($0, 0)) })
                progress(0.2 + 0.1 * Double(index + 1) / Double(statistics.count))
            }
        }
        let sensitivities = try self.sensitivities(windows) { progress(0.3 + 0.4 * $0) }
        findings.sensitivities = sensitivities.map(Float.init)
        findings.tokens += windows.reduce(0) { $0 + $1.prompt.count + $1.continuation.count }
        findings.stepFactors = Self.stepFactors(sensitivities, statistics, findings.variances, heads: shape.keyValueHeads)
        if isJoint {
            let units = Self.units(sensitivities, statistics.map(\.variance))
            findings.units = units.map(Float.init)
            for (layer, part) in jointStatistics.enumerated() {
                let own = (0..<2 * channels).map { units[layer * 2 + $0 / channels] }
                let covariance = part.covariance.enumerated().map { row, values in
                    values.enumerated().map { column, value in value / (own[row] * own[column]) }
                }
                findings.jointVectors.append(SymmetricEigen(covariance).vectors.flatMap { $0.map(Float.init) })
                progress(0.7 + 0.3 * Double(layer + 1) / Double(shape.layers))
            }
        }
        return findings
    }

    private var isJoint: Bool { 2 * channels <= Self.mostChannels }

    /// Errors of about equal damage: (variance / sensitivity)^0.375, as large as the sides' deviations on the geometric mean. The square root would
    /// be right if damage added up and followed the squared error; the smaller exponent gave fewer bits at equal divergence on the bundled model.
    static func units(_ sensitivities: [Double], _ variances: [Double]) -> [Double] {
        let raw = zip(sensitivities, variances).map { pow(max($1, 1e-30) / max($0, 1e-30), 0.375) }
        let excess = zip(raw, variances).reduce(0) { $0 + log($1.0 / max($1.1, 1e-30).squareRoot()) } / Double(max(1, raw.count))
        return raw.map { $0 / exp(excess) }
    }

    private static func cut(_ tokens: [TokenID], opening: [TokenID], size: Int, count: Int) -> [[TokenID]] {
        let count = min(count, max(1, tokens.count / max(1, size)))
        return (0..<count).map { index in
            let start = count > 1 ? index * (tokens.count - size) / (count - 1) : 0
            return opening + tokens[start..<min(start + size, tokens.count)]
        }
    }

    /// One factor for all heads of a side: with a basis across heads, a head's place is none of one head.
    static func stepFactors(_ sensitivities: [Double], _ statistics: [ChannelStatistics], _ variances: [[Float]], heads: Int) -> [Float] {
        let parts = sensitivities.indices.map { index in
            let own = variances.isEmpty ? [1] : variances[index].map(Double.init)
            let mean = max(own.reduce(0, +) / Double(own.count), .leastNormalMagnitude)
            return StepAllocation.Part(sensitivity: sensitivities[index], variances: own.map { $0 / mean })
        }
        let factors = StepAllocation(parts, step: step).factors
        // Their geometric mean is 1: a profile's step means the same with and without them.
        let mean = exp(factors.reduce(0) { $0 + log($1) } / Double(factors.count))
        return factors.flatMap { Array(repeating: Float($0 / mean), count: heads) }
    }

    /// Computes `text` and takes what statistics need on the way.
    private func look(at text: [TokenID]) {
        let (heads, groups, dimension) = (shape.heads, shape.keyValueHeads, shape.headDimension)
        sums = (0..<shape.layers).map { _ in [Double](repeating: 0, count: (heads + groups) * dimension) }
        let wantsCovariance = channels <= Self.mostChannels
        prompts.model.projections = { [self] layer, projected, rows in
            for row in rows {
                projected.withRow(row) { values in
                    for column in 0..<(heads + groups) * dimension { sums[layer][column] += Double(values[column]) }
                    guard wantsCovariance else { return }
                    let keys = heads * dimension
                    statistics[layer * 2].add(values.extracting(keys..<(keys + channels)))
                    statistics[layer * 2 + 1].add(values.extracting((keys + channels)..<(keys + 2 * channels)))
                    if isJoint { jointStatistics[layer].add(values.extracting(keys..<(keys + 2 * channels))) }
                }
            }
        }
        prompts.clear(.exact)
        prompts.run(text[...], at: 0, in: .exact)
        prompts.model.projections = nil
    }

    private func headScores(tokens: Int, _ frequencies: [Float]) -> [Double] {
        let (heads, groups, dimension) = (shape.heads, shape.keyValueHeads, shape.headDimension)
        return (0..<shape.layers * groups).map { place in
            let (layer, group) = place.quotientAndRemainder(dividingBy: groups)
            func mean(_ head: Int) -> [Double] { sums[layer][(head * dimension)..<((head + 1) * dimension)].map { $0 / Double(tokens) } }
            let share = heads / groups
            let scores = (0..<share).map {
                HeadScores.score(query: mean(group * share + $0), key: mean(heads + group), frequencies: frequencies)
            }
            return scores.reduce(0, +) / Double(share)
        }
    }

    /// [layer][side]
    private func sensitivities(_ windows: [TextWindow], progress: (Double) -> Void) throws -> [Double] {
        let benchmark = try WindowBenchmark(prompts, positions: windows.map(\.positions).max() ?? 1)
        let trips = (0..<shape.layers * 2).map { index in
            NoiseTrip(
                layer: index / 2, side: index % 2 == 0 ? .keys : .values,
                deviation: Self.noise * (channels <= Self.mostChannels ? statistics[index].variance.squareRoot() : 1),
                on: team.instructionSet)
        }
        var sums: [[PredictionSums]] = trips.map { _ in [] }
        for (number, window) in windows.enumerated() {
            for (index, more) in try benchmark.measure(window, trips).enumerated() { sums[index].append(more) }
            progress(Double(number + 1) / Double(windows.count))
        }
        return sums.map { windows in
            let positions = windows.reduce(0) { $0 + $1.positions }
            let divergence = windows.reduce(0) { $0 + $1.divergences.reduce(0, +) } / Double(max(1, positions))
            return max(divergence, 1e-12) / (Self.noise * Self.noise)
        }
    }
}
