/// What a server has done since it began, and what it holds now.
package struct ServerCounters: Sendable, Equatable {
    // Now
    package var connectionsOpen = 0
    package var exchangesOpen = 0
    package var bufferedRequestBytes = 0

    // Since the beginning
    package var connectionsAccepted = 0
    /// Idle connections closed to make room.
    package var connectionsEvicted = 0
    /// Times that accepting paused because every connection was busy.
    package var acceptPauses = 0
    /// Connections whose TLS handshake failed or took too long.
    package var handshakeFailures = 0
    /// Requests whose head was complete and well-formed.
    package var requests = 0
    /// Requests and streams that the protocol layer itself refused: malformed, too large a head.
    package var malformedRequests = 0
    /// Requests refused for the size of their body (413).
    package var oversizedBodies = 0
    /// Requests refused because too many bytes of request bodies were waiting (503).
    package var bodiesWithoutRoom = 0
    /// Exchanges that ended because the client left or cancelled.
    package var clientResets = 0
    /// Exchanges aborted because the client read too slowly, by bytes or by time.
    package var slowReaders = 0
    /// Connections and requests ended because the client took too long to send.
    package var slowSenders = 0
    /// Connections closed after `idleTimeout`.
    package var idleCloses = 0
    /// Connections that ended with a protocol error of the client's.
    package var protocolErrors = 0
    /// HTTP bytes, before encryption.
    package var bytesReceived: UInt64 = 0
    package var bytesSent: UInt64 = 0

    package init() {}
}
