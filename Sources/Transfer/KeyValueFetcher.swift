internal import HTTP
package import Platform
package import Reactor
package import Server
package import Wire

/// The receiving worker's hands: fetches KV from peers into reserved pages, resumes what breaks, keeps leases alive, lets go of what is not
/// wanted. On the worker's reactor.
package final class KeyValueFetcher {
    private let reactor: Reactor
    private let sink: any KeyValueSink
    private let fingerprint: UInt64
    private let tls: TLSContext?
    private let limits: FetchLimits
    private let linkLimits: HTTPLinkLimits
    private let clock: any MonotonicClock
    private var peers: [WorkerAddress: FetchPeer] = [:]
    private var transfers: [TransferID: KeyValueFetch] = [:]
    private var announcements: UInt64 = 0
    private var lastRenewal: MonotonicInstant
    /// Told of what the engine has to know.
    package var onNews: (([TransferNews]) -> Void)?

    package init(
        on reactor: Reactor, sink: any KeyValueSink, fingerprint: UInt64, tls: TLSContext?, limits: FetchLimits = FetchLimits(),
        linkLimits: HTTPLinkLimits, clock: any MonotonicClock = SystemClock()
    ) {
        self.reactor = reactor
        self.sink = sink
        self.fingerprint = fingerprint
        self.tls = tls
        self.limits = limits
        self.linkLimits = linkLimits
        self.clock = clock
        lastRenewal = clock.now
    }

    package var openTransfers: Int { transfers.count }

    package var figures: [LinkFigures] { peers.values.sorted { $0.name < $1.name }.map(\.figures) }

    // MARK: Peers

    /// These are all there are: connects to new ones before they are needed, lets go of those that are gone. One from which something is
    /// still wanted stays until that has come or failed: it may outlive its membership.
    package func setPeers(_ addresses: [WorkerAddress]) {
        let wanted = Set(addresses)
        for (address, peer) in peers { peer.isMember = wanted.contains(address) }
        for address in addresses {
            let peer = peer(address)
            peer.isMember = true
            peer.connect()
        }
        forgetPeers()
    }

    private func peer(_ address: WorkerAddress) -> FetchPeer {
        if let peer = peers[address] { return peer }
        let peer = FetchPeer(address, on: reactor, tls: tls, limits: linkLimits, retryAfter: limits.retryAfter, clock: clock)
        peer.onOpen = { [unowned peer] in self.opened(peer) }
        peer.onFailed = { [unowned peer] in self.failed(peer, $0) }
        peers[address] = peer
        return peer
    }

    private func forgetPeers() {
        let wanted = Set(transfers.values.map { ObjectIdentifier($0.peer) })
        for (address, peer) in peers where !peer.isMember && !wanted.contains(ObjectIdentifier(peer)) {
            peers[address] = nil
            peer.close()
        }
    }

    /// In the order of their announcement.
    private func transfers(from peer: FetchPeer) -> [KeyValueFetch] {
        transfers.values.filter { $0.peer === peer }.sorted { $0.number < $1.number }
    }

    private func opened(_ peer: FetchPeer) {
        // Offers may have waited for a long time.
        renew(peer)
        for transfer in transfers(from: peer) where transfer.stream == nil { open(transfer) }
    }

    private func failed(_ peer: FetchPeer, _ reason: String) {
        guard peer.failures >= limits.connections else { return }
        for transfer in transfers(from: peer) { fail(transfer, reason) }
    }

    // MARK: The engine's orders

    /// The engine will want it: its lease is kept alive from now on.
    package func announce(_ id: TransferID, from address: WorkerAddress) {
        guard transfers[id] == nil else { return }
        announcements += 1
        let transfer = KeyValueFetch(id, from: peer(address), number: announcements, now: clock.now)
        transfers[id] = transfer
        if transfer.peer.isOpen { renew(transfer.peer, [transfer]) } else { transfer.peer.connect() }
    }

    package func fetch(_ id: TransferID, from address: WorkerAddress) {
        announce(id, from: address)
        guard let transfer = transfers[id], !transfer.isFetching else { return }
        transfer.beginFetching(now: clock.now)
        guard !transfer.peer.isResting || transfer.peer.failures < limits.connections else {
            return fail(transfer, "\(transfer.peer.name) could not be reached")
        }
        open(transfer)
    }

    /// The engine wants it no more; the source may free its pages.
    package func abandon(_ id: TransferID) {
        guard let transfer = transfers[id] else { return }
        settle(transfer)
    }

    // MARK: Streams

    /// Opens a stream for what has none; where that cannot be now, it is tried again with the connection or the next tick.
    private func open(_ transfer: KeyValueFetch) {
        guard transfer.isFetching, isWanted(transfer) else { return }
        guard transfer.peer.isOpen else { return transfer.peer.connect() }
        guard let (start, blocks) = sink.resumption(of: transfer.id) else { return settle(transfer) }
        guard let stream = transfer.peer.fetch(transfer.id, start: start, blocks: blocks, fingerprint: fingerprint) else { return }
        transfer.stream = stream
        transfer.connections += 1
        transfer.blocks = blocks
        transfer.lastProgress = clock.now
        var status = 0
        stream.onResponse = { status = $0.status }
        stream.onBody = { [unowned stream] bytes in if status == 200, transfer.stream === stream { self.receive(bytes, for: transfer) } }
        stream.onClosed = { [unowned stream] _ in
            guard transfer.stream === stream else { return }
            transfer.stream = nil
            switch status {
            case 200, 0: self.broken(transfer, "the stream from \(transfer.peer.name) broke after \(transfer.blocks) blocks")
            default: self.fail(transfer, "\(transfer.peer.name) answered \(status)")
            }
        }
    }

    private func receive(_ bytes: RawSpan, for transfer: KeyValueFetch) {
        let now = clock.now
        if transfer.firstByte == nil { transfer.firstByte = now }
        transfer.received += bytes.byteCount
        transfer.peer.bytes += UInt64(bytes.byteCount)
        take(sink.receive(bytes, of: transfer.id), for: transfer, now)
    }

    /// Blocks were decoded: what waits for that may be complete.
    package func pump() {
        for transfer in transfers.values where transfer.isSettling { poll(transfer) }
    }

    private func poll(_ transfer: KeyValueFetch) { take(sink.receive(RawSpan(), of: transfer.id), for: transfer, clock.now) }

    private func take(_ progress: IntakeProgress, for transfer: KeyValueFetch, _ now: MonotonicInstant) {
        switch progress {
        case .more(let blocks):
            if blocks != transfer.blocks { transfer.lastProgress = now }
            transfer.blocks = blocks
        case .settling:
            transfer.isSettling = true
            // The rest of the stream is its end.
            transfer.stream = nil
        case .complete(let end, let profile):
            let summary = transfer.summary(end, profile: profile, now: now)
            transfer.peer.note(summary)
            transfer.stream = nil
            settle(transfer)
            onNews?([.arrived(transfer.id, token: end.chosen, summary)])
        case .corrupt(let reason):
            transfer.corruptions += 1
            transfer.isSettling = false
            transfer.dropStream()
            transfer.corruptions > 1 ? fail(transfer, reason) : broken(transfer, reason)
        case .gone: settle(transfer)
        }
    }

    /// The stream is over before its time: goes on from the last whole block, so many times.
    private func broken(_ transfer: KeyValueFetch, _ reason: String) {
        guard isWanted(transfer) else { return }
        guard transfer.connections < limits.connections else { return fail(transfer, reason) }
        transfer.lastProgress = clock.now
        open(transfer)
    }

    private func fail(_ transfer: KeyValueFetch, _ reason: String) {
        guard isWanted(transfer) else { return }
        settle(transfer)
        onNews?([.failed(transfer.id, reason)])
    }

    /// Nothing more is to be heard of it, and the source may free its pages.
    private func settle(_ transfer: KeyValueFetch) {
        transfers[transfer.id] = nil
        transfer.dropStream()
        transfer.peer.release(transfer.id)
    }

    private func isWanted(_ transfer: KeyValueFetch) -> Bool { transfers[transfer.id] === transfer }

    // MARK: Leases

    private func renew(_ peer: FetchPeer) { renew(peer, transfers(from: peer)) }

    private func renew(_ peer: FetchPeer, _ some: [KeyValueFetch]) {
        guard !some.isEmpty else { return }
        peer.renew(some.map(\.id)) { unknown in
            // What is being fetched hears it from its stream.
            for id in unknown {
                guard let transfer = self.transfers[id], transfer.peer === peer, !transfer.isFetching else { continue }
                self.fail(transfer, "\(peer.name) does not offer it, or no more")
            }
        }
    }

    // MARK: Time

    /// To be called a few times a second.
    package func tick() {
        let now = clock.now
        forgetPeers()
        for peer in peers.values { peer.connect() }
        for transfer in transfers.values.sorted(by: { $0.number < $1.number }) { look(at: transfer, now) }
        guard now.since(lastRenewal) >= limits.renewal else { return }
        lastRenewal = now
        for peer in peers.values where peer.isOpen { renew(peer) }
    }

    private func look(at transfer: KeyValueFetch, _ now: MonotonicInstant) {
        guard transfer.isFetching else {
            if now.since(transfer.began) >= limits.announcement { fail(transfer, "it was announced and not fetched for \(limits.announcement)") }
            return
        }
        let isLate = now.since(transfer.lastProgress) >= limits.stall
        if transfer.isSettling {
            if isLate { fail(transfer, "what came from \(transfer.peer.name) was not decoded in \(limits.stall)") } else { poll(transfer) }
        } else if transfer.stream != nil {
            guard isLate else { return }
            transfer.dropStream()
            broken(transfer, "no block from \(transfer.peer.name) for \(limits.stall)")
        } else if isLate {
            fail(transfer, "\(transfer.peer.name) took no stream for \(limits.stall)")
        } else {
            open(transfer)
        }
    }

    /// Ends all connections. Nothing is told any more.
    package func close() {
        onNews = nil
        transfers = [:]
        for peer in peers.values { peer.close() }
        peers = [:]
    }
}
