internal import HTTP
internal import Inference
internal import Logging
internal import Platform
internal import Server
internal import Telemetry
internal import Wire

/// From a worker's reports to the end of each answer.
extension Gateway {
    /// Applies everything that has arrived, then lets every stream that it concerned write once.
    func applyNews() {
        let news = takeNews()
        guard !news.isEmpty else { return }
        let now = clock.now
        var touched: [UInt64: ActiveRequest] = [:]
        for piece in news {
            switch piece {
            case .report(let report): apply(report, &touched, at: now)
            case .lost(let reason): lose(reason)
            }
        }
        for request in touched.values { pump(request, at: now) }
        sendCommands()
        publish()
    }

    private func apply(_ report: StepReport, _ touched: inout [UInt64: ActiveRequest], at now: MonotonicInstant) {
        lastProgress = now
        metrics.step(report.load, before: load)
        gate.observe(
            completed: report.endings.count, prefilled: Int(clamping: report.load.prefillTokens - min(report.load.prefillTokens, load.prefillTokens)),
            at: now)
        load = report.load
        metrics.generationTokens.add(report.tokens.count)
        for event in report.tokens {
            guard let slot = sequences[event.sequence], let request = slot.request, let stream = request.stream else { continue }
            note(request, stream, choice: slot.choice, at: now)
            if stream.accept(event, choice: slot.choice) { cancel(event.sequence) }
            touched[request.number] = request
        }
        for ending in report.endings {
            guard let slot = sequences.removeValue(forKey: ending.sequence) else { continue }
            metrics.ended(ending)
            if let cancelled = slot.cancelled { metrics.cancelToFree.observe(now.since(cancelled)) }
            guard let request = slot.request, let stream = request.stream else { continue }
            do throws(APIError) {
                try stream.end(ending, choice: slot.choice)
                touched[request.number] = request
            } catch {
                fail(request, error)
            }
        }
    }

    private func note(_ request: ActiveRequest, _ stream: GenerationStream, choice: Int, at now: MonotonicInstant) {
        if request.firstToken == nil {
            request.firstToken = now.since(request.arrived)
            metrics.firstToken.observe(now.since(request.arrived))
            request.permit?.leaveQueue()
        }
        if let interval = stream.noteToken(choice: choice, at: now) { metrics.interToken.observe(interval) }
    }

    private func pump(_ request: ActiveRequest, at now: MonotonicInstant) {
        guard !request.isOver, let stream = request.stream else { return }
        let progress = stream.pump(
            bufferLimit: configuration.bufferLimit, ferry: { ferryReport(request, stream) }, at: now)
        switch progress {
        case .going: break
        case .complete: finish(request, .init(status: 200, word: "completed"))
        case .tooSlow:
            finish(request, .init(status: 200, word: "slow_reader"))
            metrics.cancelled("slow_reader")
            request.exchange.abort(.enhanceYourCalm)
        }
    }

    private func ferryReport(_ request: ActiveRequest, _ stream: GenerationStream) -> FerryReport {
        var report = FerryReport()
        // The slowest choice is what the client waited for.
        for choice in stream.choices {
            guard let ending = choice.ending else { continue }
            report.queue = max(report.queue, ending.timeline.queued)
            report.prefill = max(report.prefill, ending.timeline.prefill)
            report.decode = max(report.decode, ending.timeline.decode)
            report.transfer = report.transfer ?? ending.transfer
            guard let service = ending.service else { continue }
            (report.prefillWorker, report.decodeWorker) = (service.prefillWorker, service.decodeWorker)
            report.attempts = max(report.attempts, service.attempts)
        }
        report.queue += request.prepared ?? .zero
        report.firstToken = request.firstToken
        report.secondToken = stream.secondToken.map { $0.since(request.arrived) }
        if report.prefillWorker.isEmpty {
            report.prefillWorker = channel?.hello.worker ?? ""
            report.decodeWorker = report.prefillWorker
        }
        return report
    }

    // MARK: The client's side

    func clientCaughtUp(_ number: UInt64) {
        guard let request = requests[number] else { return }
        pump(request, at: clock.now)
        sendCommands()
        publish()
    }

    /// The last that is heard of a request.
    func exchangeClosed(_ number: UInt64, _ end: ExchangeEnd) {
        guard let request = requests.removeValue(forKey: number) else { return }
        if !request.isOver {
            let (status, word): (Int, String) =
                switch end {
                // nginx's number for "client closed request"; no client sees it.
                case .clientGone: (499, "client_gone")
                case .slowReader: (200, "slow_reader")
                case .aborted: (500, "aborted")
                case .completed: preconditionFailure("request \(request.id) was answered and is not over")
                }
            metrics.cancelled(word)
            finish(request, .init(status: status, word: word))
        } else if case .clientGone = end, request.outcome?.word == "completed" {
            request.outcome?.word = "completed_unread"
        }
        log(request)
        sendCommands()
        publish()
    }

    // MARK: Ends

    /// Takes the request out of work: what it still has on the worker is cancelled, its permit goes back. Once per request.
    func finish(_ request: ActiveRequest, _ outcome: ActiveRequest.Outcome) {
        precondition(!request.isOver, "request \(request.id) ended twice")
        request.outcome = outcome
        request.permit = nil
        for choice in request.stream?.choices ?? [] where choice.ending == nil {
            sequences[choice.sequence]?.request = nil
            cancel(choice.sequence)
        }
    }

    /// Once per sequence; nothing for one whose ending has come.
    private func cancel(_ sequence: SequenceID) {
        guard let slot = sequences[sequence], slot.cancelled == nil else { return }
        sequences[sequence]?.cancelled = clock.now
        outbox.append(.cancel(sequence))
    }

