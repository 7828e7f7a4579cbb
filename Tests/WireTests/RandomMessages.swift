import Inference
import Platform
import TestSupport

@testable import Wire

/// Messages with any values that the protocol allows, the extremes among them.
struct RandomMessages {
    var random: SeededGenerator
    let now = Samples.now

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    mutating func worker() -> WorkerMessage {
        switch random.next(below: 8) {
        case 0:
            .register(
                WorkerRegistration(
                    name: name(), incarnation: word(), process: Int32(truncatingIfNeeded: word()), capabilities: roles(), wanted: roles(),
                    hello: WorkerHello(
                        worker: text(), modelName: text(), modelDigest: text(),
                        shape: ModelShape(
                            layers: natural(), hidden: natural(), intermediate: natural(), heads: natural(), keyValueHeads: natural(),
                            headDimension: natural(), vocabulary: natural(), context: natural()),
                        sequenceLimit: natural(), pagesTotal: natural(), instructionSet: text(), dtype: text()),
                    keyValueFingerprint: word(), tokenizerDigest: text(), pageTokens: natural(), pageBytes: natural(), endpoint: text()))
        case 1: .drained
        case 2, 3:
            .pulse(
                WorkerPulse(
                    number: word(), steps: word(), sinceProgress: duration(), hasWork: bool(), load: load(), roles: roles(), epoch: word(),
                    openTransfers: natural(),
                    links: list { LinkFigures(peer: $0.name(), bytes: $0.word(), bytesPerSecond: $0.word(), state: LinkFigures.State(rawValue: UInt8($0.random.next(below: 4)))!) }))
        default: .report(report())
        }
    }

    mutating func gateway() -> GatewayMessage {
        switch random.next(below: 12) {
        case 0: .welcome(epoch: word(), roles: roles(), peers: list { $0.address() }, pulseInterval: duration())
        case 1: .refuse(code: name(), reason: text())
        case 2: .roles(epoch: word(), roles())
        case 3: .peers(list { $0.address() })
        case 4: .drain
        case 5: .pulse(number: word())
        case 6:
            .shape(
                optional {
                    LinkShapeSetting(
                        bytesPerSecond: $0.optional { $0.natural() }, latency: $0.duration(), jitter: $0.duration(),
                        breakAfterBytes: $0.optional { $0.natural() })
                })
        default: .commands(epoch: word(), list { $0.bool() ? .start($0.request()) : .cancel(SequenceID($0.word())) })
        }
    }

    private mutating func report() -> StepReport {
        StepReport(
            began: list { SequenceID($0.word()) }, tokens: list { $0.event() }, endings: list { $0.ending() }, load: load())
    }

    private mutating func event() -> TokenEvent {
        TokenEvent(
            sequence: SequenceID(word()), index: Int(UInt32(truncatingIfNeeded: word())), token: token(), logprob: optional { $0.float() },
            alternatives: bool() ? [] : list { TokenLogprob(token: $0.token(), logprob: $0.float()) })
    }

    private mutating func ending() -> SequenceEnding {
        let reason: FinishReason = switch random.next(below: 7) {
        case 0: .stop(optional { $0.token() })
        case 1: .length
        case 2: .cancelled
        case 3: .deadlineExceeded
        case 4: .failed(text())
        case 5: .handedOff
        default: .interrupted(text())
        }
        var ending = SequenceEnding(
            sequence: SequenceID(word()), reason: reason, promptTokens: natural(), cachedTokens: natural(), generatedTokens: natural())
        (ending.timeline.queued, ending.timeline.prefill, ending.timeline.decode) = (duration(), duration(), duration())
        guard bool() else { return ending }
        var summary = TransferSummary()
        summary.profile = text()
        (summary.rawBytes, summary.sentBytes, summary.blocks) = (natural(), natural(), natural())
        (summary.wire, summary.exposed, summary.wait) = (duration(), duration(), duration())
        (summary.cachedTokens, summary.connections) = (natural(), natural())
        ending.transfer = summary
        return ending
    }

