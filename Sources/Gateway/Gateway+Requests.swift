package import HTTP
internal import Inference
internal import Logging
internal import Platform
package import Server
internal import Telemetry
internal import Wire

/// From a request's arrival to its start on a worker.
extension Gateway: RequestActor {
    /// Some clients send a body with every request, `{}` with a GET: so much is read where none is expected, and not looked at.
    private static let ignoredBody = 4 << 10

    /// Nothing is read for a request that will be refused for its key, path or method.
    package func bodyLimit(for head: HTTPHead) -> Int {
        do throws(APIError) {
            return try admit(head, to: Route(path: head.path)).task == nil ? Self.ignoredBody : configuration.bodyLimit
        } catch {
            return 0
        }
    }

    /// The server refuses for the size of the body or for want of room; when the request would not have been let in at all, that is
    /// said instead.
    package func refuse(_ exchange: Exchange, status: Int, reason: String) {
        let id = RequestID.accept(exchange.head.headers["x-request-id"])
        let route = Route(path: exchange.head.path)
        do throws(APIError) {
            _ = try admit(exchange.head, to: route)
            throw status == 413 ? APIError(.payloadTooLarge, reason) : APIError(.serverOverloaded, reason, retryAfter: .seconds(1))
        } catch {
            refuse(exchange, id, route?.name ?? "unknown", error)
        }
    }

    package func handle(_ exchange: Exchange) {
        let arrived = clock.now
        let id = RequestID.accept(exchange.head.headers["x-request-id"])
        let route = Route(path: exchange.head.path)
        do throws(APIError) {
            let route = try admit(exchange.head, to: route)
            switch route {
            case .health: answerHealth(exchange, id)
            case .models: answer(exchange, id, route, ModelList.all(model, limit: channel?.hello.sequenceLimit))
            case .model(let name):
                try model.check(name: name)
                answer(exchange, id, route, ModelList.one(model, name: name, limit: channel?.hello.sequenceLimit))
            case .chat, .text, .tokenize, .detokenize: try prepare(exchange, id, route, arrived: arrived)
            }
        } catch {
            refuse(exchange, id, route?.name ?? "unknown", error)
        }
    }

    /// The key first, so that strangers learn nothing; then path and method.
    func admit(_ head: HTTPHead, to route: Route?) throws(APIError) -> Route {
        if !configuration.keys.isEmpty, route?.isPublic != true {
            let presented = APIKeys.presented(authorization: head.headers["authorization"], apiKey: head.headers["x-api-key"])
            guard let presented else {
                throw APIError(.invalidAPIKey, "an API key was expected, as \"authorization: Bearer KEY\"")
            }
            guard configuration.keys.contains(presented) else { throw APIError(.invalidAPIKey, "this API key is not known here") }
        }
        guard let route else {
            throw APIError(.routeNotFound, "there is nothing at \(head.path.prefix(128)); the API is at /v1/chat/completions and /v1/completions")
        }
        guard route.methods.contains(head.method) else {
            throw APIError(
                .methodNotAllowed, "\(head.method.prefix(32)) was found, \(route.methods[0]) was expected", allowedMethods: route.methods)
        }
        return route
    }

    // MARK: Work