    /// Tells the client what went wrong, in the body or, when that has begun, in the stream.
    func fail(_ request: ActiveRequest, _ error: APIError) {
        guard !request.isOver else { return }
        finish(request, .init(status: error.code.status, word: error.code.rawValue, isRefusal: request.stream == nil))
        if request.exchange.hasBegun {
            request.stream?.fail(error)
        } else {
            request.exchange.respond(status: error.code.status, headers: Self.errorHeaders(error, request.id), body: error.body)
        }
    }

    private func lose(_ reason: String) {
        guard let lost = channel else { return }
        logger.error("worker lost", metadata: ["worker": "\(lost.hello.worker)", "reason": "\(reason)", "sequences": "\(sequences.count)"])
        channel = nil
        load = WorkerLoad()
        outbox = []
        metrics.workerLosses.add()
        metrics.workerConnected.set(0)
        // No ending will come any more. Removed first, so that nothing is cancelled on a worker that is gone.
        let orphans = sequences.values.compactMap(\.request)
        sequences = [:]
        for request in orphans where !request.isOver {
            // All choices had ended by a stop string and only waited for the worker's count: that is an answer.
            if let stream = request.stream, stream.isAnswered {
                stream.forgoEndings()
                pump(request, at: clock.now)
                continue
            }
            fail(request, APIError(.workerLost, "the worker that computed the answer was lost", retryAfter: .seconds(2)))
        }
    }

    /// Cancellations leave together; those that the channel has no room for leave with the next report or tick.
    func sendCommands() {
        guard !outbox.isEmpty, let channel else { return }
        do {
            try channel.send(outbox)
            outbox = []
        } catch {
            // A closed channel is reported as a loss, which empties the outbox.
        }
    }

    // MARK: Time

    func tick() {
        let now = clock.now
        preparingSince = requests.values.filter { !$0.isOver && $0.stream == nil }.map(\.arrived).min()
        for request in requests.values where !request.isOver {
            if now.since(request.deadline) > Self.deadlineGrace {
                fail(request, APIError(.deadlineExceeded, "the request's time is over; the answer was not finished"))
            } else {
                request.stream?.keepAlive(configuration.keepAlive, at: now)
            }
        }
        sendCommands()
        publish()
    }

    /// The worker ends sequences at their deadline itself; this is for one that no longer does.
    private static let deadlineGrace: Duration = .seconds(5)

    private func log(_ request: ActiveRequest) {
        let now = clock.now
        guard let outcome = request.outcome else { preconditionFailure("request \(request.id) is logged while it runs") }
        var metadata: Logger.Metadata = [
            "id": "\(request.id)", "route": "\(request.route.name)", "status": "\(outcome.status)", "outcome": "\(outcome.word)",
            "total_ms": "\(Self.milliseconds(now.since(request.arrived)))",
        ]
        if let trace = TraceContext(request.exchange.head.headers["traceparent"]) { metadata["trace_id"] = "\(trace.traceID)" }
        if let prepared = request.prepared { metadata["prepare_ms"] = "\(Self.milliseconds(prepared))" }
        if let first = request.firstToken { metadata["first_token_ms"] = "\(Self.milliseconds(first))" }
        if let stream = request.stream {
            let usage = stream.usage
            metadata["prompt_tokens"] = "\(usage.promptTokens)"
            metadata["cached_tokens"] = "\(usage.cachedTokens)"
            metadata["completion_tokens"] = "\(usage.completionTokens)"
            metadata["choices"] = "\(stream.choices.count)"
            metadata["stream"] = "\(stream.options.streams)"
            if let second = stream.secondToken { metadata["second_token_ms"] = "\(Self.milliseconds(second.since(request.arrived)))" }
            note(stream.choices.compactMap(\.ending), in: &metadata)
            metadata["finish"] = "\(stream.choices.map { $0.stream.finish?.reason ?? "none" }.joined(separator: ","))"
            if outcome.word.hasPrefix("completed") { metrics.latency.observe(now.since(request.arrived)) }
        }
        metrics.answered(request.route.name, status: outcome.status, code: outcome.isRefusal ? outcome.word : nil)
        logger.info("request", metadata: metadata)
    }

    /// Who served it, and what its KV's way cost.
    private func note(_ endings: [SequenceEnding], in metadata: inout Logger.Metadata) {
        guard let service = endings.first?.service else { return }
        metadata["prefill_worker"] = "\(service.prefillWorker)"
        metadata["decode_worker"] = "\(service.decodeWorker)"
        metadata["attempts"] = "\(endings.compactMap(\.service?.attempts).max() ?? 1)"
        if let timeline = endings.map(\.timeline).max(by: { $0.prefill < $1.prefill }) {
            metadata["queue_ms"] = "\(Self.milliseconds(timeline.queued))"
            metadata["prefill_ms"] = "\(Self.milliseconds(timeline.prefill))"
            metadata["decode_ms"] = "\(Self.milliseconds(timeline.decode))"
        }
        guard let transfer = endings.lazy.compactMap(\.transfer).first else { return }
        metadata["kv_profile"] = "\(transfer.profile)"
        metadata["kv_raw_bytes"] = "\(transfer.rawBytes)"
        metadata["kv_sent_bytes"] = "\(transfer.sentBytes)"
        metadata["kv_wire_ms"] = "\(Self.milliseconds(transfer.wire))"
        metadata["kv_exposed_ms"] = "\(Self.milliseconds(transfer.exposed))"
        metadata["kv_wait_ms"] = "\(Self.milliseconds(transfer.wait))"
    }

    private static func milliseconds(_ duration: Duration) -> Double { (duration.inMilliseconds * 10).rounded() / 10 }
}
