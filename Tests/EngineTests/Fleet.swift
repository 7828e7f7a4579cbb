import Engine
import Inference
import Kernels
import Platform
import Scheduling
import Synchronization
import Testing
import Transfer
import Wire

/// What a worker's gateway hears.
final class Ledger: ReportSink {
    private struct State {
        var began: Set<SequenceID> = []
        var events: [TokenEvent] = []
        var endings: [SequenceID: SequenceEnding] = [:]
        var load = WorkerLoad()
        var reports = 0
        var waiters: [(isDue: @Sendable (State) -> Bool, continuation: CheckedContinuation<Void, Never>)] = []
    }
    private let state = Mutex(State())

    func receive(_ report: StepReport) {
        let due = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            state.reports += 1
            state.began.formUnion(report.began)
            state.events += report.tokens
            for ending in report.endings {
                #expect(state.endings[ending.sequence] == nil, "\(ending.sequence) ended twice")
                state.endings[ending.sequence] = ending
            }
            state.load = report.load
            let (now, waiters) = (state, state.waiters)
            state.waiters = waiters.filter { !$0.isDue(now) }
            return waiters.filter { $0.isDue(now) }.map(\.continuation)
        }
        for continuation in due { continuation.resume() }
    }

    func workerLost(_ reason: String) {}

    private func wait(_ isDue: @escaping @Sendable (State) -> Bool) async {
        await withCheckedContinuation { continuation in
            let ready = state.withLock { state -> Bool in
                if isDue(state) { return true }
                state.waiters.append((isDue, continuation))
                return false
            }
            if ready { continuation.resume() }
        }
    }

    /// The prefill of an export begins, or the sequence ended.
    func begin(_ id: SequenceID) async { await wait { $0.began.contains(id) || $0.endings[id] != nil } }

    func ending(_ id: SequenceID) async -> SequenceEnding? {
        await wait { $0.endings[id] != nil }
        return state.withLock { $0.endings[id] }
    }

    func tokens(of id: SequenceID) -> [Int: TokenID] {
        state.withLock { Dictionary($0.events.filter { $0.sequence == id }.map { ($0.index, $0.token) }) { _, new in new } }
    }

    func hear(_ isDue: @escaping @Sendable (WorkerLoad) -> Bool) async { await wait { isDue($0.load) } }

    var load: WorkerLoad { state.withLock { $0.load } }
    var reports: Int { state.withLock { $0.reports } }
}

/// A worker with its gateway's end of the channel.
struct Member {
    let name: String
    let channel = InMemoryChannel(limit: 256)
    let ledger = Ledger()
    let station: KeyValueStation
    private let worker: Worker
    let pages: Int

    static let fingerprint: UInt64 = 0xFE44

    init(
        _ name: String, transfer: InMemoryTransfer?, pages: Int, stepTokens: Int, context: Int, vocabulary: Int, geometry: KeyValueGeometry,
        coding: KeyValueCoding? = nil, makeModel: @Sendable (KeyValueMemory) throws -> any StepModel
    ) throws {
        self.name = name
        self.pages = pages
        let memory = try KeyValueMemory(geometry: geometry, pages: pages)
        let (station, channel) = (KeyValueStation(memory: memory, coding: coding, fingerprint: Self.fingerprint, vocabulary: vocabulary), self.channel)
        self.station = station
        let port = transfer?.port(of: name, fingerprint: Self.fingerprint, source: station, sink: station, wake: { channel.wake() })
        worker = try Worker(
            thread: WorkerThread(name: name), limits: SchedulerLimits(stepTokens: stepTokens, sequenceTokens: context), pages: pages,
            fingerprint: "test", channel: channel, peers: port.map { Peers(station: station, port: $0) }, makeModel: { try makeModel(memory) })
        let shape = ModelShape(
            layers: 1, hidden: 1, intermediate: 1, heads: 1, keyValueHeads: 1, headDimension: 1, vocabulary: vocabulary, context: context)
        channel.open(
            hello: WorkerHello(
                worker: name, modelName: "m", modelDigest: "0", shape: shape, sequenceLimit: context, pagesTotal: pages, instructionSet: "none",
                dtype: "none"),
            sink: ledger)
    }

    init(_ name: String, transfer: InMemoryTransfer?, pages: Int = 40, stepTokens: Int = 100) throws {
        try self.init(
            name, transfer: transfer, pages: pages, stepTokens: stepTokens, context: pages * Page.tokens, vocabulary: 0x10000,
            geometry: PageModel.geometry
        ) { PageModel(memory: $0) }
    }

    var address: WorkerAddress { WorkerAddress(worker: name, incarnation: 1, endpoint: name) }

    func run() -> Task<Void, Never> {
        let worker = self.worker
        return Task { await worker.run() }
    }

    /// Nothing is held, here or in the station.
    func expectRest() async {
        let pages = self.pages
        await ledger.hear { $0.pagesAvailable == pages && $0.exports == 0 && $0.imports == 0 && $0.running == 0 && $0.waiting == 0 }
        #expect([station.open.exports, station.open.intakes] == [0, 0])
    }
}
