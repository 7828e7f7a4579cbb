internal import Inference
internal import Platform

/// Decodes bodies, renders templates and tokenises on a thread of its own, so that a megabyte of prompt never stops the reactor.
///
/// First come, first served. The queue before it is bounded: `offer` says no when it is full.
actor RequestPreparer {
    private let thread: WorkerThread
    private let model: ServedModel
    private let limits: RequestLimits
    private let completionTokens: Int
    private nonisolated let queue: RequestQueue<PreparationJob>

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.asUnownedSerialExecutor() }

    init(_ model: ServedModel, completionTokens: Int, limit: Int) {
        self.thread = WorkerThread(name: "prepare")
        self.model = model
        self.limits = RequestLimits(vocabulary: model.vocabulary)
        self.completionTokens = completionTokens
        self.queue = RequestQueue(limit: limit)
    }

    nonisolated func offer(_ job: PreparationJob) -> Bool { queue.put(job) }

    nonisolated func stop() { queue.close() }

    /// Works until `stop`. `deliver` is called on this actor's thread.
    func run(deliver: @Sendable (UInt64, Preparation) -> Void) async {
        await queue.forEach { job in deliver(job.request, prepare(job)) }
    }

    private func prepare(_ job: PreparationJob) -> Preparation {
        do throws(APIError) {
            switch job.task {
            case .chat: return .generation(try chat(job))
            case .text: return .generation(try text(job))
            case .tokenize: return .answer(try tokenize(job))
            case .detokenize: return .answer(try detokenize(job))
            }
        } catch {
            return .refused(error)
        }
    }

    // MARK: Generation

    private func chat(_ job: PreparationJob) throws(APIError) -> PreparedGeneration {
        let request = try ChatRequest(body: job.body.span, limits: limits, defaults: model.samplingDefaults)
        try model.check(name: request.options.model)
        let tokens = try model.tokens(messages: request.messages, tools: request.tools, request.template)
        let limit = request.options.maxTokens ?? model.defaultMaxTokens ?? .max
        return PreparedGeneration(
            options: finished(request.options), prompts: [try fit(tokens, echo: "", maxTokens: limit, request.options, job)])
    }

    private func text(_ job: PreparationJob) throws(APIError) -> PreparedGeneration {
        let request = try CompletionRequest(body: job.body.span, limits: limits, defaults: model.samplingDefaults)
        try model.check(name: request.options.model)
        let limit = request.options.maxTokens ?? completionTokens
        var prompts: [PreparedPrompt] = []
        for prompt in request.prompts {
            let tokens: [TokenID]
            var echo = ""
            switch prompt {
            case .text(let text):
                tokens = try model.tokens(text: text, addsSpecialTokens: request.addsSpecialTokens)
                if request.echoes { echo = text }
            case .tokens(let given):
                tokens = given
                if request.echoes { echo = model.text(of: given) }
            }
            prompts.append(try fit(tokens, echo: echo, maxTokens: limit, request.options, job))
        }
        return PreparedGeneration(options: finished(request.options), prompts: prompts)
    }

    /// Adds what needs the model: end tokens, and a seed where none was given.
    private func finished(_ options: GenerationOptions) -> GenerationOptions {
        var options = options
        options.sampling.stopTokens = options.ignoresEnd ? options.stopTokens : options.stopTokens.union(model.endTokens)
        options.sampling.seed = options.seed ?? UInt64.random(in: .min ... .max)
        return options
    }

    private func fit(
        _ tokens: [TokenID], echo: String, maxTokens: Int, _ options: GenerationOptions, _ job: PreparationJob
    ) throws(APIError) -> PreparedPrompt {
        var tokens = tokens
        if let tail = options.promptTail, tokens.count > tail { tokens.removeFirst(tokens.count - tail) }
        guard !tokens.isEmpty else {
            throw APIError(.invalidValue, "the prompt has no tokens; at least one was expected", param: job.task == .chat ? "messages" : "prompt")
        }
        let room = job.sequenceLimit - tokens.count
        guard room >= 1 else {
            throw APIError(
                .contextLengthExceeded,
                "the prompt has \(tokens.count) tokens; prompt and answer together may have \(job.sequenceLimit), and the answer needs at least one",
                param: job.task == .chat ? "messages" : "prompt")
        }
        return PreparedPrompt(tokens: tokens, echo: echo, maxTokens: min(room, maxTokens))
    }

    // MARK: Tokens only

    private func tokenize(_ job: PreparationJob) throws(APIError) -> [UInt8] {
        let request = try TokenizeRequest(body: job.body.span, limits: limits)
        try model.check(name: request.model)
        let tokens: [TokenID]
        switch request.input {
        case .text(let text, let addsSpecialTokens): tokens = try model.tokens(text: text, addsSpecialTokens: addsSpecialTokens)
        case .messages(let messages, let tools, let template): tokens = try model.tokens(messages: messages, tools: tools, template)
        }
        var json = JSONWriter(capacity: 64 + tokens.count * 6)
        json.beginObject()
        json.field("count", tokens.count)
        json.field("max_model_len", job.sequenceLimit)
        EventWriter.write(tokens, "tokens", to: &json)
        json.key("token_strs")
        if request.returnsStrings {
            json.beginArray()
            for token in tokens { json.string(model.report(of: token, logprob: 0).text) }
            json.endArray()
        } else {
            json.null()
        }
        json.endObject()
        return json.bytes
    }

    private func detokenize(_ job: PreparationJob) throws(APIError) -> [UInt8] {
        let request = try DetokenizeRequest(body: job.body.span, limits: limits)
        try model.check(name: request.model)
        var json = JSONWriter()
        json.beginObject()
        json.field("prompt", model.text(of: request.tokens))
        json.endObject()
        return json.bytes
    }
}