    private func prepare(_ exchange: Exchange, _ id: String, _ route: Route, arrived: MonotonicInstant) throws(APIError) {
        guard let task = route.task else { preconditionFailure("nothing to prepare for \(route)") }
        let isJSON = exchange.head.headers["content-type"].map(Self.isJSON) ?? true
        guard isJSON else { throw APIError(.unsupportedMediaType, "content-type: application/json was expected") }
        guard !isDraining else { throw APIError(.draining, "this server is shutting down and takes no new work", retryAfter: .seconds(5)) }
        guard let channel else { throw APIError(.modelLoading, "the model is not ready yet", retryAfter: .seconds(2)) }
        let timeout = min(configuration.requestTimeout, try RequestTimeout.read(exchange.head) ?? configuration.requestTimeout)
        let profile = try TransferProfileHeader.read(exchange.head, configuration.transferProfiles)
        let request = ActiveRequest(
            nextRequest(), id: id, route: route, exchange, arrived: arrived, deadline: arrived.advanced(by: timeout), profile: profile)
        if route.generates {
            // Four bytes a token is what English text has; the prompt's real length replaces it. A prompt that is longer than a
            // sequence can be will be refused when it has been read, and keeps nobody waiting until then.
            let estimate = min(exchange.body.count / 4, channel.hello.sequenceLimit)
            do {
                request.permit = try gate.admit(sequences: 1, tokens: estimate)
            } catch {
                throw overloaded(error)
            }
        }
        let job = PreparationJob(
            request: request.number, task: task, body: exchange.takeBody(), sequenceLimit: channel.hello.sequenceLimit)
        guard preparer.offer(job) else {
            throw APIError(
                .serverOverloaded, "\(configuration.preparationLimit) requests are waiting to be read", retryAfter: .seconds(1))
        }
        requests[request.number] = request
        let number = request.number
        exchange.onDrained = { self.clientCaughtUp(number) }
        exchange.onClosed = { self.exchangeClosed(number, $0) }
        publish()
    }

    private func overloaded(_ refusal: AdmissionControl.Refusal) -> APIError {
        APIError(.serverOverloaded, "this server has as much work as it takes: \(refusal.reason)", retryAfter: refusal.retryAfter)
    }

    func finishPreparation(_ number: UInt64, _ preparation: Preparation) {
        // The client may have gone meanwhile.
        guard let request = requests[number], !request.isOver else { return }
        let now = clock.now
        request.prepared = now.since(request.arrived)
        metrics.preparation.observe(now.since(request.arrived))
        do throws(APIError) {
            switch preparation {
            case .refused(let error): throw error
            case .answer(let body):
                request.exchange.respond(status: 200, headers: Self.jsonHeaders(request.id), body: body)
                finish(request, .init(status: 200, word: "completed"))
            case .generation(let prepared): try start(request, prepared, at: now)
            }
        } catch {
            fail(request, error)
        }
        publish()
    }

    private func start(_ request: ActiveRequest, _ prepared: PreparedGeneration, at now: MonotonicInstant) throws(APIError) {
        guard let channel else { throw APIError(.workerLost, "the worker was lost before the request began", retryAfter: .seconds(2)) }
        let options = prepared.options
        let count = prepared.prompts.count * options.choices
        if let timeout = options.timeout { request.deadline = min(request.deadline, request.arrived.advanced(by: timeout)) }
        try refuseHopeless(request, prepared, channel, at: now)
        do {
            // Choices share their prompt's prefill.
            try request.permit?.settle(sequences: count, tokens: prepared.prompts.reduce(0) { $0 + $1.tokens.count })
        } catch {
            throw overloaded(error)
        }
        if !options.ignored.isEmpty {
            logger.debug("members ignored", metadata: ["id": "\(request.id)", "members": "\(options.ignored.prefix(32).joined(separator: " ").prefix(512))"])
        }
        let ids = (0..<count).map { _ in nextSequence() }
        let commands = ids.indices.map { index in
            WorkerCommand.start(sequence(ids, index, prepared, deadline: request.deadline, profile: request.profile))
        }
        do {
            try channel.send(commands)
        } catch {
            switch error {
            case .full(let limit): throw APIError(.serverOverloaded, "\(limit) commands wait for the worker", retryAfter: .seconds(1))
            case .closed: throw APIError(.workerLost, "the worker was lost before the request began", retryAfter: .seconds(2))
            }
        }
        if sequences.isEmpty {
            lastProgress = now
            gate.workBegins(at: now)
        }
        for (index, id) in ids.enumerated() { sequences[id] = SequenceSlot(request: request, choice: index) }
        metrics.choices.observe(options.choices)
        if let limit = options.maxTokens { metrics.maxTokens.observe(limit) }
        let kind: ResponseKind = request.route == .chat ? .chat : .text
        let header = ResponseHeader(
            kind: kind, id: kind.idPrefix + RequestID.fresh(), created: WallClock.nanoseconds / 1_000_000_000,
            model: options.model ?? model.name, fingerprint: channel.hello.fingerprint)
        let stream = GenerationStream(
            request.exchange, requestID: request.id, header, prepared, model: model, sequences: ids, at: now)
        request.stream = stream
        stream.begin()
    }

