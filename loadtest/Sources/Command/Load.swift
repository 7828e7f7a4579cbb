internal import Platform
internal import Reactor

/// A load that was asked for, ready to be sent: once, or at several rates.
struct Load {
    let options: LoadOptions
    private(set) var settings: DriveSettings
    private var workload: WorkloadSettings
    private var arrivals: ArrivalSettings
    let objectives: Objectives
    private let metadata: [(key: String, value: SettingValue)]

    /// - Throws: `LoadFailure` and `PlanError` about what the flags say.
    init(_ options: LoadOptions) throws {
        self.options = options
        settings = try options.targets.settings()
        try options.bounds.apply(to: &settings, options.targets)
        workload = try options.workload.settings(settings.endpoint)
        arrivals = try options.arrivals.settings()
        objectives = try options.results.objectives()
        metadata = try options.results.metadataSettings()
        _ = try options.results.report()
        settings.rules.places = arrivals.maxConcurrency
        settings.rules.requests = options.workload.numPrompts
        settings.keepsText = options.results.saveDetailed
        settings.heedsInterrupt = true
        // Before anybody is asked anything.
        _ = try Plan(workload, arrivals, seed: options.seed)
        FileDescriptors.raiseLimit()
    }

    /// Asks the server what the flags did not say.
    mutating func ask(on reactor: Reactor) async throws {
        let inquiry = Inquiry(settings: settings, reactor: reactor)
        if let model = options.targets.model { settings.model = model } else { settings.model = try await inquiry.model() }
        guard options.workload.tokensPerWord == nil, let ratio = await inquiry.tokensPerWord(model: settings.model) else { return }
        workload.tokensPerWord = ratio
    }

    /// - Parameters:
    ///   - rate: instead of `--request-rate`.
    ///   - seed: instead of `--seed`.
    func run(on reactor: Reactor, rate: Double? = nil, seed: UInt64? = nil) async throws -> RunEnd {
        var arrivals = arrivals
        if let rate { arrivals.requestRate = rate }
        let seed = seed ?? options.seed
        let plan = try Plan(workload, arrivals, seed: seed)
        let line = LiveLine(planned: plan.count.map { $0 - workload.numWarmups })
        let date = Self.date(WallClock.nanoseconds / 1_000_000_000)
        var end = try await Driver.run(settings, plan, on: reactor, watch: options.results.disableTqdm ? nil : line.watch)
        line.finish()
        end.record.date = date
        end.record.settings = described(arrivals, seed: seed)
        return end
    }

    /// Throws what the program's exit code is made of.
    func judge(_ end: RunEnd) throws {
        if end.ending == .stopped { throw LoadFailure("ended by a signal", code: 130) }
        if end.ending == .tooManyErrors { throw LoadFailure("\(settings.rules.errors ?? 0) requests failed") }
        guard end.record.requests.contains(where: { !$0.isWarmup && $0.outcome == .completed }) else { throw LoadFailure("no request succeeded") }
    }

    /// As `vllm bench serve` names its results.
    func name(of record: RunRecord) -> String {
        let model = settings.model.split(separator: "/").last.map(String.init) ?? "model"
        let rate = arrivals.requestRate.isFinite ? "\(arrivals.requestRate)" : "inf"
        let concurrency = arrivals.maxConcurrency.map { "-concurrency\($0)" } ?? ""
        let date = record.date.filter { $0 != "-" && $0 != ":" && $0 != "Z" }.map { $0 == "T" ? "-" : String($0) }.joined()
        let safe = model.map { $0.isLetter || $0.isNumber || "._-".contains($0) ? $0 : "_" }
        return "\(options.results.label ?? options.targets.backend)-\(rate)qps\(concurrency)-\(String(safe))-\(date).json"
    }

    private func described(_ arrivals: ArrivalSettings, seed: UInt64) -> [(key: String, value: SettingValue)] {
        func number(_ value: Int?) -> SettingValue { value.map { .number(Double($0)) } ?? .none }
        var list: [(key: String, value: SettingValue)] = [
            ("backend", .text(options.targets.backend)), ("endpoint_type", .text(options.targets.backend)),
            ("label", options.results.label.map { .text($0) } ?? .none), ("model_id", .text(settings.model)),
            ("tokenizer_id", .text(settings.model)), ("num_prompts", number(options.workload.numPrompts)),
            ("request_rate", .number(arrivals.requestRate)), ("burstiness", .number(arrivals.burstiness)),
            ("max_concurrency", number(arrivals.maxConcurrency)), ("seed", .number(Double(seed))), ("base_url", .text(settings.target.description)),
            ("endpoint", .text(settings.endpoint.rawValue)), ("http", .text(settings.version.rawValue)), ("stream", .flag(settings.body.streams)),
            ("dataset_name", .text(workload.datasetName.rawValue)), ("dataset_path", workload.datasetPath.map { .text($0) } ?? .none),
            ("num_warmups", number(workload.numWarmups)), ("tokens_per_word", .number(workload.tokensPerWord)),
        ]
        if workload.datasetName == .random {
            list.append(("random_input_len", number(workload.randomInputLen)))
            list.append(("random_output_len", number(workload.randomOutputLen)))
            list.append(("random_range_ratio", .number(workload.randomRangeRatio)))
            list.append(("random_prefix_len", number(workload.randomPrefixLen)))
        }
        if settings.version == .http2 { list.append(("streams_per_connection", number(settings.streamsPerConnection))) }
        if workload.turns.upperBound > 1 { list.append(("turns", .text("\(workload.turns.lowerBound)-\(workload.turns.upperBound)"))) }
        if !options.workload.trouble.isEmpty { list.append(("trouble", .text(options.workload.trouble.joined(separator: " ")))) }
        return list + metadata
    }

    /// UTC, as 2026-01-31T12:00:00Z.
    static func date(_ seconds: Int64) -> String {
        let day = CalendarDay(daysSince1970: Int((seconds / 86_400)))
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let rest = Int(seconds % 86_400)
        return "\(day.year)-\(two(day.month))-\(two(day.day))T\(two(rest / 3600)):\(two(rest / 60 % 60)):\(two(rest % 60))Z"
    }
}
