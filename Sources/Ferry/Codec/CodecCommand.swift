internal import ArgumentParser
internal import Foundation
internal import Inference
internal import KVCodec
internal import Kernels
internal import Model
internal import Platform
internal import Tokenization
internal import Weights

struct CodecCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "codec", abstract: "Measure what compressed KV costs and gives, or calibrate a model for it.",
        discussion: """
            The text is cut into windows. Each window's prompt is computed exactly, its KV is taken through encoder and decoder in the
            blocks of a transfer, and the text behind it is predicted from what came back, beside what exact KV predicts. Ratios count
            every header. Speeds are processor time of one thread. Intervals are of 95 %, by drawing windows anew.

            Examples:
              ferry codec --text book.txt
              ferry codec --text book.txt --profile lossless,kivi-2,had/mm(k8,v6)/rans --tasks models/pilot/recall-eval.jsonl
              ferry codec --model ~/models/Qwen2.5-0.5B-Instruct --text book.txt --profile raw,lossless --json
              ferry codec --calibrate --text other-book.txt --text chats.jsonl
              ferry codec --text book.txt --sweep --output sweep
              ferry codec --shape llama-1b --profile lossless,kvserve-default

            --calibrate writes \(CalibrationFile.name) beside the model or to --output. Its texts must be others than those
            measured on later, and of the kinds that the model will be used on. --sweep writes sweep.csv, sweep.json and sweep.svg.
            --shape measures speed alone, on made-up KV of a named shape. Texts: plain, .json (an array of strings), .jsonl (chats with messages and answer).

            Presets: \(KeyValuePreset.all.map(\.name).joined(separator: ", ")).

            --json prints [{"profile","ratio","encode_gbps","decode_gbps","kl_mean","kl_p99","top1_agreement","perplexity_change",
            "tokens",…}], with intervals, bytes by kind, and recall where there are tasks.
            """)

    @Option(name: .long, help: "Hugging Face model directory; the bundled model if absent.") var model: String?
    @Option(name: .long, help: "A text to measure on; may be repeated.") var text: [String] = []
    @Option(name: .long, help: "Measure speed alone, on KV of this shape.") var shape: String?
    @Option(name: .long, help: ArgumentHelp("Profiles, separated by commas; all presets if absent.", valueName: "profiles"))
    var profile: String?
    @Option(name: .long, help: "Tokens of a prompt.") var prompt = 512
    @Option(name: .customLong("continue"), help: "Predictions behind each prompt.") var positions = 128
    @Option(name: .long, help: "Windows of text at most.") var windows = 16
    @Option(name: .long, help: "Questions as .jsonl with messages, answer and keys, to be answered from exact and from compressed KV.")
    var tasks: String?
    @Option(name: .long, help: "The calibration to use; \(CalibrationFile.name) beside the model if absent.") var calibration: String?
    @Flag(name: .long, help: "Measure many compositions of components, and write tables and a plot.") var sweep = false
    @Flag(name: .long, help: "Measure the model for the profiles that need it.") var calibrate = false
    @Option(name: .long, help: "Where a sweep's folder or a calibration's file goes.") var output: String?
    @Option(name: .long, help: "Compute threads; 0: one per core.") var threads = 0
    @Flag(name: .long, help: "JSON on standard output.") var json = false

    private static let mostPositions = 4096
    private static let mostWindows = 4096
    private static let mostMadeTokens = 8192

    func validate() throws {
        try ConversionReport.check(threads: threads)
        guard prompt > 0 else { throw ValidationError("--prompt is \(prompt), at least 1 was expected") }
        guard (1...Self.mostPositions).contains(positions) else {
            throw ValidationError("--continue is \(positions), 1 to \(Self.mostPositions) was expected")
        }
        guard (1...Self.mostWindows).contains(windows) else {
            throw ValidationError("--windows is \(windows), 1 to \(Self.mostWindows) was expected")
        }
        guard !calibrate || (!sweep && profile == nil && tasks == nil && calibration == nil) else {
            throw ValidationError("--calibrate measures no profiles")
        }
        guard !sweep || profile == nil else { throw ValidationError("--sweep chooses the profiles itself") }
        if let shape {
            guard SyntheticModel.named(shape) != nil else {
                throw ValidationError(
                    "--shape is \"\(shape)\", one of \(SyntheticModel.all.map(\.name).joined(separator: ", ")) was expected")
            }
            guard text.isEmpty, model == nil, calibration == nil, tasks == nil, !sweep, !calibrate else {
                throw ValidationError("--shape has no model and no text")
            }
            guard (1...Self.mostMadeTokens).contains(prompt) else {
                throw ValidationError("--prompt is \(prompt), 1 to \(Self.mostMadeTokens) was expected with --shape")
            }
        } else {
            guard !text.isEmpty else { throw ValidationError("--text is missing") }
        }
        guard output == nil || sweep || calibrate else { throw ValidationError("--output is for --sweep and --calibrate") }
        do throws(KeyValueProfileError) { _ = try named() } catch { throw ValidationError("--profile: \(error)") }
    }

    /// Nil when none was named. Commas stand between profiles and inside of them: those in parentheses or behind `/s4` belong to a profile.
    private func named() throws(KeyValueProfileError) -> [NamedProfile]? {
        guard let profile else { return nil }
        var result: [NamedProfile] = []
        for name in ProfileList.names(in: profile) { result.append(try NamedProfile(name)) }
        return result
    }

    func run() throws {
        if let shape, let synthetic = SyntheticModel.named(shape) { return try measureSpeed(of: synthetic) }
        let loaded = try LoadedModel(model, threads: threads)
        if calibrate { return try self.calibrate(loaded) }
        let texts = try CodecTexts(model: loaded.directory)
        let stretch = prompt + positions + 1
        guard stretch <= loaded.weights.configuration.shape.context || text.allSatisfy({ $0.hasSuffix(".jsonl") }) else {
            throw CommandFailure(
                "--prompt and --continue are \(stretch) tokens together with the one between, the model's context is "
                    + "\(loaded.weights.configuration.shape.context)")
        }
        let windows = try texts.windows(text, prompt: prompt, positions: positions, windows: windows)
        let tasks = try tasks.map { try texts.tasks($0) } ?? []
        for (what, longest) in [
            ("--text", windows.map { $0.prompt.count + $0.continuation.count }.max() ?? 0),
            ("--tasks", tasks.map(\.prompt.count).max() ?? 0)
        ] {
            guard longest < loaded.weights.configuration.shape.context else {
                throw CommandFailure("\(what): \(longest) tokens, the model's context is \(loaded.weights.configuration.shape.context)")
            }
        }
        let calibration = try loadedCalibration(loaded)
        let chosen = try profiles(loaded, calibration)
        let defaults = try GenerationDefaults(directory: loaded.directory)
        let meter = try CodecMeter(
            loaded.weights, windows: windows, tasks: tasks, tokenizer: texts.tokenizer,
            endTokens: Set(defaults.endTokens + [texts.tokenizer.eosToken].compactMap(\.self)), calibration: calibration, team: loaded.team)
        let folder = output ?? "sweep"
        // Before minutes of work, not behind them.
        if sweep { try Folder.create(folder, readableByAll: true) }
        let bar = ProgressBar("measuring \(chosen.count) profiles")
        let figures: [CodecFigure]
        do {
            figures = try meter.measure(chosen) { bar.show($0) }
        } catch {
            bar.finish()
            throw error
        }
        bar.finish()
        let report = CodecReport(figures: figures, copySpeed: meter.copySpeed, model: loaded.name)
        if sweep {
            let note = try SweepFiles(report).write(to: folder)
            if !json { try StandardOutput.write(note + "\n") }
        }
        if json { try StandardOutput.write(report.json + "\n") } else if !sweep { try StandardOutput.write(report.table + "\n") }
    }

    private func measureSpeed(of synthetic: SyntheticModel) throws {
        let team = try LocalWorker.threadTeam(threads: 1)
        let bar = ProgressBar("measuring")
        defer { bar.finish() }
        let speed = try ShapeSpeed(
            synthetic, tokens: prompt, profiles: try named() ?? NamedProfile.presets(), on: team.instructionSet
        ) { bar.show($0) }
        bar.finish()
        try StandardOutput.write((json ? speed.json : speed.table) + "\n")
    }

    /// Those that were named, or all presets that the calibration at hand allows, or those of the sweep.
    private func profiles(_ loaded: LoadedModel, _ calibration: KeyValueCalibration?) throws -> [NamedProfile] {
        let has = calibration?.has ?? []
        if let named = try named() {
            for one in named where !has.isSuperset(of: one.profile.needs) {
                throw CommandFailure(
                    "--profile: '\(one.name)' needs \(one.profile.needs) of a calibration; make one with ferry codec --calibrate --text FILE"
                )
            }
            return named
        }
        let all = sweep ? SweepGrid.profiles : try NamedProfile.presets()
        let chosen = all.filter { has.isSuperset(of: $0.profile.needs) }
        let left = all.count - chosen.count
        if sweep { StandardError.write(Array("ferry: \(chosen.count) compositions\n".utf8)) }
        if left > 0 {
            let names =
                sweep ? "\(left) compositions" : all.filter { !has.isSuperset(of: $0.profile.needs) }.map(\.name).joined(separator: ", ")
            StandardError.write(Array("ferry: left out for want of a calibration: \(names)\n".utf8))
        }
        return chosen
    }

    private func loadedCalibration(_ loaded: LoadedModel) throws -> KeyValueCalibration? {
        let beside = loaded.directory + "/" + CalibrationFile.name
        guard let path = calibration ?? (Folder.holdsFile(beside) ? beside : nil) else { return nil }
        return try CalibrationFile.read(path, geometry: loaded.weights.keyValueGeometry, fingerprint: loaded.weights.fingerprint)
    }

    private func calibrate(_ loaded: LoadedModel) throws {
        let texts = try CodecTexts(model: loaded.directory)
        let tokens = try text.map { try texts.tokens($0) }
        let size = max(1, min(prompt, loaded.weights.configuration.shape.context - positions - 1))
        let windows = CodecTexts.windows(
            of: tokens, opening: texts.opening, prompt: size, positions: positions, windows: max(windows, text.count))
        if let short = windows.firstIndex(where: \.isEmpty) {
            throw CommandFailure(
                "--text: \(text[short]) has \(tokens[short].count) tokens; at least \(prompt + positions + 1) were expected")
        }
        let bar = ProgressBar("calibrating")
        let findings: CalibrationFindings
        do {
            findings = try Calibrator(loaded.weights, team: loaded.team).calibrate(
                tokens, opening: texts.opening, stretches: 10, windows: Array(windows.joined())
            ) { bar.show($0) }
        } catch {
            bar.finish()
            throw error
        }
        bar.finish()
        let path = output ?? loaded.directory + "/" + CalibrationFile.name
        try CalibrationFile.write(
            findings, to: path, geometry: loaded.weights.keyValueGeometry, fingerprint: loaded.weights.fingerprint,
            text: Digest(of: Array(tokens.joined()).span))
        let bytes = try MappedFile(path: path).count
        if json {
            let object: JSON = ["path": .string(path), "bytes": .integer(Int64(bytes)), "tokens": .integer(Int64(findings.tokens))]
            return try StandardOutput.write(object.text + "\n")
        }
        try StandardOutput.write("\(path): \(bytes) bytes, from \(findings.tokens) tokens\n")
    }
}

/// A model in bf16 and what computes with it.
private struct LoadedModel {
    let directory: String
    let name: String
    let weights: DecoderWeights
    let team: ThreadTeam

    init(_ model: String?, threads: Int) throws {
        var settings = try Settings(file: nil, environment: Environment.variables, overrides: [])
        if let model { try settings.set("model.path", to: model, origin: "--model") }
        directory = try LocalWorker.modelDirectory(settings)
        name = LocalWorker.modelName(settings, directory: directory)
        team = try LocalWorker.threadTeam(threads: threads)
        let bar = ProgressBar()
        defer { bar.finish() }
        weights = try DecoderModel.loadWeights(
            directory: directory, weights: .bf16, cache: LocalWorker.cache(settings), team: team,
            options: LoadOptions(mode: LocalWorker.loadMode(settings))
        ) { bar.show($0) }.weights
    }
}
