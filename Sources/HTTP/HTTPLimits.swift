/// The bounds of one connection, and what happens at each.
package struct HTTPLimits: Sendable {
    /// HTTP/1.1: longest request line. Beyond: 414 and close. RFC 9112, 3 asks for at least 8000.
    package var maximumRequestLine = 16 << 10
    /// Sum of all field lines; HTTP/2: sum of names, values and 32 per field. Beyond: 431 (HTTP/1.1 also closes).
    package var maximumHeaderBytes = 32 << 10
    /// Fields of one head or trailer section. Beyond: 431.
    package var maximumHeaderCount = 128
    /// HTTP/1.1: longest chunk-size line, and the sum of all chunk extensions of a body is bounded by 16 of them. Beyond: 400 and close.
    package var maximumChunkLine = 1 << 10
    /// HTTP/1.1: received bytes that wait behind an unfinished exchange. Beyond, `wantsRead` is false, and that the client has left is
    /// noticed only when something is written to it.
    package var maximumBacklog = 64 << 10
    /// Body bytes of one request that may be received and not yet consumed. HTTP/2: the stream's window; HTTP/1.1: parsing pauses.
    package var streamWindow = 256 << 10
    /// HTTP/2: the same for all streams together.
    package var connectionWindow = 1 << 20
    /// HTTP/2: streams a peer may have open. Beyond: REFUSED_STREAM; once the peer has acknowledged the limit, the connection ends.
    package var maximumConcurrentStreams = 128
    /// A stream's buffered output above which producers should stop, and below which `drained` tells them to go on.
    package var highWater = 64 << 10
    package var lowWater = 16 << 10
    /// A stream's buffered output at which the producer has evidently not stopped: a write that finds more waiting resets the stream.
    /// It judges what waits, never the piece that is added: a whole answer written at once is memory that exists anyway, its size
    /// follows from the limits of requests, and it is sent.
    package var maximumBufferedOutput = 32 << 20
    /// HTTP/2: token bucket of RST_STREAM frames received (burst, and tokens a second). Empty: GOAWAY.
    package var resetBurst = 1000
    package var resetsPerSecond = 33
    /// HTTP/2: by how many the stream errors that a peer causes on one connection may exceed the responses that it takes to their end
    /// since it caused none. Beyond: GOAWAY with ENHANCE_YOUR_CALM.
    package var maximumStreamErrors = 200
    /// HTTP/2: frames in a row without progress (PRIORITY, empty DATA, SETTINGS, unknown types). Beyond: GOAWAY with ENHANCE_YOUR_CALM.
    package var maximumIdleFrames = 1000
    /// HTTP/2: PING and SETTINGS acknowledgements that wait to be sent. Beyond: GOAWAY with ENHANCE_YOUR_CALM.
    package var maximumOutboundAcknowledgements = 256
    /// HTTP/2: CONTINUATION frames of one head. Beyond: GOAWAY with ENHANCE_YOUR_CALM. nghttp2 counts the pieces in which
    /// a frame's header arrives, hence more than its own 8; `maximumHeaderBytes` bounds the memory.
    package var maximumContinuations = 32

    /// HTTP/2: the longest frame that the peer may send (SETTINGS_MAX_FRAME_SIZE), and the longest DATA frame that is sent to a peer that
    /// allows as much. Beyond: FRAME_SIZE_ERROR. 16 KiB, the least that the protocol knows, lets streams take turns often.
    package var maximumFrame = smallestFrame
    package static let smallestFrame = 16 << 10

    package init() {}

    /// For connections between processes of the fleet, which carry few streams with much in them.
    package static var link: HTTPLimits {
        var limits = HTTPLimits()
        limits.maximumFrame = 256 << 10
        limits.streamWindow = 8 << 20
        limits.connectionWindow = 16 << 20
        limits.highWater = 2 << 20
        limits.lowWater = 1 << 20
        return limits
    }
}
