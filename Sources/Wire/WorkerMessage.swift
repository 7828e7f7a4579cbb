package import Inference
package import Platform

/// What the gateway tells a worker. Values only: the same messages travel in memory and over a socket.
package enum WorkerCommand: Sendable, Equatable {
    /// Generate. The worker answers with exactly one ending per sequence, whatever happens.
    case start(SequenceRequest)
    /// Stop if still running: no more tokens after the next report, and an ending (`cancelled`). Unknown ids are ignored.
    case cancel(SequenceID)
}

/// One sequence to generate.
package struct SequenceRequest: Sendable, Equatable {
    package var id: SequenceID
    package var prompt: [TokenID]
    package var sampling: SamplingParameters
    /// Lower is served first; equal priorities in order of arrival.
    package var priority: Int
    /// The moment after which the answer is worthless, if the client gave one.
    package var deadline: MonotonicInstant?
    /// Tenant salt: prefixes are shared only among equal salts.
    package var cacheSalt: String
    /// The sequence whose prompt this one repeats (the first of `n` choices): it waits for that prefill, then shares its pages.
    package var sibling: SequenceID?
    /// Generated tokens that the client has already, from an earlier attempt. They count as generated: for `maxTokens`, penalties and
    /// the positions of random draws, so that what follows is what would have followed. The worker does not report them again.
    package var emitted: [TokenID]
    package var handoff: Handoff
    /// For the hand-off.
    package var profile: TransferProfile

    package init(
        id: SequenceID, prompt: [TokenID], sampling: SamplingParameters, priority: Int = 0, deadline: MonotonicInstant? = nil,
        cacheSalt: String = "", sibling: SequenceID? = nil, emitted: [TokenID] = [], handoff: Handoff = .none, profile: TransferProfile = .raw
    ) {
        self.id = id
        self.prompt = prompt
        self.sampling = sampling
        self.priority = priority
        self.deadline = deadline
        self.cacheSalt = cacheSalt
        self.sibling = sibling
        self.emitted = emitted
        self.handoff = handoff
        self.profile = profile
    }

    /// Under which prefixes of this sequence are shared on the worker that gets it: what arrives changed is not what others would compute.
    package var prefixSalt: String {
        guard case .receive = handoff, !profile.isExact else { return cacheSalt }
        return "\(cacheSalt)\u{0}\(profile.name)"
    }
}

/// What a worker tells the gateway after a step: one message for all its sequences, never one per token.
package struct StepReport: Sendable, Equatable {
    /// Sequences to be handed off whose prefill begins with the step that follows: time to choose who decodes them. Reported before
    /// that step is computed.
    package var began: [SequenceID]
    package var tokens: [TokenEvent]
    package var endings: [SequenceEnding]
    package var load: WorkerLoad

    package init(
        began: [SequenceID] = [], tokens: [TokenEvent] = [], endings: [SequenceEnding] = [], load: WorkerLoad = WorkerLoad()
    ) {
        self.began = began
        self.tokens = tokens
        self.endings = endings
        self.load = load
    }
}

/// One generated token.
package struct TokenEvent: Sendable, Equatable {
    package var sequence: SequenceID
    /// Its place among the generated tokens of the sequence, from 0: whoever hears a token twice knows it.
    package var index: Int
    package var token: TokenID
    /// Natural logarithm of the probability before temperature and filters; nil unless asked for.
    package var logprob: Float?
    /// The likeliest tokens at this position, best first; empty unless asked for.
    package var alternatives: [TokenLogprob]

    package init(sequence: SequenceID, index: Int, token: TokenID, logprob: Float? = nil, alternatives: [TokenLogprob] = []) {
        self.sequence = sequence
        self.index = index
        self.token = token
        self.logprob = logprob
        self.alternatives = alternatives
    }
}

/// The end of a sequence, with what it cost.
package struct SequenceEnding: Sendable, Equatable {
    package var sequence: SequenceID
    package var reason: FinishReason
    package var promptTokens: Int
    /// Prompt tokens whose KV was found in the prefix cache.
    package var cachedTokens: Int
    package var generatedTokens: Int
    package var timeline: SequenceTimeline
    /// How its KV came here; nil where it was computed here.
    package var transfer: TransferSummary?
    /// Who did it. The gateway's own note: it does not travel.
    package var service: ServiceRecord?

    package init(
        sequence: SequenceID, reason: FinishReason, promptTokens: Int, cachedTokens: Int, generatedTokens: Int,
        timeline: SequenceTimeline = SequenceTimeline(), transfer: TransferSummary? = nil
    ) {
        self.sequence = sequence
        self.reason = reason
        self.promptTokens = promptTokens
        self.cachedTokens = cachedTokens
        self.generatedTokens = generatedTokens
        self.timeline = timeline
        self.transfer = transfer
    }
}

/// Which workers served a sequence, and how often it had to be begun.
package struct ServiceRecord: Sendable, Equatable {
    package var prefillWorker = ""
    package var decodeWorker = ""
    package var attempts = 1

    package init() {}
}

/// Where a sequence's time went inside the worker.
package struct SequenceTimeline: Sendable, Equatable {
    package var queued: Duration = .zero
    package var prefill: Duration = .zero
    package var decode: Duration = .zero

    package init() {}
}

/// A worker's load after a step, for admission, health and metrics.
package struct WorkerLoad: Sendable, Equatable {
    package var running = 0
    package var waiting = 0
    package var pagesTotal = 0
    /// Pages that a new sequence could take now: free or evictable.
    package var pagesAvailable = 0
    package var steps: UInt64 = 0
    package var prefillTokens: UInt64 = 0
    package var generatedTokens: UInt64 = 0
    package var preemptions: UInt64 = 0
    /// Prompt tokens that wait or are being computed.
    package var pendingPrefill = 0
    /// Sequences past their prefill, one token a step each.
    package var decoding = 0
    /// Finished prefills whose pages are held for the worker that will decode them, and prefills that will be.
    package var exports = 0
    /// Sequences whose KV is awaited or arriving.
    package var imports = 0
    package var prefixQueries: UInt64 = 0
    package var prefixHits: UInt64 = 0
    /// Cumulative seconds inside the model's forward pass and in whole steps.
    package var modelTime: Duration = .zero
    package var stepTime: Duration = .zero

    package init() {}
}

/// What a worker says of itself when a channel opens.
package struct WorkerHello: Sendable, Equatable {
    package var worker: String
    package var modelName: String
    package var modelDigest: String
    package var shape: ModelShape
    /// The most tokens one sequence may ever have here: the model's context or all pages, whichever is less.
    package var sequenceLimit: Int
    package var pagesTotal: Int
    package var instructionSet: String
    package var dtype: String

    package init(
        worker: String, modelName: String, modelDigest: String, shape: ModelShape, sequenceLimit: Int, pagesTotal: Int,
        instructionSet: String, dtype: String
    ) {
        self.worker = worker
        self.modelName = modelName
        self.modelDigest = modelDigest
        self.shape = shape
        self.sequenceLimit = sequenceLimit
        self.pagesTotal = pagesTotal
        self.instructionSet = instructionSet
        self.dtype = dtype
    }
}