    private mutating func request() -> SequenceRequest {
        var sampling = SamplingParameters()
        (sampling.temperature, sampling.topP, sampling.minP) = (float(), float(), float())
        (sampling.presencePenalty, sampling.frequencyPenalty, sampling.repetitionPenalty) = (float(), float(), float())
        (sampling.topK, sampling.minTokens, sampling.maxTokens) = (Int(truncatingIfNeeded: word()), natural(), natural())
        sampling.logitBias = Dictionary(list { ($0.token(), $0.float()) }) { $1 }
        sampling.stopTokens = Set(list { $0.token() })
        sampling.seed = word()
        sampling.topLogprobs = optional { $0.natural() }
        let transfer = TransferID(high: word(), low: word())
        let handoffs: [Handoff] = [.none, .send(transfer), .receive(transfer, from: address())]
        return SequenceRequest(
            id: SequenceID(word()), prompt: list { $0.token() }, sampling: sampling, priority: Int(truncatingIfNeeded: word()),
            deadline: optional { $0.now.advanced(by: $0.duration()) }, cacheSalt: text(), sibling: optional { SequenceID($0.word()) },
            emitted: list { $0.token() }, handoff: handoffs[random.next(below: 3)],
            profile: TransferProfile(name: "none/mm(k\(natural()))/pack", isExact: bool()))
    }

    private mutating func load() -> WorkerLoad {
        var load = WorkerLoad()
        (load.running, load.waiting, load.pagesTotal, load.pagesAvailable) = (natural(), natural(), natural(), natural())
        (load.steps, load.prefillTokens, load.generatedTokens, load.preemptions) = (word(), word(), word(), word())
        (load.pendingPrefill, load.decoding, load.exports, load.imports) = (natural(), natural(), natural(), natural())
        (load.prefixQueries, load.prefixHits, load.modelTime, load.stepTime) = (word(), word(), duration(), duration())
        return load
    }

    private mutating func address() -> WorkerAddress { WorkerAddress(worker: name(), incarnation: word(), endpoint: text()) }

    private mutating func roles() -> WorkerRole { WorkerRole(rawValue: UInt8(random.next(below: 8))) }
    private mutating func bool() -> Bool { random.next(below: 2) == 0 }

    /// Any, but often one at an end of the range.
    private mutating func word() -> UInt64 {
        switch random.next(below: 4) {
        case 0: [0, 1, .max, 1 << 63, (1 << 63) - 1, 1 << 32, (1 << 32) - 1][random.next(below: 7)]
        case 1: random.next() % 1000
        default: random.next()
        }
    }

    private mutating func natural() -> Int { Int(word() >> 1) }
    private mutating func token() -> TokenID { TokenID(truncatingIfNeeded: word()) }
    private mutating func duration() -> Duration { .nanoseconds(Int64(natural())) }
    private mutating func float() -> Float { [0, -0.0, 1, -.infinity, .greatestFiniteMagnitude, Float(random.normal())][random.next(below: 6)] }

    private mutating func name() -> String {
        let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789._-")
        return String((0...random.next(below: 64)).map { _ in letters[random.next(below: letters.count)] })
    }

    private mutating func text() -> String {
        let scalars: [Unicode.Scalar] = ["a", "Z", " ", "\0", "\n", "é", "\u{301}", "模", "🚢", "\u{10FFFF}"]
        return String(String.UnicodeScalarView((0..<random.next(below: 20)).map { _ in scalars[random.next(below: scalars.count)] }))
    }

    private mutating func list<T>(_ element: (inout RandomMessages) -> T) -> [T] { (0..<random.next(below: 5)).map { _ in element(&self) } }
    private mutating func optional<T>(_ value: (inout RandomMessages) -> T) -> T? { bool() ? value(&self) : nil }
}
