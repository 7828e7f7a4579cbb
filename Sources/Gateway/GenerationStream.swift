internal import HTTP
internal import Inference
internal import Platform
internal import Server
internal import Tokenization
internal import Wire

/// The answer to one generation request: joins what its sequences produce with the client's exchange. Reactor thread.
///
/// The exchange's closures and the gateway drive it; it decides nothing about sequences, the gateway does.
final class GenerationStream {
    struct Choice {
        let sequence: SequenceID
        let prompt: Int
        var detokenizer: IncrementalDetokenizer
        var stream: ChoiceStream
        /// The worker's last word; nil while it computes.
        var ending: SequenceEnding?
        var isRoleSent = false
        var isFinishSent = false
        var lastToken: MonotonicInstant?
    }

    /// When the second token of the first choice came: what a hop between workers costs shows before it.
    private(set) var secondToken: MonotonicInstant?

    enum Progress: Equatable {
        case going
        /// Everything has been handed to the exchange.
        case complete
        /// The client takes too little; more than the bound waits.
        case tooSlow
    }

    let exchange: Exchange
    /// As the client knows the request.
    let requestID: String
    let options: GenerationOptions
    let prompts: [PreparedPrompt]
    private let model: ServedModel
    private let header: ResponseHeader
    private var writer: EventWriter
    private(set) var choices: [Choice]
    /// When bytes were last handed to the exchange.
    private(set) var lastWrite: MonotonicInstant
    private var endingsMissing: Int

    init(
        _ exchange: Exchange, requestID: String, _ header: ResponseHeader, _ prepared: PreparedGeneration, model: ServedModel,
        sequences: [SequenceID], at now: MonotonicInstant
    ) {
        let options = prepared.options
        precondition(sequences.count == prepared.prompts.count * options.choices, "\(sequences.count) sequences for \(prepared.prompts.count) prompts")
        self.exchange = exchange
        self.requestID = requestID
        self.options = options
        self.prompts = prepared.prompts
        self.model = model
        self.header = header
        self.lastWrite = now
        self.endingsMissing = sequences.count
        writer = EventWriter(
            header, choices: sequences.count, reportsUsage: options.reportsUsage, wantsLogprobs: options.sampling.topLogprobs != nil)
        choices = sequences.enumerated().map { index, sequence in
            Choice(
                sequence: sequence, prompt: index / options.choices,
                detokenizer: IncrementalDetokenizer(model.tokenizer, skipSpecialTokens: options.skipsSpecialTokens),
                stream: ChoiceStream(
                    stops: options.stops, includesStop: options.includesStop, minTokens: options.sampling.minTokens,
                    keepsTokens: options.reportsTokenIDs,
                    // An answer in one piece takes it from the prompt.
                    echo: options.streams ? prepared.prompts[index / options.choices].echo : ""))
        }
    }

    /// Sends the head at once, before any prefill: proxies and clients then know that the request is being served.
    func begin() {
        guard options.streams else { return }
        var headers = ServerSentEvents.headers
        headers.append("x-request-id", requestID)
        exchange.beginStream(status: 200, headers: headers)
        emit(at: lastWrite)
        send(at: lastWrite)
    }

    /// - Returns: true when the answer ended by a stop string: its sequence has to be cancelled.
    func accept(_ event: TokenEvent, choice index: Int) -> Bool {
        guard !choices[index].stream.isFinished else { return false }
        // An end token is part of the count, not of the text.
        let isHidden = !options.includesStop && options.sampling.stopTokens.contains(event.token)
        let text = isHidden ? "" : choices[index].detokenizer.append(event.token)
        return choices[index].stream.accept(event.token, text: text, report: report(event))
    }

    private func report(_ event: TokenEvent) -> TokenReport? {
        guard let top = options.sampling.topLogprobs, let logprob = event.logprob else { return nil }
        return TokenReport(
            token: model.report(of: event.token, logprob: logprob),
            alternatives: event.alternatives.prefix(top).map { model.report(of: $0.token, logprob: $0.logprob) })
    }

    /// Notes that a token of `choice` came.
    ///
    /// - Returns: the time since the one before; nil for the first.
    func noteToken(choice index: Int, at now: MonotonicInstant) -> Duration? {
        defer { choices[index].lastToken = now }
        if index == 0, secondToken == nil, choices[0].lastToken != nil { secondToken = now }
        return choices[index].lastToken.map { now.since($0) }
    }

    /// The worker is done with the sequence of `choice`.
    ///
    /// - Throws: what the client is told when the ending is none that an answer can have.
    func end(_ ending: SequenceEnding, choice index: Int) throws(APIError) {
        guard choices[index].ending == nil else { return }
        choices[index].ending = ending
        endingsMissing -= 1
        guard !choices[index].stream.isFinished else { return }
        choices[index].stream.end(try finish(ending.reason), rest: choices[index].detokenizer.finish())
    }

    /// Whether every choice has its end, though the worker may still owe a word about it.
    var isAnswered: Bool { choices.allSatisfy(\.stream.isFinished) }

    /// The worker is gone and will say no more.
    func forgoEndings() { endingsMissing = 0 }

