package import HTTP

/// The bounds of one link, and what happens at each.
package struct HTTPLinkLimits: Sendable {
    /// From the beginning to the peer's first word of HTTP/2, the TLS handshake included. Beyond: the attempt fails.
    package var connectTimeout = Duration.seconds(5)
    /// How often the peer is asked for a sign of life.
    package var pingInterval = Duration.seconds(2)
    /// Without a single byte received. Beyond: the link is closed.
    package var silenceLimit = Duration.seconds(6)
    /// Bytes wait for the socket and it takes none. Beyond: the link is closed.
    package var stallTimeout = Duration.seconds(6)
    /// How often these are looked at: they are late by up to this much.
    package var tick = Duration.milliseconds(250)
    /// Bytes handed to the socket that it has not taken. At the bound the protocol layer keeps the rest, stream by stream.
    package var socketQueue = 1 << 20
    /// The bounds of the protocol.
    package var http = HTTPLimits.link

    package init() {}
}
