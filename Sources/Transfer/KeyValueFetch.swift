internal import HTTP
internal import Platform
internal import Server
internal import Wire

/// One transfer as its fetcher knows it: announced, then fetched over one stream after another. On the worker's reactor.
final class KeyValueFetch {
    let id: TransferID
    let peer: FetchPeer
    /// In the order of announcement.
    let number: UInt64
    /// The engine has reserved pages. Before, it is only announced.
    private(set) var isFetching = false
    var stream: LinkStream?
    /// Everything came, and is being decoded.
    var isSettling = false
    /// Streams so far.
    var connections = 0
    /// Of the announcement, then of the order to fetch.
    private(set) var began: MonotonicInstant
    /// Of the last block, or of the beginning or end of a stream.
    var lastProgress: MonotonicInstant
    /// Whole blocks that are here.
    var blocks = 0
    var firstByte: MonotonicInstant?
    var received = 0
    var corruptions = 0

    init(_ id: TransferID, from peer: FetchPeer, number: UInt64, now: MonotonicInstant) {
        self.id = id
        self.peer = peer
        self.number = number
        began = now
        lastProgress = now
    }

    func beginFetching(now: MonotonicInstant) {
        isFetching = true
        began = now
        lastProgress = now
    }

    /// The stream is of no more use.
    func dropStream() {
        let old = stream
        stream = nil
        old?.reset(.cancel)
    }

    /// What it took, now that all is here.
    func summary(_ end: TransferEnd, profile: String, now: MonotonicInstant) -> TransferSummary {
        var summary = TransferSummary()
        summary.profile = profile
        summary.rawBytes = end.rawBytes
        summary.sentBytes = received
        summary.blocks = end.blocks
        summary.exposed = max(.zero, now.since(firstByte ?? now) - end.hidden)
        summary.wire = end.wire + summary.exposed
        summary.wait = now.since(began)
        summary.connections = connections
        return summary
    }
}