    /// Work for an answer that will be late is work taken from others.
    private func refuseHopeless(
        _ request: ActiveRequest, _ prepared: PreparedGeneration, _ channel: any WorkerChannel, at now: MonotonicInstant
    ) throws(APIError) {
        let left = request.deadline.since(now)
        guard left > .zero else { throw APIError(.deadlineExceeded, "the request's time was over before its prompt was read") }
        let tokens = prepared.prompts.map(\.tokens.count).max() ?? 0
        guard let predicted = channel.predictedPrefill(tokens: tokens), predicted > left else { return }
        throw APIError(
            .deadlineExceeded,
            "the first token is expected in \(Int(predicted.inMilliseconds)) ms and the request has \(Int(left.inMilliseconds)) ms left")
    }

    private func sequence(
        _ ids: [SequenceID], _ index: Int, _ prepared: PreparedGeneration, deadline: MonotonicInstant, profile: TransferProfile
    ) -> SequenceRequest {
        let options = prepared.options
        let choice = index % options.choices
        let prompt = prepared.prompts[index / options.choices]
        var sampling = options.sampling
        // The same seeds whether a prompt comes alone or with others.
        sampling.seed &+= UInt64(choice)
        sampling.maxTokens = prompt.maxTokens
        sampling.minTokens = min(sampling.minTokens, prompt.maxTokens)
        return SequenceRequest(
            id: ids[index], prompt: prompt.tokens, sampling: sampling, priority: options.priority, deadline: deadline,
            cacheSalt: options.cacheSalt, sibling: choice == 0 ? nil : ids[index - choice], profile: profile)
    }

    static func isJSON(_ contentType: String) -> Bool {
        let type = contentType.split(separator: ";", maxSplits: 1, omittingEmptySubsequences: false)[0].lowercased()
        let bare = type.split(whereSeparator: { $0 == " " || $0 == "\t" }).joined()
        return bare == "application/json" || bare.hasPrefix("application/") && bare.hasSuffix("+json")
    }

    // MARK: Answers at once

    static func jsonHeaders(_ id: String) -> HTTPHeaders { ["content-type": "application/json", "x-request-id": id] }

    private func answer(_ exchange: Exchange, _ id: String, _ route: Route, _ body: [UInt8]) {
        exchange.respond(status: 200, headers: Self.jsonHeaders(id), body: body)
        metrics.answered(route.name, status: 200)
        logger.debug("request", metadata: ["id": "\(id)", "route": "\(route.name)", "status": "200"])
    }

    /// Ready for work or not; more, and liveness, is on the operator's listener.
    private func answerHealth(_ exchange: Exchange, _ id: String) {
        let reason: String? = isDraining ? "draining" : channel?.isServing == true ? nil : "no worker"
        var json = JSONWriter()
        json.beginObject()
        json.field("status", reason == nil ? "ok" : "unavailable")
        if let reason { json.field("reason", reason) }
        json.endObject()
        exchange.respond(status: reason == nil ? 200 : 503, headers: Self.jsonHeaders(id), body: json.bytes)
    }

    /// Answers a request that never became active.
    func refuse(_ exchange: Exchange, _ id: String, _ route: String, _ error: APIError) {
        exchange.respond(status: error.code.status, headers: Self.errorHeaders(error, id), body: error.body)
        metrics.answered(route, status: error.code.status, code: error.code.rawValue)
        logger.info(
            "request",
            metadata: ["id": "\(id)", "route": "\(route)", "status": "\(error.code.status)", "outcome": "\(error.code.rawValue)"])
    }

    static func errorHeaders(_ error: APIError, _ id: String) -> HTTPHeaders {
        var headers = jsonHeaders(id)
        for header in error.headers { headers.append(header.name, header.value) }
        return headers
    }
}
