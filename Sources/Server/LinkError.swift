package import HTTP
package import Reactor

/// Why a link could not be made, or ended.
package enum LinkError: Error, Sendable, Equatable, CustomStringConvertible {
    /// `close()` or `cancel()` was called.
    case closed
    /// The system could not connect, or the connection broke.
    case failed(UVError)
    case insecure(TLSError)
    /// The peer did not agree to HTTP/2 under TLS.
    case notHTTP2(peer: String)
    case connectTimedOut(peer: String, Duration)
    /// Nothing came from the peer for so long: it is frozen, or the path is cut.
    case silent(peer: String, Duration)
    /// The peer's system took nothing for so long.
    case stalled(peer: String, Duration)
    /// The peer ended the connection, announced or not.
    case peerClosed(peer: String)
    case broken(HTTPError)

    package var description: String {
        switch self {
        case .closed: "closed on our side"
        case .failed(let error): error.description
        case .insecure(let error): error.description
        case .notHTTP2(let peer): "\(peer) does not speak HTTP/2, which was expected"
        case .connectTimedOut(let peer, let limit): "\(peer) did not answer within \(limit)"
        case .silent(let peer, let limit): "nothing came from \(peer) for \(limit)"
        case .stalled(let peer, let limit): "\(peer) took nothing for \(limit)"
        case .peerClosed(let peer): "\(peer) closed the connection"
        case .broken(let error): error.description
        }
    }
}

/// How a stream of a link ended.
package enum LinkEnd: Sendable, Equatable {
    /// The response came whole and the request was sent whole, or was no longer wanted.
    case completed
    /// The peer broke it off, or refused it.
    case reset(HTTP2ErrorCode)
    /// We did.
    case aborted
    case linkLost(LinkError)
}
