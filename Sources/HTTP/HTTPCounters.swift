/// What one connection has seen since it began.
package struct HTTPCounters: Sendable, Equatable {
    package var bytesReceived = 0
    package var bytesSent = 0
    package var requests = 0
    /// Requests that the connection itself answered with an error (400, 414, 431, 501, …).
    package var refusals = 0
    /// RST_STREAM frames received; over HTTP/1.1, requests abandoned by their client.
    package var resetsReceived = 0
    /// Stream errors that the peer caused.
    package var streamErrors = 0
    /// GOAWAY frames sent with an error code.
    package var errorGoAways = 0
    /// 1 when the connection began as HTTP/1.1 and changed to HTTP/2.
    package var upgrades = 0

    package init() {}
}
