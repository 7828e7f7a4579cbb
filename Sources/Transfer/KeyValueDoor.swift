package import HTTP
package import Platform
package import Reactor
package import Server
package import Wire

/// The sending worker's door: peers fetch the KV of its offers, renew leases and release them.
///
/// `GET /x/kv/{transfer}?start={token}&from={block}` answers with a stream of blocks that begins before the prefill ends;
/// `POST /x/lease` and `POST /x/release` take names of 16 bytes each. On the worker's reactor.
package final class KeyValueDoor: RequestHandler {
    private let reactor: Reactor
    private let source: any KeyValueSource
    private let fingerprint: UInt64
    private let clock: any MonotonicClock
    private var leases: LeaseTable
    private var readings: [TransferID: Reading] = [:]
    /// Told of what the engine has to know.
    package var onNews: (([TransferNews]) -> Void)?
    package private(set) var bytesSent: UInt64 = 0

    /// One answer being sent.
    private final class Reading {
        let exchange: Exchange
        var pull: Pull
        var rawBytes = 0
        var sentBytes = 0
        /// Since when bytes wait for the link; nil while none do.
        var busySince: MonotonicInstant?
        var wire: Duration = .zero
        var firstByte: MonotonicInstant?
        var prefillEnded: MonotonicInstant?

        init(_ exchange: Exchange, _ pull: Pull) {
            self.exchange = exchange
            self.pull = pull
        }
    }

    package init(
        on reactor: Reactor, source: any KeyValueSource, fingerprint: UInt64, lease: Duration, clock: any MonotonicClock = SystemClock()
    ) {
        self.reactor = reactor
        self.source = source
        self.fingerprint = fingerprint
        self.clock = clock
        leases = LeaseTable(duration: lease)
    }

    package var openLeases: Int { leases.count }

    // MARK: The engine's side

    package func offer(_ transfer: TransferID) { leases.begin(transfer, now: clock.now) }

    /// The prefill has ended.
    package func finished(_ transfer: TransferID) { if let reading = readings[transfer] { notePrefillEnd(reading) } }

    /// The engine took the offer's pages back.
    package func withdraw(_ transfer: TransferID) {
        _ = leases.end(transfer)
        if let reading = readings.removeValue(forKey: transfer) { reading.exchange.abort(.cancel) }
    }

    /// More blocks may be ready.
    package func pump() {
        for (transfer, reading) in readings { pump(transfer, reading) }
    }

    /// To be called about once a second.
    package func tick() {
        let over = leases.expire(now: clock.now)
        guard !over.isEmpty else { return }
        for transfer in over { readings.removeValue(forKey: transfer)?.exchange.abort(.cancel) }
        onNews?(over.map { .expired($0) })
    }

    // MARK: Requests

    package func bodyLimit(for head: HTTPHead) -> Int { TransferNames.limit * TransferNames.byteCount }

    package func handle(_ exchange: Exchange) {
        let head = exchange.head
        if head.method == "GET", head.path.hasPrefix(FleetPath.transfer) { return fetch(exchange) }
        guard head.method == "POST", head.path == FleetPath.lease || head.path == FleetPath.release else {
            return refuse(exchange, 404, "GET \(FleetPath.transfer){transfer}, POST \(FleetPath.lease) or POST \(FleetPath.release) was expected")
        }
        guard let transfers = TransferNames.decode(exchange.takeBody()) else {
            return refuse(exchange, 400, "names of \(TransferNames.byteCount) bytes each were expected")
        }
        if head.path == FleetPath.lease { renew(exchange, transfers) } else { release(exchange, transfers) }
    }

    private func refuse(_ exchange: Exchange, _ status: Int, _ text: String) {
        exchange.respond(status: status, headers: ["content-type": "text/plain"], body: Array((text + "\n").utf8))
    }

    /// Answers with the names that are not known here.
    private func renew(_ exchange: Exchange, _ transfers: [TransferID]) {
        let now = clock.now
        let unknown = transfers.filter { !leases.renew($0, now: now) }
        exchange.respond(status: 200, headers: ["content-type": FleetPath.blocks], body: TransferNames.encode(unknown))
    }

    private func release(_ exchange: Exchange, _ transfers: [TransferID]) {
        let known = transfers.filter { leases.end($0) }
        for transfer in known { readings.removeValue(forKey: transfer)?.exchange.abort(.cancel) }
        exchange.respond(status: 200, headers: ["content-type": FleetPath.blocks])
        if !known.isEmpty { onNews?(known.map { .released($0) }) }
    }

    private func fetch(_ exchange: Exchange) {
        let query = QueryFields(exchange.head.query ?? "")
        guard let transfer = TransferID(exchange.head.path.dropFirst(FleetPath.transfer.count)), let start = query.number("start"),
            let from = query.number("from")
        else { return refuse(exchange, 400, "\(FleetPath.transfer){32 digits}?start={token}&from={block} was expected") }
        guard exchange.head.headers["x-ferry-fingerprint"] == String(fingerprint, radix: 16) else {
            return refuse(exchange, 409, "the fingerprint of this worker's KV is \(String(fingerprint, radix: 16))")
        }
        guard leases.renew(transfer, now: clock.now) else { return refuse(exchange, 404, "there is no offer \(transfer), or no more") }
        // Who asks again has lost the earlier answer.
        readings.removeValue(forKey: transfer)?.exchange.abort(.cancel)
        let reading = Reading(exchange, Pull(transfer: transfer, start: start, blocks: from))
        var first: [UInt8] = []
        let progress = source.next(&reading.pull, into: &first)
        guard progress != .gone else { return refuse(exchange, 404, "the offer \(transfer) has nothing from block \(from) on") }
        readings[transfer] = reading
        exchange.onDrained = { self.pump(transfer, reading) }
        exchange.onClosed = { _ in if self.readings[transfer] === reading { self.readings[transfer] = nil } }
        exchange.beginStream(status: 200, headers: ["content-type": FleetPath.blocks])
        if pass(progress, first, of: transfer, reading) { pump(transfer, reading) }
    }

    // MARK: Blocks

    private func pump(_ transfer: TransferID, _ reading: Reading) {
        guard readings[transfer] === reading else { return }
        noteIdle(reading)
        while !reading.exchange.isFull, !reading.exchange.isEnded {
            var bytes: [UInt8] = []
            let progress = source.next(&reading.pull, into: &bytes)
            guard pass(progress, bytes, of: transfer, reading) else { return }
        }
    }

    /// Hands on what the source said; false when it has no more now.
    private func pass(_ progress: PullProgress, _ bytes: [UInt8], of transfer: TransferID, _ reading: Reading) -> Bool {
        switch progress {
        case .block(let rawBytes, let isPrefilling):
            if !isPrefilling { notePrefillEnd(reading) }
            reading.rawBytes += rawBytes
            reading.sentBytes += bytes.count
            bytesSent += UInt64(bytes.count)
            let now = clock.now
            if reading.firstByte == nil { reading.firstByte = now }
            if reading.busySince == nil, reading.prefillEnded == nil { reading.busySince = now }
            reading.exchange.write(bytes)
            return true
        case .wait: return false
        case .end(let tokens, let chosen):
            finish(transfer, reading, tokens, chosen)
            return false
        case .gone:
            readings[transfer] = nil
            reading.exchange.abort(.cancel)
            return false
        }
    }

    private func finish(_ transfer: TransferID, _ reading: Reading, _ tokens: Int, _ chosen: Int32) {
        notePrefillEnd(reading)
        let ended = reading.prefillEnded ?? clock.now
        let end = TransferEnd(
            tokens: tokens, chosen: chosen, blocks: reading.pull.blocks, rawBytes: reading.rawBytes, sentBytes: reading.sentBytes,
            wire: reading.wire, hidden: reading.firstByte.map { ended.since($0) } ?? .zero)
        readings[transfer] = nil
        reading.exchange.write(end.frame(fingerprint: fingerprint))
        reading.exchange.finish()
    }

    private func notePrefillEnd(_ reading: Reading) {
        guard reading.prefillEnded == nil else { return }
        let now = clock.now
        reading.prefillEnded = now
        if let since = reading.busySince { reading.wire += now.since(since) }
        reading.busySince = nil
    }

    /// The link has taken everything that was written.
    private func noteIdle(_ reading: Reading) {
        guard let since = reading.busySince, reading.exchange.bufferedBytes == 0 else { return }
        reading.wire += clock.now.since(since)
        reading.busySince = nil
    }
}
