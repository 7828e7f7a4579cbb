package import HTTP

/// One request of a link and its response. On the link's reactor.
///
/// Set the closures right after `request`: nothing comes before the turn ends. They are let go of when the stream has ended; after that
/// every call does nothing. No call here calls back.
package final class LinkStream {
    package var onResponse: ((ResponseHead) -> Void)?
    /// A piece of the body, valid for the call. The peer may send as much again once it has returned.
    package var onBody: ((RawSpan) -> Void)?
    /// The response is whole.
    package var onEnd: ((HTTPHeaders) -> Void)?
    /// The peer has taken enough of what was buffered, after `isFull` had been true.
    package var onDrained: (() -> Void)?
    /// The last call, made exactly once.
    package var onClosed: ((LinkEnd) -> Void)?

    let id: StreamID
    private var link: HTTPLink?
    private var end: LinkEnd?

    init(id: StreamID, on link: HTTPLink) {
        self.id = id
        self.link = link
    }

    package var isEnded: Bool { link == nil || end != nil }
    /// Bytes of the request that wait for the peer.
    package var bufferedBytes: Int { link?.http?.bufferedBytes(id) ?? 0 }
    /// So much waits that a producer should stop until `onDrained`.
    package var isFull: Bool { bufferedBytes > (link?.limits.http.highWater ?? 0) }

    /// Appends to the request's body. A write that finds more than `HTTPLimits.maximumBufferedOutput` waiting resets the stream.
    package func write(_ bytes: RawSpan) {
        guard let link, !isEnded else { return }
        link.http?.write(id, bytes)
        link.flushLater()
    }

    package func write(_ bytes: consuming [UInt8]) {
        guard let link, !isEnded else { return }
        link.http?.write(id, bytes)
        link.flushLater()
    }

    /// Completes the request.
    package func finish(trailers: HTTPHeaders = [:]) {
        guard let link, !isEnded else { return }
        link.http?.finish(id, trailers: trailers)
        link.flushLater()
    }

    /// Breaks the stream off; `onClosed` hears `aborted` on a later turn or at the end of this one.
    package func reset(_ code: HTTP2ErrorCode = .cancel) {
        guard let link, !isEnded else { return }
        end = .aborted
        link.http?.reset(id, code)
        link.flushLater()
    }

    // MARK: For the link

    func responded(_ head: ResponseHead) { if !isEnded { onResponse?(head) } }
    func received(_ bytes: RawSpan) { if !isEnded { onBody?(bytes) } }
    func ended(_ trailers: HTTPHeaders) { if !isEnded { onEnd?(trailers) } }
    func drained() { if !isEnded { onDrained?() } }
    func wasReset(_ code: HTTP2ErrorCode) { if end == nil { end = .reset(code) } }

    /// Nothing more is coming. `error`: the link is lost, if it is.
    func close(_ error: LinkError?) {
        guard link != nil else { return }
        link = nil
        // A link that is lost resets its streams; the loss is the reason then.
        let reason = end == .aborted ? .aborted : error.map { LinkEnd.linkLost($0) } ?? end ?? .completed
        end = reason
        let tell = onClosed
        (onResponse, onBody, onEnd, onDrained, onClosed) = (nil, nil, nil, nil, nil)
        tell?(reason)
    }
}
