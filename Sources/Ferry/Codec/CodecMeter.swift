internal import Inference
internal import KVCodec
internal import Kernels
internal import Model
internal import Platform
internal import Tokenization

/// A profile under the name that it was asked for by.
struct NamedProfile {
    var name: String
    var profile: KeyValueProfile

    /// - Throws: why `name` is no profile.
    init(_ name: String) throws(KeyValueProfileError) {
        self.name = name
        profile = try KeyValueProfile(name)
    }

    init(_ profile: KeyValueProfile) { (name, self.profile) = (profile.description, profile) }

    /// Those that come with a name of their own.
    static func presets() throws(KeyValueProfileError) -> [NamedProfile] {
        var presets: [NamedProfile] = []
        for preset in KeyValuePreset.all { presets.append(try NamedProfile(preset.name)) }
        return presets
    }
}

/// What a profile costs and gives.
struct CodecFigure {
    var name: String
    /// Canonical.
    var profile: String
    var rawBytes: Int
    /// With all headers and frames.
    var codedBytes: Int
    var blocks: Int
    var sizes: KeyValueBlockSizes
    /// GB/s of raw bf16, on one thread.
    var encode: Double
    var decode: Double
    var quality: PredictionFigure
    var recall: RecallFigure?

    var ratio: Double { Double(rawBytes) / Double(max(1, codedBytes)) }
}

struct RecallFigure {
    /// Right answers from exact KV.
    var exact = 0
    var shares = PairedShares()
    /// Of the tasks' prompts.
    var ratio = 1.0

    var right: Int { exact + shares.won - shares.lost }
    func share(_ count: Int) -> Double { Double(count) / Double(max(1, shares.cases)) }
}

/// Measures profiles on windows of text and on tasks.
final class CodecMeter {
    private let prompts: PromptModel
    private let windows: [TextWindow]
    private let windowBenchmark: WindowBenchmark
    private let tasks: [RecallTask]
    private let recallBenchmark: RecallBenchmark
    private let calibration: KeyValueCalibration?
    private let set: InstructionSet
    private let clock = ThreadClock()
    /// GB/s of copying what is coded, on one thread.
    private(set) var copySpeed = 0.0

    /// Profiles at hand at the same time: each has memory of its own.
    private static let group = 16
    /// Passes over the blocks of a window, at least, of which the median counts.
    private static let passes = 9

    init(
        _ weights: DecoderWeights, windows: [TextWindow], tasks: [RecallTask], tokenizer: Tokenizer, endTokens: Set<TokenID>,
        calibration: KeyValueCalibration?, team: ThreadTeam
    ) throws {
        let longest = max(
            windows.map { $0.prompt.count + $0.continuation.count }.max() ?? 1,
            tasks.map { $0.prompt.count + RecallBenchmark.longestAnswer }.max() ?? 1)
        prompts = try PromptModel(weights, context: min(longest, weights.configuration.shape.context), team: team)
        windowBenchmark = try WindowBenchmark(prompts, positions: windows.map(\.positions).max() ?? 1)
        recallBenchmark = RecallBenchmark(prompts, tokenizer: tokenizer, endTokens: endTokens)
        self.windows = windows
        self.tasks = tasks
        self.calibration = calibration
        set = team.instructionSet
    }

    /// - Parameter progress: told the share that is done.
    func measure(_ profiles: [NamedProfile], progress: (Double) -> Void) throws -> [CodecFigure] {
        var figures: [CodecFigure] = []
        for first in stride(from: 0, to: profiles.count, by: Self.group) {
            let group = Array(profiles.dropFirst(first).prefix(Self.group))
            figures += try measure(group: group) { progress((Double(first) + $0 * Double(group.count)) / Double(profiles.count)) }
        }
        return figures
    }

    private func measure(group: [NamedProfile], progress: (Double) -> Void) throws -> [CodecFigure] {
        let trips = try group.map { try BlockTrip($0.profile, geometry: prompts.memory.geometry, calibration: calibration, on: set) }
        let steps = Double(windows.count + tasks.count)
        var speeds = trips.map { _ in (encode: [Double](), decode: [Double](), copy: [Double]()) }
        var sums: [[PredictionSums]] = trips.map { _ in [] }
        let passes = max(1, (Self.passes + windows.count - 1) / max(1, windows.count))
        for (number, window) in windows.enumerated() {
            let prompt = prompts.prompt(window.prompt.count)
            let measured = try windowBenchmark.measure(window, trips) { index in
                for _ in 0..<passes {
                    let (encode, decode) = try trips[index].time(prompt, clock: clock)
                    speeds[index].encode.append(Self.speed(prompt, encode))
                    speeds[index].decode.append(Self.speed(prompt, decode))
                    if index == 0 { speeds[0].copy.append(Self.speed(prompt, copy(prompt))) }
                }
            }
            for (index, more) in measured.enumerated() { sums[index].append(more) }
            progress(Double(number + 1) / steps)
        }
        var figures = trips.indices.map { index in
            let trip = trips[index]
            return CodecFigure(
                name: group[index].name, profile: trip.profile.description, rawBytes: trip.rawBytes, codedBytes: trip.codedBytes,
                blocks: trip.blockCount, sizes: trip.sizes, encode: Self.median(speeds[index].encode),
                decode: Self.median(speeds[index].decode),
                quality: PredictionFigure(sums[index]))
        }
        copySpeed = max(copySpeed, Self.median(speeds[0].copy))
        guard !tasks.isEmpty else { return figures }
        for index in figures.indices { figures[index].recall = RecallFigure() }
        for (number, task) in tasks.enumerated() {
            let (exact, others) = try recallBenchmark.measure(task, trips)
            for (index, other) in others.enumerated() {
                if exact { figures[index].recall?.exact += 1 }
                figures[index].recall?.shares.cases += 1
                if exact, !other { figures[index].recall?.shares.lost += 1 }
                if other, !exact { figures[index].recall?.shares.won += 1 }
            }
            progress(Double(windows.count + number + 1) / steps)
        }
        for (index, trip) in trips.enumerated() {
            let (raw, coded) = (trip.rawBytes - figures[index].rawBytes, trip.codedBytes - figures[index].codedBytes)
            figures[index].recall?.ratio = Double(raw) / Double(max(1, coded))
        }
        return figures
    }

    private var copied: [UInt8] = []

    /// Seconds for copying the layers of the prompt's pages.
    private func copy(_ prompt: PromptKeyValues) -> Double {
        copied.removeAll(keepingCapacity: true)
        let start = clock.now
        for page in prompt.from {
            for layer in 0..<prompt.memory.geometry.layers { prompt.memory.withLayer(layer, ofPage: page) { copied.append($0) } }
        }
        let seconds = clock.now.since(start).inSeconds
        return seconds * Double(prompt.rawBytes) / Double(max(1, copied.count))
    }

    private static func speed(_ prompt: PromptKeyValues, _ seconds: Double) -> Double { Double(prompt.rawBytes) / max(seconds, 1e-9) / 1e9 }
    private static func median(_ values: [Double]) -> Double { values.isEmpty ? 0 : values.sorted()[values.count / 2] }
}
