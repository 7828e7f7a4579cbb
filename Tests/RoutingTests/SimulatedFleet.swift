import Inference
import Platform
import Routing
import Synchronization
import TestSupport
import Wire

/// Workers in a box: they compute by a hash of everything before, exchange KV at the whim of a seed, and can be killed, frozen and
/// cut off. What the dispatcher delivers is gathered per sequence.
struct SimulatedFleet {
    /// One worker's part in one sequence.
    private struct Leg {
        var request: SequenceRequest
        var generated: [TokenID]
        var began = false
    }

    private struct Worker {
        var legs: [SequenceID: Leg] = [:]
        /// Prefilled and kept for a receiver: the tokens before the chosen one, and that one.
        var leased: [TransferID: (leg: SequenceID, tokens: Int, chosen: TokenID)] = [:]
        var isFrozen = false
        var roles = WorkerRole([.prefill, .decode])
    }

    var dispatcher: Dispatcher
    private(set) var now = MonotonicInstant(nanoseconds: 1_000_000_000)
    private var workers: [String: Worker] = [:]
    private var inboxes: [String: [WorkerCommand]] = [:]
    /// Reports on their way to the gateway, in order for each worker.
    private var outboxes: [String: [StepReport]] = [:]
    private(set) var tokens: [SequenceID: [TokenID]] = [:]
    private(set) var endings: [SequenceID: [SequenceEnding]] = [:]
    private var random: SeededGenerator
    /// Transfers fail so often, of a hundred.
    var transferFailures = 0

    init(seed: UInt64, limits: Dispatcher.Limits = .init(), rules: PlacementRules = .init(), fleet: FleetLimits = FleetLimits()) {
        random = SeededGenerator(seed: seed)
        let counter = TransferCounter()
        dispatcher = Dispatcher(fleet: Fleet(limits: fleet), limits: limits, rules: rules, makeTransfer: { counter.next() })
    }

    static func registration(_ name: String, incarnation: UInt64 = 1, endpoint: String = "127.0.0.1:1") -> WorkerRegistration {
        let shape = ModelShape(
            layers: 1, hidden: 1, intermediate: 1, heads: 1, keyValueHeads: 1, headDimension: 1, vocabulary: 65536, context: 2048)
        let hello = WorkerHello(
            worker: name, modelName: "hash", modelDigest: "0", shape: shape, sequenceLimit: 2048, pagesTotal: 100, instructionSet: "none",
            dtype: "none")
        return WorkerRegistration(
            name: name, incarnation: incarnation, process: 1, capabilities: [.prefill, .decode], wanted: [.prefill, .decode], hello: hello,
            keyValueFingerprint: 1, tokenizerDigest: "t", pageTokens: 64, pageBytes: 64, endpoint: endpoint)
    }

    static func answer(to prompt: [TokenID], count: Int) -> [TokenID] {
        var all = prompt
        for _ in 0..<count { all.append(next(after: all)) }
        return Array(all[prompt.count...])
    }

    private static func next(after tokens: [TokenID]) -> TokenID { TokenID(truncatingIfNeeded: Digest(of: tokens.span).low & 0xFFFF) }

    // MARK: What a test does

    mutating func join(_ name: String, _ roles: WorkerRole, fingerprint: UInt64 = 1) throws {
        var registration = Self.registration(name)
        registration.keyValueFingerprint = fingerprint
        _ = try dispatcher.fleet.join(registration, roles: roles, now: now)
        workers[name] = Worker(roles: roles)
        dispatcher.joined(name, now: now)
        settle()
    }

    mutating func start(_ requests: [SequenceRequest]) throws {
        try dispatcher.start(requests, now: now)
        settle()
    }

    mutating func cancel(_ id: SequenceID) {
        dispatcher.cancel(id, now: now)
        settle()
    }

    /// The process is gone, and the gateway hears of it at once.
    mutating func kill(_ name: String) {
        workers[name] = nil
        inboxes[name] = nil
        outboxes[name] = nil
        dispatcher.lost(name, reason: "killed", now: now)
        settle()
    }

    /// It says and does nothing any more; the gateway finds out by the clock.
    mutating func freeze(_ name: String) { workers[name]?.isFrozen = true }

    mutating func advance(_ duration: Duration) {
        now = now.advanced(by: duration)
        for (name, worker) in workers where !worker.isFrozen { dispatcher.fleet.pulse(WorkerPulse(number: 1, steps: 0, sinceProgress: .zero, hasWork: false, load: WorkerLoad(), roles: [], epoch: 1), from: name, now: now) }
        for (name, reason) in dispatcher.fleet.tick(now: now) {
            workers[name] = nil
            inboxes[name] = nil
            outboxes[name] = nil
            dispatcher.lost(name, reason: reason, now: now)
        }
        dispatcher.tick(now: now)
        settle()
    }

    var names: [String] { workers.keys.sorted() }

