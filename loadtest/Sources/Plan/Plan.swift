/// What a run sends and when: a function of its settings and the seed, made request by request. Warm-ups come first and have no due time;
/// the times of the others count from the measurement's start.
package struct Plan: RequestSource {
    private let settings: WorkloadSettings
    private let seed: UInt64
    private let isSelfTimed: Bool
    private var workload: any Workload
    /// The same requests once more, for the lengths of warm-ups.
    private var rehearsal: any Workload
    private var arrivals: Arrivals
    private var number = 0
    package let count: Int?

    package init(_ workload: WorkloadSettings, _ arrivals: ArrivalSettings, seed: UInt64) throws(PlanError) {
        try workload.check()
        self.settings = workload
        self.seed = seed
        self.workload = try Self.workload(workload, seed: seed)
        rehearsal = self.workload
        isSelfTimed = arrivals.selfTimed
        self.arrivals = try Arrivals(arrivals, count: self.workload.firstTurns, seed: seed)
        count = self.workload.count.map { $0 + workload.numWarmups }
        if isSelfTimed, try !Self.hasTimes(self.workload) {
            throw PlanError("--self-timed asks for timestamps, and --dataset-name \(workload.datasetName.rawValue) has none")
        }
    }

    private static func workload(_ settings: WorkloadSettings, seed: UInt64) throws(PlanError) -> any Workload {
        guard settings.datasetName.isFile else { return GeneratedWorkload(settings, seed: seed) }
        guard let path = settings.datasetPath else {
            throw PlanError("--dataset-path is missing, --dataset-name \(settings.datasetName.rawValue) asks for it")
        }
        return switch settings.datasetName {
        case .mooncake: TraceWorkload(try TraceWorkload.Row.mooncake(path: path, most: settings.numPrompts), settings, seed: seed)
        case .azure: TraceWorkload(try TraceWorkload.Row.azure(path: path, most: settings.numPrompts), settings, seed: seed)
        default: try TextWorkload(settings, path: path, seed: seed)
        }
    }

    private static func hasTimes(_ workload: any Workload) throws(PlanError) -> Bool {
        var workload = workload
        return workload.next()?.due != nil
    }

    package mutating func next() -> PlannedRequest? {
        let isWarmup = number < settings.numWarmups
        guard var request = isWarmup ? rehearsed() : workload.next() else { return nil }
        request.number = number
        // Warm-ups lie below 0, so that their number changes nothing of what is measured.
        let place = number - settings.numWarmups
        number += 1
        if isWarmup {
            prepareWarmup(&request)
        } else {
            if !isSelfTimed { request.due = request.turn == 0 ? arrivals.next() : nil }
            var draw = Draw(seed: seed, .trouble, place)
            request.trouble = trouble(&draw)
        }
        attachPictures(&request, place)
        if let range = settings.deadline, !isWarmup {
            var draw = Draw(seed: seed, .deadline, place)
            request.deadline = draw.duration(in: range)
        }
        return request
    }

    private mutating func rehearsed() -> PlannedRequest? {
        if let request = rehearsal.next() { return request }
        rehearsal = workload
        return rehearsal.next()
    }

    /// As long as the request it stands for, but without a word of it: a cache learns nothing from it.
    private func prepareWarmup(_ request: inout PlannedRequest) {
        let tokens =
            switch request.prompt {
            case .text(let text): request.expectedInputTokens ?? TextWorkload.estimatedTokens(text)
            case .tokens(let ids): ids.count
            case .chat(let messages):
                request.expectedInputTokens ?? messages.reduce(0) { $0 + TextWorkload.estimatedTokens($1.text) }
            }
        var writer = PromptWriter(settings.promptForm, tokensPerWord: settings.tokensPerWord)
        var draw = Draw(seed: seed, .text, -1 - request.number)
        writer.append(tokens, &draw)
        request.prompt = writer.finish()
        request.due = nil
        request.session = nil
        request.turn = 0
        request.thinkTime = .zero
        request.isWarmup = true
    }

    private func attachPictures(_ request: inout PlannedRequest, _ place: Int) {
        guard settings.images.share > 0, case .chat(var messages) = request.prompt else { return }
        let pictures = settings.images.pictures(seed: seed, place: place)
        guard !pictures.isEmpty else { return }
        messages[messages.count - 1].images += pictures
        request.prompt = .chat(messages)
    }

    private func trouble(_ draw: inout Draw) -> Trouble? {
        guard !settings.troubles.isEmpty else { return nil }
        var left = draw.uniform()
        for share in settings.troubles {
            left -= share.share
            if left < 0 { return share.trouble(&draw) }
        }
        return nil
    }
}
