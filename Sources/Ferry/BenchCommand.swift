internal import ArgumentParser
internal import Foundation
internal import Inference
internal import Kernels
internal import Model
internal import Platform
internal import Weights

struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure tokens per second beside what this machine could do at best.",
        discussion: """
            Each figure stands beside a limit measured in the same run: the arithmetic peak of the instruction that products use,
            and plain prefetched memory reading. Medians of --repeats. --shape makes random weights; nothing is downloaded. The overhead is
            what a worker's step spends beside the forward pass: scheduling, sampling, reporting.

            Examples:
              ferry bench --shape smollm2-135m
              ferry bench --model ~/models/Qwen2.5-0.5B-Instruct --prompt 2048 --batch 1,8 --json
              ferry bench --quality --model models/pilot --text models/pilot/recall-eval.jsonl --weights int8,int8g32
              ferry bench --link
              ferry bench --shape smollm2-135m --json > before.json; ferry bench --shape smollm2-135m --compare before.json

            Shapes: \(SyntheticModel.all.map(\.name).joined(separator: ", ")).
            """)

    @Option(name: .long, help: "Hugging Face model directory.") var model: String?
    @Option(name: .long, help: "A named shape with random weights.") var shape: String?
    @Option(name: .long, help: "Tokens per prompt.") var prompt = 512
    @Option(name: .long, help: "Tokens generated per sequence.") var generate = 64
    @Option(name: .long, help: "Numbers of sequences decoded at once, separated by commas.") var batch = "1,4,16"
    @Option(name: .long, help: "Compute threads; 0: one per core.") var threads = 0
    @Option(name: .long, help: "Forms of the weights, separated by commas: \(WeightForm.names).") var weights = "bf16"
    @Option(name: .long, help: "How often each figure is measured.") var repeats = 5
    @Option(name: .long, help: "An earlier --json output; ratios to it are shown.") var compare: String?
    @Flag(name: .long, help: "Measure what forms of weights cost in quality, beside bf16, over --text; no speeds.") var quality = false
    @Flag(name: .long, help: "Measure one loopback connection between two processes: plain TCP beside HTTP/2, bare and with KV blocks.") var link = false
    @Option(name: .long, help: "A text, or a .jsonl file of chats with messages and answer.") var text: String?
    @Flag(name: .long, help: "JSON on standard output.") var json = false

    func validate() throws {
        guard !link else {
            guard model == nil, shape == nil else { throw ValidationError("--link measures no model") }
            guard repeats > 0 else { throw ValidationError("positive numbers were expected") }
            return
        }
        guard (model == nil) != (shape == nil) else { throw ValidationError("exactly one of --model and --shape was expected") }
        guard !quality || (model != nil && text != nil) else { throw ValidationError("--quality asks for --model and --text") }
        if let shape, SyntheticModel.named(shape) == nil {
            throw ValidationError("--shape is \"\(shape)\", one of \(SyntheticModel.all.map(\.name).joined(separator: ", ")) was expected")
        }
        guard prompt > 0, generate > 0, repeats > 0 else { throw ValidationError("positive numbers were expected") }
        guard (0...ThreadTeam.mostThreads).contains(threads) else {
            throw ValidationError("--threads is \(threads), 0 to \(ThreadTeam.mostThreads) was expected")
        }
        guard try !batches().isEmpty, try !forms().isEmpty else { throw ValidationError("--batch and --weights must name something") }
    }

    private func batches() throws -> [Int] {
        try batch.split(separator: ",").map {
            guard let number = Int($0), (1...1024).contains(number) else { throw ValidationError("--batch has \"\($0)\", 1 to 1024 was expected") }
            return number
        }
    }

    private func forms() throws -> [WeightForm] {
        try weights.split(separator: ",").map { word in
            guard let form = WeightForm(named: String(word)) else {
                throw ValidationError("--weights has \"\(word)\", one of \(WeightForm.names) was expected")
            }
            return form
        }
    }

    func run() async throws {
        if link {
            let figures = try await LinkBenchmark(rounds: repeats).measure()
            return try StandardOutput.write((json ? figures.json : figures.table) + "\n")
        }
        let team = try LocalWorker.threadTeam(threads: threads)
        if quality { return try measureQuality(team) }
        var report = BenchReport(threads: team.threads, instructionSet: team.instructionSet.name, earlier: try compare.map { try EarlierBench(file: $0) })
        for form in try forms() {
            let loaded = try load(form, team)
            let probe = MachineProbe(team: team, clock: SystemClock())
            let bench = try ModelBenchmark(
                weights: loaded, team: team, prompt: prompt, generate: generate, largestBatch: try batches().max() ?? 1, repeats: repeats)
            // Limits are measured around the figures, since the machine's state drifts by itself.
            var limits = try self.limits(probe, form)
            let engine = EngineBenchmark(
                weights: loaded, threads: team.threads, instructionSet: team.instructionSet, prompt: prompt, generate: generate)
            var figures = [bench.prefill()]
            for batch in try batches() {
                var figure = bench.decode(batch)
                figure.overhead = try await engine.overhead(batch)
                figures.append(figure)
            }
            limits = limits.mean(with: try self.limits(probe, form))
            report.add(figures, limits: limits, weights: form.name, instruction: probe.instruction(form))
        }
        try StandardOutput.write((json ? report.json : report.table) + "\n")
    }

    private func measureQuality(_ team: ThreadTeam) throws {
        guard let text, let model else { return }
        let texts = try QualityTexts(file: text, model: model).texts
        let reference = try load(.bf16, team)
        let figures = try forms().map { try QualityBenchmark(reference: reference, other: load($0, team), team: team).measure(texts) }
        try StandardOutput.write((json ? QualityBenchmark.json(figures) : QualityBenchmark.table(figures)) + "\n")
    }

    private func limits(_ probe: MachineProbe, _ form: WeightForm) throws -> MachineLimits {
        let arithmetic = probe.arithmetic(form)
        return MachineLimits(
            arithmetic: arithmetic, attention: form.isBytes ? probe.arithmetic(WeightForm(form.elementType)) : arithmetic, read: try probe.read())
    }

    private func load(_ form: WeightForm, _ team: ThreadTeam) throws -> DecoderWeights {
        if let shape, let synthetic = SyntheticModel.named(shape) { return try synthetic.weights(form, team: team) }
        var settings = try Settings(file: nil, environment: Environment.variables, overrides: [])
        if let model { try settings.set("model.path", to: model, origin: "--model") }
        return try DecoderModel.loadWeights(
            directory: LocalWorker.modelDirectory(settings), weights: form, cache: LocalWorker.cache(settings), team: team,
            options: LoadOptions(mode: LocalWorker.loadMode(settings))
        ).weights
    }
}
