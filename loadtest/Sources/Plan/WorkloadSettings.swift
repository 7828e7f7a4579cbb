/// What is sent. Properties that are flags of `vllm bench serve` have their names.
package struct WorkloadSettings: Sendable, Equatable {
    package enum DatasetName: String, Sendable, CaseIterable {
        case random
        case prefixRepetition = "prefix_repetition"
        case sharegpt, mooncake, azure, custom

        var isFile: Bool { self != .random && self != .prefixRepetition }
    }

    package var datasetName = DatasetName.random
    package var datasetPath: String?
    /// Requests beside the warm-ups; files are read again from their beginning when they have fewer. Nil: without end, or as many as
    /// the file has.
    package var numPrompts: Int? = 1000
    /// Random texts as long as the first requests' prompts, sent before the measurement begins.
    package var numWarmups = 0
    package var promptForm = PromptForm.chat
    /// Tokens per word of generated text. 1 holds for the tokenizers of most models; a server with `/tokenize` can say.
    package var tokensPerWord = 1.0

    package var randomInputLen = 1024
    package var randomOutputLen = 128
    /// Lengths are uniform in [length·(1 − ratio), length·(1 + ratio)].
    package var randomRangeRatio = 0.0
    /// Tokens at the beginning that all requests of `random` share, beside `randomInputLen`.
    package var randomPrefixLen = 0
    /// With a deviation above 0 lengths are normal instead of uniform.
    package var islStddev = 0.0
    package var oslStddev = 0.0

    package var prefixRepetitionPrefixLen = 256
    package var prefixRepetitionSuffixLen = 256
    package var prefixRepetitionNumPrefixes = 10
    package var prefixRepetitionOutputLen = 128

    /// Turns of a session, drawn from the range. More than 1: generated requests and ShareGPT's conversations become sessions.
    package var turns = 1...1
    /// Between the end of a turn's answer and the next turn.
    package var thinkTime: ClosedRange<Duration> = .zero ... .zero

    package var images = ImageMix()

    /// Output tokens of every request, whatever the dataset says.
    package var outputLen: Int?
    /// Timestamps of traces are divided by it.
    package var traceSpeed = 1.0
    /// Lengths of traces, and their blocks, are multiplied by it.
    package var traceScale = 1.0
    /// Longer prompts of traces are cut off, longer ones of texts left out; a small model can then replay a large one's trace.
    package var maxInputLen: Int?
    package var maxOutputLen: Int?

    package var deadline: ClosedRange<Duration>?
    package var troubles: [TroubleShare] = []

    package init() {}

    func check() throws(PlanError) {
        if let count = numPrompts, count < 1 { throw .setting("--num-prompts", "\(count)", expected: "1 or more") }
        guard numWarmups >= 0, numWarmups <= 1_000_000 else { throw .setting("--num-warmups", "\(numWarmups)", expected: "0 to 1,000,000") }
        guard tokensPerWord >= 0.1, tokensPerWord <= 20 else {
            throw .setting("tokens per word", "\(tokensPerWord)", expected: "0.1 to 20")
        }
        guard randomRangeRatio >= 0, randomRangeRatio < 1 else {
            throw .setting("--random-range-ratio", "\(randomRangeRatio)", expected: "0 or more and below 1")
        }
        let most = 10_000_000
        for (name, value, least) in [
            ("--random-input-len", randomInputLen, 1), ("--random-output-len", randomOutputLen, 1),
            ("--random-prefix-len", randomPrefixLen, 0),
            ("--prefix-repetition-prefix-len", prefixRepetitionPrefixLen, 0),
            ("--prefix-repetition-suffix-len", prefixRepetitionSuffixLen, 1),
            ("--prefix-repetition-num-prefixes", prefixRepetitionNumPrefixes, 1),
            ("--prefix-repetition-output-len", prefixRepetitionOutputLen, 1), ("--output-len", outputLen ?? 1, 1),
            ("--max-input-len", maxInputLen ?? 1, 1), ("--max-output-len", maxOutputLen ?? 1, 1), ("--turns", turns.lowerBound, 1),
        ] where value < least || value > most {
            throw .setting(name, "\(value)", expected: "\(least) to \(most)")
        }
        guard turns.upperBound <= 1000 else { throw .setting("--turns", "\(turns.upperBound)", expected: "at most 1000") }
        for (name, value) in [("--isl-stddev", islStddev), ("--osl-stddev", oslStddev)] where !(value >= 0 && value <= Double(most)) {
            throw .setting(name, "\(value)", expected: "0 or more")
        }
        for (name, value) in [("--trace-speed", traceSpeed), ("--trace-scale", traceScale)] where !(value > 0 && value <= 1e6) {
            throw .setting(name, "\(value)", expected: "more than 0")
        }
        if case .tokens(let range) = promptForm, range.lowerBound < 0 {
            throw .setting("the lowest token id", "\(range.lowerBound)", expected: "0 or more")
        }
        let shares = troubles.reduce(0) { $0 + $1.share }
        guard shares <= 1 + 1e-9 else { throw .setting("the sum of the troubles' shares", "\(shares)", expected: "at most 1") }
        if promptForm != .chat, turns.upperBound > 1 || images.share > 0 {
            throw PlanError("sessions and pictures ask for the chat endpoint")
        }
        if let path = datasetPath, !datasetName.isFile {
            throw PlanError("--dataset-path is \(path), but --dataset-name \(datasetName.rawValue) reads no file")
        }
        try images.check()
    }
}
