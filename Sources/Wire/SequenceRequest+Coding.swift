internal import Inference

extension MessageEncoder {
    mutating func put(_ commands: [WorkerCommand]) {
        put(count: commands.count)
        for command in commands {
            switch command {
            case .start(let request):
                put(UInt8(1))
                put(request)
            case .cancel(let id):
                put(UInt8(2))
                put(id.value)
            }
        }
    }

    private mutating func put(_ request: SequenceRequest) {
        put(request.id.value)
        put(request.prompt)
        put(request.sampling)
        put(request.priority)
        put(request.deadline) { $0.put($1) }
        put(text: request.cacheSalt, "request.salt")
        put(request.sibling) { $0.put($1.value) }
        put(request.emitted)
        switch request.handoff {
        case .none: put(UInt8(0))
        case .send(let transfer):
            put(UInt8(1))
            put(transfer)
        case .receive(let transfer, let source):
            put(UInt8(2))
            put(transfer)
            put(source)
        }
        put(text: request.profile.name, "request.profile")
        put(request.profile.isExact)
    }

    private mutating func put(_ transfer: TransferID) {
        put(transfer.high)
        put(transfer.low)
    }

    /// Dictionary and set in ascending order, so that equal parameters are equal bytes.
    private mutating func put(_ sampling: SamplingParameters) {
        put(sampling.temperature)
        put(sampling.topK)
        put(sampling.topP)
        put(sampling.minP)
        put(sampling.presencePenalty)
        put(sampling.frequencyPenalty)
        put(sampling.repetitionPenalty)
        put(count: sampling.logitBias.count)
        for (token, bias) in sampling.logitBias.sorted(by: { $0.key < $1.key }) {
            put(token)
            put(bias)
        }
        put(sampling.seed)
        put(sampling.stopTokens.sorted())
        put(sampling.minTokens)
        put(sampling.maxTokens)
        put(sampling.topLogprobs) { $0.put($1) }
    }
}

extension MessageDecoder {
    /// The shortest is a cancellation.
    mutating func commands() throws(MessageError) -> [WorkerCommand] {
        try list("commands", each: 9) { (decoder) throws(MessageError) in
            switch try decoder.unsigned("command", UInt8.self) {
            case 1: .start(try decoder.request())
            case 2: .cancel(SequenceID(try decoder.unsigned("command.sequence")))
            case let other: throw .malformed("a command of kind \(other), 1 or 2 was expected")
            }
        }
    }

    private mutating func request() throws(MessageError) -> SequenceRequest {
        SequenceRequest(
            id: SequenceID(try unsigned("request.sequence")), prompt: try tokens("request.prompt"), sampling: try sampling(),
            priority: try signed("request.priority"),
            deadline: try optional("request.deadline") { (decoder) throws(MessageError) in try decoder.deadline("request.deadline") },
            cacheSalt: try text("request.salt"),
            sibling: try optional("request.sibling") { (decoder) throws(MessageError) in SequenceID(try decoder.unsigned("request.sibling")) },
            emitted: try tokens("request.emitted"), handoff: try handoff(), profile: try profile())
    }

    private mutating func profile() throws(MessageError) -> TransferProfile {
        let name = try text("request.profile")
        guard (1...TransferProfile.longestName).contains(name.utf8.count) else {
            throw .malformed("request.profile: a name of \(name.utf8.count) bytes, 1 to \(TransferProfile.longestName) were expected")
        }
        return TransferProfile(name: name, isExact: try bool("request.profile is exact"))
    }

    private mutating func handoff() throws(MessageError) -> Handoff {
        switch try unsigned("request.handoff", UInt8.self) {
        case 0: .none
        case 1: .send(try transfer())
        case 2: .receive(try transfer(), from: try address())
        case let other: throw .malformed("request.handoff: \(other), 0, 1 or 2 was expected")
        }
    }

    private mutating func transfer() throws(MessageError) -> TransferID {
        TransferID(high: try unsigned("handoff.transfer"), low: try unsigned("handoff.transfer"))
    }

    private mutating func sampling() throws(MessageError) -> SamplingParameters {
        var sampling = SamplingParameters()
        sampling.temperature = try float("sampling.temperature")
        sampling.topK = try signed("sampling.top k")
        sampling.topP = try float("sampling.top p")
        sampling.minP = try float("sampling.min p")
        sampling.presencePenalty = try float("sampling.presence penalty")
        sampling.frequencyPenalty = try float("sampling.frequency penalty")
        sampling.repetitionPenalty = try float("sampling.repetition penalty")
        sampling.logitBias = try bias()
        sampling.seed = try unsigned("sampling.seed")
        let stops = try tokens("sampling.stop tokens")
        guard zip(stops, stops.dropFirst()).allSatisfy(<) else { throw .malformed("sampling.stop tokens: not in ascending order") }
        sampling.stopTokens = Set(stops)
        sampling.minTokens = try signed("sampling.min tokens")
        sampling.maxTokens = try signed("sampling.max tokens")
        sampling.topLogprobs = try optional("sampling.logprobs") { (decoder) throws(MessageError) in try decoder.natural("sampling.logprobs") }
        return sampling
    }

    private mutating func bias() throws(MessageError) -> [TokenID: Float] {
        let count = try count("sampling.bias", each: 8)
        var bias: [TokenID: Float] = [:]
        bias.reserveCapacity(count)
        var last: TokenID?
        for _ in 0..<count {
            let token = try token("sampling.bias")
            if let last, last >= token { throw .malformed("sampling.bias: token \(token) behind \(last), an ascending order was expected") }
            last = token
            bias[token] = try float("sampling.bias")
        }
        return bias
    }
}
