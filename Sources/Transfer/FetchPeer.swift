internal import HTTP
internal import Platform
internal import Reactor
internal import Server
internal import Wire

/// A peer as a fetcher knows it: one connection, made before it is needed and again when it breaks. On the worker's reactor.
final class FetchPeer {
    let address: WorkerAddress
    /// The gateway names it. Otherwise it is kept for what is still wanted from it.
    var isMember = false
    /// Attempts to reach it since the last that succeeded.
    private(set) var failures = 0
    /// KV fetched from it.
    var bytes: UInt64 = 0
    /// There is a connection again.
    var onOpen: (() -> Void)?
    /// Another attempt to reach it has failed, for this reason.
    var onFailed: ((String) -> Void)?

    private let reactor: Reactor
    private let tls: TLSContext?
    private let limits: HTTPLinkLimits
    private let retryAfter: Duration
    private let clock: any MonotonicClock
    private var link: HTTPLink?
    private var attempt: LinkAttempt?
    private var quietUntil: MonotonicInstant
    private var isClosed = false
    /// Bytes a second of the last transfers.
    private var rate: Double = 0

    /// - Parameter tls: not used for a peer on this machine: its Unix socket leads nowhere else, and has passed the folder's permissions.
    init(
        _ address: WorkerAddress, on reactor: Reactor, tls: TLSContext?, limits: HTTPLinkLimits, retryAfter: Duration, clock: any MonotonicClock
    ) {
        self.address = address
        self.reactor = reactor
        self.tls = address.isLocal ? nil : tls
        self.limits = limits
        self.retryAfter = retryAfter
        self.clock = clock
        quietUntil = clock.now
    }

    var name: String { address.worker }

    /// A link that is coming to its end takes nothing more, before it says so.
    var isOpen: Bool { link?.isOpen ?? false }

    /// The last attempt failed, and it is too early for another.
    var isResting: Bool { !isOpen && attempt == nil && clock.now < quietUntil }

    var figures: LinkFigures {
        let state: LinkFigures.State = isOpen ? .open : attempt != nil ? .connecting : failures > 0 ? .failed : .idle
        return LinkFigures(peer: name, bytes: bytes, bytesPerSecond: UInt64(rate), state: state)
    }

    /// Sees to a connection where there is none. `onOpen` or `onFailed` follows, unless it rests.
    func connect() {
        guard !isClosed, !isOpen, attempt == nil, !isResting else { return }
        guard let endpoint = try? Endpoint(address.endpoint) else { return failed("\(address.endpoint) is no address") }
        attempt = HTTPLink.open(to: endpoint, tls: tls, serverName: FleetName.expected, on: reactor, limits: limits) { result in
            self.attempt = nil
            switch result {
            case .success(let link): self.connected(link)
            case .failure(let error): self.failed("\(self.name) could not be reached: \(error)")
            }
        }
    }

    private func connected(_ link: HTTPLink) {
        guard !isClosed else { return link.close() }
        self.link = link
        failures = 0
        link.onClosed = { _ in if self.link === link { self.link = nil } }
        onOpen?()
    }

    private func failed(_ reason: String) {
        guard !isClosed else { return }
        failures += 1
        quietUntil = clock.now.advanced(by: retryAfter * (1 << min(failures - 1, 4)))
        onFailed?(reason)
    }

    /// Lets go of the connection, for good.
    func close() {
        isClosed = true
        (onOpen, onFailed) = (nil, nil)
        attempt?.cancel()
        link?.close()
    }

    // MARK: Requests

    /// Begins a stream of blocks. Nil where there is no connection, or it takes no more streams now.
    func fetch(_ transfer: TransferID, start: Int, blocks: Int, fingerprint: UInt64) -> LinkStream? {
        request(
            "GET", FleetPath.transfer + transfer.description, query: "start=\(start)&from=\(blocks)",
            headers: ["x-ferry-fingerprint": String(fingerprint, radix: 16)])
    }

    /// Asks to hold these offers longer. `unknown` hears which of them the peer does not have. A lost answer does no harm: it is asked again.
    func renew(_ transfers: [TransferID], unknown: @escaping ([TransferID]) -> Void) {
        for part in parts(of: transfers) {
            guard let stream = post(FleetPath.lease, part) else { return }
            var status = 0
            var answer: [UInt8] = []
            stream.onResponse = { status = $0.status }
            stream.onBody = { bytes in
                // As many as were asked about, at most.
                if answer.count + bytes.byteCount <= part.count * TransferNames.byteCount { answer.append(bytes) } else { status = 0 }
            }
            stream.onEnd = { _ in
                guard status == 200, let names = TransferNames.decode(answer), !names.isEmpty else { return }
                unknown(names)
            }
        }
    }

    /// The peer may free their pages. Where this is lost, their leases expire.
    func release(_ transfer: TransferID) { _ = post(FleetPath.release, [transfer]) }

    private func parts(of transfers: [TransferID]) -> [[TransferID]] {
        stride(from: 0, to: transfers.count, by: TransferNames.limit).map { Array(transfers[$0..<min($0 + TransferNames.limit, transfers.count)]) }
    }

    private func post(_ path: String, _ transfers: [TransferID]) -> LinkStream? {
        let stream = request("POST", path, endStream: false)
        stream?.write(TransferNames.encode(transfers))
        stream?.finish()
        return stream
    }

    private func request(_ method: String, _ path: String, query: String? = nil, headers: HTTPHeaders = [:], endStream: Bool = true) -> LinkStream? {
        link?.request(
            HTTPHead(method: method, scheme: tls == nil ? "http" : "https", authority: name, path: path, query: query, headers: headers),
            endStream: endStream)
    }

    // MARK: Rate

    /// A transfer came whole. Small ones say nothing about the rate.
    func note(_ summary: TransferSummary) {
        guard summary.wire > .zero, summary.sentBytes > 1 << 20 else { return }
        let latest = Double(summary.sentBytes) / summary.wire.inSeconds
        rate = rate == 0 ? latest : rate * 0.8 + latest * 0.2
    }
}
