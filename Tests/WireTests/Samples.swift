import Inference
import Platform

@testable import Wire

/// One message of every kind, with every field other than its default: what the golden bytes are of.
enum Samples {
    static let now = MonotonicInstant(nanoseconds: 1_000_000_000_000)

    static let worker: [WorkerMessage] = [
        .register(registration), .report(report), .report(StepReport()), .pulse(pulse), .drained,
    ]

    static let gateway: [GatewayMessage] = [
        .welcome(epoch: 7, roles: [.prefill, .decode], peers: [address, localAddress], pulseInterval: .milliseconds(500)),
        .refuse(code: "model", reason: "the model is another one: a1b2, 99ff was expected"),
        .commands(epoch: 8, [.start(request), .cancel(SequenceID(9)), .start(sender), .start(SequenceRequest(id: SequenceID(12), prompt: [], sampling: SamplingParameters()))]),
        .roles(epoch: 9, .decode), .peers([localAddress]), .peers([]), .drain,
        .shape(LinkShapeSetting(bytesPerSecond: 125_000_000, latency: .microseconds(250), jitter: .nanoseconds(17), breakAfterBytes: 1 << 33)),
        .shape(LinkShapeSetting()), .shape(nil), .pulse(number: 41),
    ]

    static let address = WorkerAddress(worker: "prefill-0", incarnation: 0xFEDC_BA98_7654_3210, endpoint: "10.1.2.3:7101")
    static let localAddress = WorkerAddress(worker: "d", incarnation: 1, endpoint: "")

    static let registration = WorkerRegistration(
        name: "decode_1.rack-2", incarnation: 0x0102_0304_0506_0708, process: 4321, capabilities: [.prefill, .decode], wanted: .decode,
        hello: WorkerHello(
            worker: "decode_1.rack-2", modelName: "pilot-äöü-模型", modelDigest: "a1b2c3",
            shape: ModelShape(
                layers: 30, hidden: 576, intermediate: 1536, heads: 9, keyValueHeads: 3, headDimension: 64, vocabulary: 49152, context: 8192),
            sequenceLimit: 8000, pagesTotal: 1234, instructionSet: "avx512", dtype: "bf16"),
        keyValueFingerprint: 0x1122_3344_5566_7788, tokenizerDigest: "ddee", pageTokens: 64, pageBytes: 1 << 20, endpoint: "unix:/run/ferry/d.sock")

    static let load: WorkerLoad = {
        var load = WorkerLoad()
        load.running = 1
        load.waiting = 2
        load.pagesTotal = 3
        load.pagesAvailable = 4
        load.steps = 5
        load.prefillTokens = 6
        load.generatedTokens = 7
        load.preemptions = 8
        load.pendingPrefill = 9
        load.decoding = 10
        load.exports = 11
        load.imports = 12
        load.prefixQueries = 13
        load.prefixHits = 14
        load.modelTime = .nanoseconds(15)
        load.stepTime = .nanoseconds(16)
        return load
    }()

    static let report: StepReport = {
        var ending = SequenceEnding(sequence: SequenceID(5), reason: .stop(2), promptTokens: 100, cachedTokens: 64, generatedTokens: 20)
        ending.timeline.queued = .milliseconds(1)
        ending.timeline.prefill = .milliseconds(2)
        ending.timeline.decode = .milliseconds(3)
        var summary = TransferSummary()
        summary.profile = "lossless"
        summary.rawBytes = 1 << 20
        summary.sentBytes = 1 << 19
        summary.blocks = 30
        summary.wire = .milliseconds(4)
        summary.exposed = .microseconds(5)
        summary.wait = .milliseconds(6)
        summary.cachedTokens = 63
        summary.connections = 2
        ending.transfer = summary
        let reasons: [FinishReason] = [
            .stop(nil), .length, .cancelled, .deadlineExceeded, .failed("no pages"), .handedOff, .interrupted("draining"),
        ]
        let others = reasons.enumerated().map {
            SequenceEnding(sequence: SequenceID(UInt64(20 + $0.offset)), reason: $0.element, promptTokens: 1, cachedTokens: 0, generatedTokens: 2)
        }
        return StepReport(
            began: [SequenceID(3), SequenceID(4)],
            tokens: [
                TokenEvent(sequence: SequenceID(1), index: 0, token: 17),
                TokenEvent(sequence: SequenceID(2), index: 300, token: -1, logprob: -0.5),
                TokenEvent(
                    sequence: SequenceID(5), index: 19, token: 2, logprob: -1.25,
                    alternatives: [TokenLogprob(token: 2, logprob: -1.25), TokenLogprob(token: 40_000, logprob: -.infinity)]),
            ],
            endings: [ending] + others, load: load)
    }()

    static let pulse = WorkerPulse(
        number: 3, steps: 1000, sinceProgress: .milliseconds(12), hasWork: true, load: load, roles: .prefill, epoch: 6, openTransfers: 2,
        links: [
            LinkFigures(peer: "prefill-0", bytes: 1 << 40, bytesPerSecond: 1_250_000_000, state: .open),
            LinkFigures(peer: "d", bytes: 0, bytesPerSecond: 0, state: .failed),
        ])

    static let request: SequenceRequest = {
        var sampling = SamplingParameters()
        sampling.temperature = 0.7
        sampling.topK = 40
        sampling.topP = 0.9
        sampling.minP = 0.05
        sampling.presencePenalty = 0.1
        sampling.frequencyPenalty = -0.2
        sampling.repetitionPenalty = 1.1
        sampling.logitBias = [50: -100, 3: 1.5, 7: 0.25]
        sampling.seed = 0xDEAD_BEEF
        sampling.stopTokens = [2, 0, 49_151]
        sampling.minTokens = 1
        sampling.maxTokens = 128
        sampling.topLogprobs = 5
        return SequenceRequest(
            id: SequenceID(10), prompt: [1, 2, 3, 70_000], sampling: sampling, priority: -3, deadline: now.advanced(by: .seconds(30)),
            cacheSalt: "tenant é", sibling: SequenceID(8), emitted: [9, 8], handoff: .receive(TransferID(high: 1, low: 2), from: address),
            profile: TransferProfile(name: "had/mm(k12:6,v8:4,r.8)/rans", isExact: false))
    }()

    static let sender = SequenceRequest(
        id: SequenceID(11), prompt: [5], sampling: SamplingParameters(), handoff: .send(TransferID(high: 3, low: 4)))
}