    private func finish(_ reason: FinishReason) throws(APIError) -> ChoiceFinish {
        switch reason {
        case .stop(nil): return .end
        case .stop(let token?): return options.stopTokens.contains(token) ? .stopToken(token) : .end
        case .length: return .length
        case .cancelled: throw APIError(.requestCancelled, "the request was cancelled by the server")
        case .deadlineExceeded: throw APIError(.deadlineExceeded, "the request's time is over; the answer was not finished")
        case .failed(let text): throw APIError(.internalError, text)
        case .interrupted(let text): throw APIError(.workerLost, text, retryAfter: .seconds(2))
        case .handedOff: preconditionFailure("a sequence that was handed off is not over")
        }
    }

    /// Hands on what there is to the client, as far as the client keeps up.
    func pump(bufferLimit: Int, ferry: () -> FerryReport, at now: MonotonicInstant) -> Progress {
        guard options.streams else {
            guard endingsMissing == 0 else { return .going }
            respond(ferry: options.reportsFerry ? ferry() : nil)
            return .complete
        }
        emit(at: now)
        guard !exchange.isFull else {
            send(at: now)
            return choices.reduce(0) { $0 + $1.stream.pendingBytes } > bufferLimit ? .tooSlow : .going
        }
        guard endingsMissing == 0 else {
            send(at: now)
            return .going
        }
        let report = options.reportsFerry ? ferry() : nil
        writer.summary(usage, ferry: report)
        writer.done()
        send(at: now)
        var trailers = HTTPHeaders()
        for field in report?.trailers ?? [] { trailers.append(field.0, field.1) }
        exchange.finish(trailers: trailers)
        return .complete
    }

    /// Writes what the choices have, chunk by chunk, until the client has enough to take.
    private func emit(at now: MonotonicInstant) {
        for index in choices.indices {
            if !exchange.isFull, !choices[index].isRoleSent {
                writeRole(of: index)
                if writer.bytes.count >= Self.chunkBytes { send(at: now) }
            }
            while !exchange.isFull, let delta = choices[index].stream.take(atMost: Self.chunkBytes) {
                writer.delta(choice: index, delta, tokenIDs: options.reportsTokenIDs, usage: runningUsage)
                if writer.bytes.count >= Self.chunkBytes { send(at: now) }
            }
            if !exchange.isFull { writeFinish(of: index) }
        }
    }

    private func writeRole(of index: Int) {
        choices[index].isRoleSent = true
        writer.role(choice: index, promptTokenIDs: options.reportsTokenIDs ? prompts[choices[index].prompt].tokens : nil)
    }

    private func writeFinish(of index: Int) {
        guard let finish = choices[index].stream.finish, !choices[index].isFinishSent else { return }
        choices[index].isFinishSent = true
        writer.finish(choice: index, finish, usage: runningUsage)
    }

    /// Text of one chunk at most: with every byte escaped still far below what the server lets wait.
    private static let chunkBytes = 16 << 10

    /// A comment frame when nothing was sent for `interval` and the client has taken everything.
    func keepAlive(_ interval: Duration, at now: MonotonicInstant) {
        guard options.streams, now.since(lastWrite) >= interval, exchange.bufferedBytes == 0 else { return }
        lastWrite = now
        exchange.write(EventWriter.keepAlive)
    }

    /// Ends a stream that has begun with the error as its last event. What was gathered while the client was slow goes before it, in one
    /// write: nobody will pump this stream again.
    func fail(_ error: APIError) {
        for index in choices.indices {
            if !choices[index].isRoleSent { writeRole(of: index) }
            while let delta = choices[index].stream.take(atMost: Self.chunkBytes) {
                writer.delta(choice: index, delta, tokenIDs: options.reportsTokenIDs, usage: runningUsage)
            }
            writeFinish(of: index)
        }
        writer.error(error)
        send(at: lastWrite)
        exchange.finish()
    }

    private func send(at now: MonotonicInstant) {
        writer.drain {
            exchange.write($0)
            lastWrite = now
        }
    }

    private func respond(ferry: FerryReport?) {
        var finished: [FinishedChoice] = []
        for index in choices.indices {
            guard let finish = choices[index].stream.finish else { preconditionFailure("choice \(index) answered while running") }
            var choice = FinishedChoice(delta: choices[index].stream.take() ?? ChoiceDelta(), finish: finish)
            let prompt = prompts[choices[index].prompt]
            choice.echo = prompt.echo
            if options.reportsTokenIDs { choice.promptTokenIDs = prompt.tokens }
            finished.append(choice)
        }
        let body = ResponseBody.bytes(header, finished, usage: usage, options: options, ferry: ferry)
        exchange.respond(status: 200, headers: ["content-type": "application/json", "x-request-id": requestID], body: body)
    }

    private var runningUsage: Usage? { options.reportsUsageContinuously ? usage : nil }

    /// Counts so far: each prompt once, cached tokens as its first choice found them.
    var usage: Usage {
        var usage = Usage()
        for prompt in prompts { usage.promptTokens += prompt.tokens.count }
        for (index, choice) in choices.enumerated() {
            usage.completionTokens += choice.stream.generated
            if index % options.choices == 0 { usage.cachedTokens += choice.ending?.cachedTokens ?? 0 }
        }
        return usage
    }
}
