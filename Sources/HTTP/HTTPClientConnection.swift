/// The client's side of an HTTP/2 connection, without sockets, threads or clocks. Same rhythm as `HTTPServerConnection`.
///
/// Not Sendable; belongs to one thread.
package final class HTTPClientConnection {
    private let session: HTTP2Session
    private var sent = 0
    private var received = 0

    /// The connection preface is the first output.
    package init(limits: HTTPLimits = HTTPLimits()) { session = HTTP2Session(side: .client, limits: limits) }

    package var wantsRead: Bool { session.wantsRead }
    package var hasOutput: Bool { session.hasOutput }
    package var isFinished: Bool { session.isFinished }
    package var openStreams: Int { session.streams.count }
    package var failure: HTTPError? { session.failure }
    /// The server has announced that it takes no more requests on this connection.
    package var peerIsLeaving: Bool { session.peerIsLeaving }
    /// The server's first SETTINGS have come.
    package var hasPeerSettings: Bool { session.hasPeerSettings }
    package var bufferedBytes: Int { session.bufferedBytes }

    package var counters: HTTPCounters {
        var counters = session.counters
        counters.bytesReceived = received
        counters.bytesSent = sent
        return counters
    }

    /// - Parameter bodies: as `HTTPServerConnection.receive`.
    package func receive(_ bytes: RawSpan, bodies: (StreamID, RawSpan) -> Void) {
        received += bytes.byteCount
        session.receive(bytes, bodies: bodies)
    }

    package func receive(_ bytes: RawSpan) {
        received += bytes.byteCount
        session.receive(bytes)
    }

    package func receive(_ bytes: [UInt8]) { unsafe receive(bytes.span.bytes) }

    package func nextEvent() -> HTTPEvent? { session.events.next() }

    package func consumed(_ stream: StreamID, _ count: Int) { session.consumed(stream, count) }

    /// Asks the server for a sign of life: any byte received afterwards may be it.
    package func ping() { session.ping() }

    package func peerClosed() { session.peerClosed() }

    /// Opens a stream. With `endStream` the request is complete; otherwise `write` and `finish` follow. `nil` when the server accepts
    /// no more: too many are open (ask again when one has closed), or `peerIsLeaving`, or the connection is over.
    package func request(_ head: HTTPHead, endStream: Bool) -> StreamID? { session.request(head, endStream: endStream) }

    /// Returns the bytes of the stream that now wait. See `HTTPServerConnection.write`.
    @discardableResult
    package func write(_ stream: StreamID, _ bytes: RawSpan) -> Int { session.write(stream, bytes) }

    @discardableResult
    package func write(_ stream: StreamID, _ bytes: consuming [UInt8]) -> Int { session.write(stream, bytes) }

    package func finish(_ stream: StreamID, trailers: HTTPHeaders = [:]) { session.finish(stream, trailers: trailers) }

    package func reset(_ stream: StreamID, _ code: HTTP2ErrorCode) { session.reset(stream, code) }

    package func bufferedBytes(_ stream: StreamID) -> Int { session.bufferedBytes(stream) }

    /// Appends about `maximum` bytes for the socket to `buffer`; returns how many.
    @discardableResult
    package func output(into buffer: inout [UInt8], maximum: Int) -> Int {
        guard maximum > 0 else { return 0 }
        let start = buffer.count
        session.output(into: &buffer, maximum: maximum)
        sent += buffer.count - start
        return buffer.count - start
    }

    /// The same without copying what was written in large arrays.
    @discardableResult
    package func output(into buffer: inout HTTPOutput, maximum: Int) -> Int {
        guard maximum > 0 else { return 0 }
        let start = buffer.count
        session.output(into: &buffer, maximum: maximum)
        sent += buffer.count - start
        return buffer.count - start
    }

    /// Opens no more streams; open ones go on, then `isFinished`.
    package func beginDrain() { session.beginDrain() }
}
