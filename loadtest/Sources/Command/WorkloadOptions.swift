internal import ArgumentParser

/// What is sent; each option is a property of `WorkloadSettings`.
struct WorkloadOptions: ParsableArguments {
    @Option(help: "random, prefix_repetition, sharegpt, mooncake, azure or custom.") var datasetName = "random"
    @Option(help: "The dataset's file.") var datasetPath: String?
    @Option(name: [.customLong("num-prompts"), .customLong("request-count")], help: "Requests, beside the warm-ups.") var numPrompts = 1000
    @Option(name: [.customLong("num-warmups"), .customLong("warmup-request-count")], help: "Requests before the measurement.") var numWarmups = 0
    @Option(name: [.customLong("random-input-len"), .customLong("isl")], help: "Tokens of a random prompt.") var randomInputLen = 1024
    @Option(name: [.customLong("random-output-len"), .customLong("osl")], help: "Tokens of an answer to it.") var randomOutputLen = 128
    @Option(help: "Random lengths lie in [length*(1-r), length*(1+r)].") var randomRangeRatio = 0.0
    @Option(help: "Tokens that all random prompts begin with.") var randomPrefixLen = 0
    @Option(help: "Standard deviation of the prompts' lengths, which are then normal.") var islStddev = 0.0
    @Option(help: "The same of the answers'.") var oslStddev = 0.0
    @Option(help: "prefix_repetition: tokens of a prefix.") var prefixRepetitionPrefixLen = 256
    @Option(help: "prefix_repetition: tokens after it.") var prefixRepetitionSuffixLen = 256
    @Option(help: "prefix_repetition: different prefixes.") var prefixRepetitionNumPrefixes = 10
    @Option(help: "prefix_repetition: tokens of an answer.") var prefixRepetitionOutputLen = 128
    @Option(help: "Turns of a session, as 4 or 2-6.") var turns = "1"
    @Option(help: "Between a turn's answer and the next turn, as 500ms or 200-2000ms.") var thinkTime = "0ms"
    @Option(help: "Share of the requests with pictures, 0 to 1.") var imageShare = 0.0
    @Option(help: "Pictures of such a request, as 1 or 1-3.") var imagesPerRequest = "1"
    @Option(help: "A picture's size, as 512x512; may be repeated.") var imageSize: [String] = []
    @Option(help: "Tokens of every answer, whatever the dataset says.") var outputLen: Int?
    @Option(help: "Timestamps of traces are divided by it.") var traceSpeed = 1.0
    @Option(help: "Lengths of traces are multiplied by it.") var traceScale = 1.0
    @Option(help: "Longer prompts of traces are cut, of texts left out.") var maxInputLen: Int?
    @Option(help: "The same of answers.") var maxOutputLen: Int?
    @Option(help: "When a client gives up, from its due time, as 5s or 1-9s.") var deadline: String?
    @Option(help: "Clients that make trouble: cancel:SHARE:MS[-MS]ms, stop:…, vanish:… or slow:SHARE:BYTES-PER-SECOND; may be repeated.")
    var trouble: [String] = []
    @Option(help: "Completions: send prompts as token ids drawn from LOW-HIGH.") var tokenIds: String?
    @Option(help: "Tokens per word of generated text; otherwise asked from the server's /tokenize, or 1.") var tokensPerWord: Double?

    func settings(_ endpoint: InferenceEndpoint) throws -> WorkloadSettings {
        var settings = WorkloadSettings()
        guard let name = WorkloadSettings.DatasetName(rawValue: datasetName) else {
            let known = WorkloadSettings.DatasetName.allCases.map(\.rawValue).joined(separator: ", ")
            throw LoadFailure.usage("--dataset-name is \(datasetName), expected one of \(known)")
        }
        settings.datasetName = name
        settings.datasetPath = datasetPath
        settings.numPrompts = numPrompts
        settings.numWarmups = numWarmups
        settings.randomInputLen = randomInputLen
        settings.randomOutputLen = randomOutputLen
        settings.randomRangeRatio = randomRangeRatio
        settings.randomPrefixLen = randomPrefixLen
        settings.islStddev = islStddev
        settings.oslStddev = oslStddev
        settings.prefixRepetitionPrefixLen = prefixRepetitionPrefixLen
        settings.prefixRepetitionSuffixLen = prefixRepetitionSuffixLen
        settings.prefixRepetitionNumPrefixes = prefixRepetitionNumPrefixes
        settings.prefixRepetitionOutputLen = prefixRepetitionOutputLen
        settings.turns = try range(turns, "--turns")
        settings.thinkTime = try DelayRange.parse(thinkTime, setting: "--think-time")
        settings.images.share = imageShare
        settings.images.perRequest = try range(imagesPerRequest, "--images-per-request")
        if !imageSize.isEmpty { settings.images.sizes = try imageSize.map { try ImageMix.Size(parsing: $0) } }
        settings.outputLen = outputLen
        settings.traceSpeed = traceSpeed
        settings.traceScale = traceScale
        settings.maxInputLen = maxInputLen
        settings.maxOutputLen = maxOutputLen
        if let deadline { settings.deadline = try DelayRange.parse(deadline, setting: "--deadline") }
        settings.troubles = try trouble.map { try TroubleShare(parsing: $0) }
        settings.tokensPerWord = tokensPerWord ?? 1
        settings.promptForm = endpoint == .chat ? .chat : .text
        if let tokenIds {
            guard endpoint == .completions else { throw LoadFailure.usage("--token-ids asks for --backend openai: chats take no token ids") }
            let ids = try range(tokenIds, "--token-ids")
            guard let low = Int32(exactly: ids.lowerBound), let high = Int32(exactly: ids.upperBound) else {
                throw LoadFailure.usage("--token-ids is \(tokenIds), expected LOW-HIGH")
            }
            settings.promptForm = .tokens(low...high)
        }
        return settings
    }

    /// `4` or `2-6`.
    private func range(_ text: String, _ flag: String) throws -> ClosedRange<Int> {
        let bounds = text.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) ?? -1 }
        guard (1...2).contains(bounds.count), bounds.allSatisfy({ $0 >= 0 }), bounds[0] <= bounds[bounds.count - 1] else {
            throw LoadFailure.usage("\(flag) is \(text), expected a number or a range as 2-6")
        }
        return bounds[0]...bounds[bounds.count - 1]
    }
}
