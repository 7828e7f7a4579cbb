package import HTTP

/// The bounds of one server, and what happens at each.
package struct ServerLimits: Sendable {
    /// Connections at once. At the bound the connection that has been idle longest (and for at least `evictableAfter`) is closed;
    /// when all are busy, accepting pauses and newcomers wait in the system's backlog until one closes. An answer of 503 would
    /// need the very descriptor and memory that the bound protects.
    package var maximumConnections = 4096
    package var evictableAfter = Duration.seconds(1)
    /// Connections that the system keeps waiting per listener; beyond it, it ignores or refuses them.
    package var backlog = 1024

    /// Request bodies received and not yet taken by a handler, over all connections. Beyond: 503 with `retry-after`.
    package var maximumBufferedRequestBytes = 256 << 20
    /// Bytes of one streamed response that wait for the client. A write that finds more aborts the exchange, which counts as a slow
    /// reader; producers who watch `isFull` and `onDrained` never get there. What is added is not judged: a response given as a whole,
    /// and a single piece of a stream, may be of any size that the limits of requests allow.
    package var maximumBufferedResponse = 1 << 20
    /// Bytes handed to one socket that it has not taken. At the bound the protocol layer keeps the rest, stream by stream.
    package var socketQueue = 256 << 10

    /// From accepting to a complete TLS handshake. Beyond: closed.
    package var handshakeTimeout = Duration.seconds(10)
    /// From the first byte of a request's head to its last, from accepting to the first request, and from a 101 to the preface of
    /// HTTP/2. Beyond: 408 or a plain close.
    package var headTimeout = Duration.seconds(10)
    /// Without any byte of an unfinished request body. Beyond: 408, or RST_STREAM over HTTP/2.
    package var bodyTimeout = Duration.seconds(20)
    /// From a request's head to the end of its body, however steadily it trickles. Beyond: as `bodyTimeout`.
    package var requestTimeout = Duration.seconds(300)
    /// Without an open request. Beyond: closed, over HTTP/2 with GOAWAY.
    package var idleTimeout = Duration.seconds(75)
    /// A response has bytes waiting and the client takes none. Beyond: the stream is reset; when the socket itself takes none, it
    /// is closed.
    package var stallTimeout = Duration.seconds(30)
    /// After the last byte of the last answer, how long what the client still sends is discarded before closing, so that a reset does not destroy
    /// the answer.
    package var lingerTimeout = Duration.seconds(2)
    /// While draining: how long HTTP/2 clients have to confirm the announcement before the final GOAWAY.
    package var announceTimeout = Duration.seconds(1)
    /// How often deadlines are looked at: they are late by up to this much.
    package var tick = Duration.milliseconds(250)

    /// The bounds of each connection's protocol.
    package var http = HTTPLimits()

    package init() {}

    /// For listeners whose clients are links: few connections that carry much and may be without a request for as long as they answer.
    package static var link: ServerLimits {
        var limits = ServerLimits()
        limits.http = .link
        limits.socketQueue = 1 << 20
        limits.maximumBufferedResponse = 32 << 20
        limits.idleTimeout = .seconds(24 * 3600)
        return limits
    }
}