    /// Nothing is left anywhere.
    var isQuiet: Bool {
        dispatcher.sequences == 0 && workers.values.allSatisfy { $0.legs.isEmpty && $0.leased.isEmpty }
            && inboxes.values.allSatisfy(\.isEmpty) && outboxes.values.allSatisfy(\.isEmpty)
    }

    /// One worker does one thing, or one report arrives: whose turn it is, the seed says.
    mutating func step() {
        let busy = names.filter { workers[$0]?.isFrozen == false && (workers[$0]?.legs.isEmpty == false || inboxes[$0]?.isEmpty == false) }
        let waiting = names.filter { outboxes[$0]?.isEmpty == false && workers[$0]?.isFrozen == false }
        let choices = busy.count + waiting.count
        guard choices > 0 else { return }
        let choice = Int.random(in: 0..<choices, using: &random)
        if choice < busy.count { compute(busy[choice]) } else { arrive(waiting[choice - busy.count]) }
        dispatcher.checkInvariants()
    }

    mutating func run(steps: Int) { for _ in 0..<steps where !isQuiet { step() } }

    // MARK: Workers

    private mutating func arrive(_ name: String) {
        guard let report = outboxes[name]?.removeFirst() else { return }
        dispatcher.reported(report, by: name, now: now)
        settle()
    }

    private mutating func settle() {
        for action in dispatcher.takeActions() {
            switch action {
            case .send(let commands, let name): inboxes[name, default: []] += commands
            case .deliver(let report):
                for event in report.tokens {
                    precondition(event.index == tokens[event.sequence, default: []].count, "token \(event.index) out of turn")
                    precondition(endings[event.sequence] == nil, "a token after the ending")
                    tokens[event.sequence, default: []].append(event.token)
                }
                for ending in report.endings { endings[ending.sequence, default: []].append(ending) }
            }
        }
    }

    private func ending(_ id: SequenceID, _ leg: Leg, _ reason: FinishReason) -> SequenceEnding {
        SequenceEnding(
            sequence: id, reason: reason, promptTokens: leg.request.prompt.count, cachedTokens: 0, generatedTokens: leg.generated.count)
    }

    private mutating func compute(_ name: String) {
        guard var worker = workers[name] else { return }
        var report = StepReport()
        for command in inboxes[name] ?? [] {
            switch command {
            case .start(let request): worker.legs[request.id] = Leg(request: request, generated: request.emitted)
            case .cancel(let id):
                if let leg = worker.legs.removeValue(forKey: id) { report.endings.append(ending(id, leg, .cancelled)) }
                worker.leased = worker.leased.filter { $0.value.leg != id }
            }
        }
        inboxes[name] = []
        for (id, var leg) in worker.legs.sorted(by: { $0.key.value < $1.key.value }) where Bool.random(using: &random) {
            if case .send = leg.request.handoff, !leg.began {
                leg.began = true
                worker.legs[id] = leg
                report.began.append(id)
                continue
            }
            if case .receive(let transfer, let from) = leg.request.handoff, !leg.began {
                guard receive(transfer, from, &leg) else { continue }
                leg.began = true
                worker.legs[id] = leg
                continue
            }
            let all = leg.request.prompt + leg.generated
            leg.generated.append(Self.next(after: all))
            report.tokens.append(TokenEvent(sequence: id, index: leg.generated.count - 1, token: leg.generated[leg.generated.count - 1]))
            worker.legs[id] = leg
            if leg.generated.count >= leg.request.sampling.maxTokens {
                worker.legs[id] = nil
                report.endings.append(ending(id, leg, .length))
            } else if case .send(let transfer) = leg.request.handoff {
                worker.legs[id] = nil
                worker.leased[transfer] = (id, all.count, leg.generated[leg.generated.count - 1])
                report.endings.append(ending(id, leg, .handedOff))
            }
        }
        workers[name] = worker
        outboxes[name, default: []].append(report)
    }

    /// - Returns: whether there is anything to go on with: the KV, or the knowledge that it will not come.
    private mutating func receive(_ transfer: TransferID, _ from: WorkerAddress, _ leg: inout Leg) -> Bool {
        if Int.random(in: 0..<100, using: &random) < transferFailures { return true }
        guard let source = workers[from.worker] else { return true }
        if let lease = source.leased[transfer] {
            precondition(lease.tokens == leg.request.prompt.count + leg.generated.count, "KV of \(lease.tokens) tokens")
            workers[from.worker]?.leased[transfer] = nil
            leg.generated.append(lease.chosen)
            return true
        }
        let isComing = source.legs.values.contains { $0.request.handoff == .send(transfer) }
        return !isComing
    }
}

/// Names 1, 2, 3, …
private final class TransferCounter: Sendable {
    private let last = Mutex<UInt64>(0)

    func next() -> TransferID {
        last.withLock {
            $0 += 1
            return TransferID(high: 0, low: $0)
        }
    }
}
