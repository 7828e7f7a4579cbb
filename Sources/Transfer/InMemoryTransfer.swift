internal import Inference
internal import Platform
internal import Synchronization
package import Wire

/// Moves KV between workers of one process, for tests: a stand-in for the network that can be slow, break, damage and be silent.
///
/// Its work is done on a thread of its own. Its time stands still until it is told to go on; leases and patience are measured by it.
package final class InMemoryTransfer: Sendable {
    /// What goes wrong with a transfer, once.
    package enum Fault: Sendable, Equatable {
        /// The connection breaks before this byte of it.
        case cut(Int)
        /// This byte of the connection is another than was sent.
        case damage(Int)
        /// Nothing moves until `release`.
        case hold
    }

    private let lease: Duration
    private let patience: Duration
    /// The longest piece in which bytes are handed to a sink.
    private let piece: Int
    private let state: Mutex<State>
    /// Held by the one who moves blocks.
    private let turn = Mutex(())

    private struct State {
        var now = Duration.zero
        var ports: [String: Joined] = [:]
        /// When the lease of an offer ends.
        var offers: [Offer: Duration] = [:]
        var intakes: [Intake: Fetch] = [:]
        var faults: [TransferID: [Fault]] = [:]
        var isScheduled = false
    }

    /// A port lives as long as its worker.
    private struct Joined {
        weak var port: InMemoryTransferPort?
    }

    private struct Offer: Hashable {
        var worker: String
        var transfer: TransferID
    }

    private struct Intake: Hashable {
        var worker: String
        var transfer: TransferID
    }

    private struct Fetch {
        var source: String
        /// Pages are there.
        var isWanted = false
        var since = Duration.zero
        var pull: Pull?
        /// Bytes of this connection so far.
        var position = 0
        var isRetried = false
        /// Everything was handed over, this token last, and is being decoded.
        var settling: TokenID?
        var summary = TransferSummary()
    }

    /// - Parameters:
    ///   - lease: how long an offer is kept for which nobody asks.
    ///   - patience: how long a fetch may take.
    ///   - piece: streams are cut into pieces of at most so many bytes.
    package init(lease: Duration = .seconds(30), patience: Duration = .seconds(30), piece: Int = 1000) {
        precondition(piece > 0, "pieces of \(piece) bytes")
        self.lease = lease
        self.patience = patience
        self.piece = piece
        state = Mutex(State())
    }

    /// Joins a worker, whose address needs nothing but this name.
    ///
    /// - Parameters:
    ///   - fingerprint: for the frame that ends a stream; the same as its blocks'.
    ///   - wake: called with every news.
    package func port(
        of worker: String, fingerprint: UInt64, source: any KeyValueSource, sink: any KeyValueSink, wake: @escaping @Sendable () -> Void
    ) -> InMemoryTransferPort {
        let port = InMemoryTransferPort(worker: worker, fingerprint: fingerprint, transfer: self, source: source, sink: sink, wake: wake)
        state.withLock { $0.ports[worker] = Joined(port: port) }
        return port
    }

    // MARK: What tests do

    /// To befall this transfer, in order.
    package func plan(_ faults: [Fault], for transfer: TransferID) { state.withLock { $0.faults[transfer] = faults } }

    /// Ends a `hold`.
    package func release(_ transfer: TransferID) {
        state.withLock {
            if $0.faults[transfer]?.first == .hold { $0.faults[transfer]?.removeFirst() }
        }
        schedule()
    }

    /// Lets time pass: unasked offers expire, long fetches fail.
    package func advance(by time: Duration) {
        let (expired, late) = state.withLock { state -> ([Offer], [Intake]) in
            state.now += time
            for fetch in state.intakes where state.faults[fetch.key.transfer]?.first != .hold {
                let offer = Offer(worker: fetch.value.source, transfer: fetch.key.transfer)
                if state.offers[offer] != nil { state.offers[offer] = state.now + lease }
            }
            return (
                state.offers.filter { $0.value <= state.now }.map(\.key),
                state.intakes.filter { $0.value.isWanted && $0.value.since + patience <= state.now }.map(\.key)
            )
        }
        for offer in expired where forget(offer) { tell(offer.worker, .expired(offer.transfer)) }
        for intake in late { fail(intake, "nothing came in \(patience)") }
        for port in state.withLock({ $0.ports.values.compactMap(\.port) }) { port.wake() }
    }

    /// Offers and fetches that are open.
    package var open: (offers: Int, fetches: Int) { state.withLock { ($0.offers.count, $0.intakes.count) } }

    // MARK: What ports do

    fileprivate func perform(_ order: TransferOrder, of worker: String) {
        switch order {
        case .offer(let transfer): state.withLock { $0.offers[Offer(worker: worker, transfer: transfer)] = $0.now + lease }
        case .withdraw(let transfer): _ = forget(Offer(worker: worker, transfer: transfer))
        case .announce(let transfer, let source):
            state.withLock { $0.intakes[Intake(worker: worker, transfer: transfer)] = Fetch(source: source.worker) }
        case .fetch(let transfer, let source):
            state.withLock {
                $0.intakes[Intake(worker: worker, transfer: transfer), default: Fetch(source: source.worker)].isWanted = true
                $0.intakes[Intake(worker: worker, transfer: transfer)]?.since = $0.now
            }
        case .finished: break
        case .abandon(let transfer): drop(Intake(worker: worker, transfer: transfer))
        }
    }

    fileprivate func schedule() {
        let isFirst = state.withLock { state in
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
        if isFirst { SystemThread.start(name: "transfer") { self.move() } }
    }

    // MARK: Moving

    /// Moves whatever can be moved now.
    private func move() {
        turn.withLock { _ in
            let intakes = state.withLock { state in
                state.isScheduled = false
                return state.intakes.filter { $0.value.isWanted }.map(\.key)
            }
            for intake in intakes { while step(intake) {} }
        }
    }

    /// Moves one block; false when there is none for now.
    private func step(_ intake: Intake) -> Bool {
        let found = state.withLock { state -> (Fetch, InMemoryTransferPort, InMemoryTransferPort, Fault?)? in
            guard let fetch = state.intakes[intake], let sink = state.ports[intake.worker]?.port, let source = state.ports[fetch.source]?.port
            else { return nil }
            return (fetch, source, sink, state.faults[intake.transfer]?.first)
        }
        guard let (found, source, sink, fault) = found, fault != .hold else { return false }
        var fetch = found
        if let token = fetch.settling {
            return take(sink.sink.receive(RawSpan(), of: intake.transfer), fetch, intake, token: token)
        }
        if fetch.pull == nil {
            guard let (start, blocks) = sink.sink.resumption(of: intake.transfer) else { return false }
            fetch.pull = Pull(transfer: intake.transfer, start: start, blocks: blocks)
            fetch.position = 0
            fetch.summary.connections += 1
        }
        guard var pull = fetch.pull else { return false }
        var bytes: [UInt8] = []
        let progress = source.source.next(&pull, into: &bytes)
        fetch.pull = pull
        switch progress {
        case .block(let rawBytes, _):
            fetch.summary.rawBytes += rawBytes
            fetch.summary.blocks = pull.blocks
        case .wait:
            keep(fetch, intake)
            return false
        case .end(let tokens, let chosen):
            bytes = TransferEnd(
                tokens: tokens, chosen: chosen, blocks: pull.blocks, rawBytes: fetch.summary.rawBytes, sentBytes: fetch.summary.sentBytes,
                wire: .zero, hidden: .zero
            ).frame(fingerprint: source.fingerprint)
        case .gone:
            fail(intake, "\(fetch.source) has it no more")
            return false
        }
        let isCut = harm(&bytes, &fetch, fault, intake)
        fetch.summary.sentBytes += bytes.count
        let answer = hand(bytes, of: intake, to: sink)
        if isCut { fetch.pull = nil }
        if case .end(_, let chosen) = progress { return take(answer, fetch, intake, token: chosen) }
        return take(answer, fetch, intake, token: nil)
    }

    /// - Parameter token: what the end frame says, if that was handed over.
    private func take(_ answer: IntakeProgress, _ found: Fetch, _ intake: Intake, token: TokenID?) -> Bool {
        var fetch = found
        switch answer {
        case .more: break
        case .settling:
            fetch.settling = token
            keep(fetch, intake)
            return false
        case .complete(let end, let profile):
            fetch.summary.profile = profile
            keep(fetch, intake)
            guard drop(intake) else { return false }
            tell(intake.worker, .arrived(intake.transfer, token: end.chosen, fetch.summary))
            return false
        case .corrupt(let reason):
            guard !fetch.isRetried else {
                fail(intake, reason)
                return false
            }
            fetch.isRetried = true
            (fetch.pull, fetch.settling) = (nil, nil)
        case .gone:
            drop(intake)
            return false
        }
        return keep(fetch, intake)
    }

    private func hand(_ bytes: [UInt8], of intake: Intake, to port: InMemoryTransferPort) -> IntakeProgress {
        var offset = 0
        var answer = IntakeProgress.more(blocks: 0)
        while offset < bytes.count, case .more = answer {
            let end = min(bytes.count, offset + 1 + (offset &* 31 &+ bytes.count) % piece)
            answer = port.sink.receive(bytes.rawSpan.extracting(offset..<end), of: intake.transfer)
            offset = end
        }
        return answer
    }

    /// Does to the next bytes of a connection what was planned; true when it breaks behind them.
    private func harm(_ bytes: inout [UInt8], _ fetch: inout Fetch, _ fault: Fault?, _ intake: Intake) -> Bool {
        let start = fetch.position
        fetch.position += bytes.count
        guard let fault else { return false }
        switch fault {
        case .cut(let byte):
            guard byte < fetch.position else { return false }
            bytes.removeSubrange(max(0, byte - start)...)
        case .damage(let byte):
            guard byte < fetch.position, byte >= start else { return false }
            bytes[byte - start] ^= 0x40
        case .hold: return false
        }
        state.withLock { _ = $0.faults[intake.transfer]?.removeFirst() }
        if case .cut = fault { return true }
        return false
    }

    // MARK: Books

    @discardableResult private func keep(_ fetch: Fetch, _ intake: Intake) -> Bool {
        state.withLock { state in
            guard state.intakes[intake] != nil else { return false }
            state.intakes[intake] = fetch
            return true
        }
    }

    private func forget(_ offer: Offer) -> Bool { state.withLock { $0.offers.removeValue(forKey: offer) } != nil }

    /// Ends a fetch, and frees the source's pages.
    @discardableResult private func drop(_ intake: Intake) -> Bool {
        guard let fetch = state.withLock({ $0.intakes.removeValue(forKey: intake) }) else { return false }
        let offer = Offer(worker: fetch.source, transfer: intake.transfer)
        if forget(offer) { tell(offer.worker, .released(offer.transfer)) }
        return true
    }

    private func fail(_ intake: Intake, _ reason: String) {
        if drop(intake) { tell(intake.worker, .failed(intake.transfer, reason)) }
    }

    private func tell(_ worker: String, _ news: TransferNews) { state.withLock { $0.ports[worker]?.port }?.tell(news) }
}

/// One worker's port to an `InMemoryTransfer`.
package final class InMemoryTransferPort: TransferPort {
    private let worker: String
    private let transfer: InMemoryTransfer
    fileprivate let fingerprint: UInt64
    fileprivate let source: any KeyValueSource
    fileprivate let sink: any KeyValueSink
    fileprivate let wake: @Sendable () -> Void
    private let news = Mutex<[TransferNews]>([])

    fileprivate init(
        worker: String, fingerprint: UInt64, transfer: InMemoryTransfer, source: any KeyValueSource, sink: any KeyValueSink,
        wake: @escaping @Sendable () -> Void
    ) {
        self.worker = worker
        self.fingerprint = fingerprint
        self.transfer = transfer
        self.source = source
        self.sink = sink
        self.wake = wake
    }

    package func perform(_ orders: [TransferOrder]) {
        for order in orders { transfer.perform(order, of: worker) }
        transfer.schedule()
    }

    package func layerIsDone() { transfer.schedule() }

    package func takeNews() -> [TransferNews] {
        news.withLock { news in
            defer { news = [] }
            return news
        }
    }

    fileprivate func tell(_ event: TransferNews) {
        news.withLock { $0.append(event) }
        wake()
    }
}
