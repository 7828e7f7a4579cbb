/// What is asked, request after request: prompts, lengths, sessions, and, where it has them, times. `Plan` numbers the requests and adds
/// the rest.
protocol Workload: Sendable {
    /// Nil: without end.
    var count: Int? { get }
    /// Requests that are no later turn of a session; nil: without end.
    var firstTurns: Int? { get }
    /// `due` is the dataset's own time, if it has one.
    mutating func next() -> PlannedRequest?
}

/// Requests of random words, of the datasets `random` and `prefix_repetition`: each a function of the seed and its number.
struct GeneratedWorkload: Workload {
    private let settings: WorkloadSettings
    private let seed: UInt64
    private var index = 0
    private var session = 0
    private var turn = 0
    private var turns = 0
    private var writer: PromptWriter

    init(_ settings: WorkloadSettings, seed: UInt64) {
        self.settings = settings
        self.seed = seed
        writer = PromptWriter(settings.promptForm, tokensPerWord: settings.tokensPerWord)
        turns = turns(of: 0)
    }

    var count: Int? { settings.numPrompts }

    var firstTurns: Int? {
        guard let count, hasSessions else { return count }
        var left = count
        var sessions = 0
        while left > 0 {
            left -= turns(of: sessions)
            sessions += 1
        }
        return sessions
    }

    private var hasSessions: Bool { settings.turns.upperBound > 1 }

    private func turns(of session: Int) -> Int {
        var draw = Draw(seed: seed, .session, session)
        return draw.integer(in: settings.turns)
    }

    mutating func next() -> PlannedRequest? {
        guard index < count ?? .max else { return nil }
        var draw = Draw(seed: seed, .length, index)
        let isPrefixed = settings.datasetName == .prefixRepetition
        let input = isPrefixed ? settings.prefixRepetitionSuffixLen : length(settings.randomInputLen, settings.islStddev, &draw)
        let output = isPrefixed ? settings.prefixRepetitionOutputLen : length(settings.randomOutputLen, settings.oslStddev, &draw)
        var prefix = 0
        if turn == 0 {
            prefix = isPrefixed ? settings.prefixRepetitionPrefixLen : settings.randomPrefixLen
            let place = isPrefixed ? draw.integer(in: 0...(settings.prefixRepetitionNumPrefixes - 1)) : 0
            var words = Draw(seed: seed, .prefix, place)
            writer.append(prefix, &words)
        }
        var words = Draw(seed: seed, .text, index)
        writer.append(input, &words)
        var request = PlannedRequest(number: index, prompt: writer.finish(), maximumOutputTokens: settings.outputLen ?? output)
        if hasSessions {
            request.session = session
            request.turn = turn
            if turn > 0 { request.thinkTime = draw.duration(in: settings.thinkTime) }
        }
        // The conversation before a later turn is not the plan's to know.
        if turn == 0 { request.expectedInputTokens = prefix + input }
        advance()
        return request
    }

    private mutating func advance() {
        index += 1
        turn += 1
        guard turn >= turns else { return }
        turn = 0
        session += 1
        turns = turns(of: session)
    }

    private func length(_ mean: Int, _ deviation: Double, _ draw: inout Draw) -> Int {
        if deviation > 0 { return min(10_000_000, max(1, Int((Double(mean) + deviation * draw.normal()).rounded()))) }
        let low = (Double(mean) * (1 - settings.randomRangeRatio)).rounded(.down)
        let high = (Double(mean) * (1 + settings.randomRangeRatio)).rounded(.up)
        return draw.integer(in: max(1, Int(low))...max(1, Int(high)))
    }
}
