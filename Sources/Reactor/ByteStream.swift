/// A connected, ordered, two-way flow of bytes: a socket, or TLS over one. Lives on one reactor and is touched on its thread
/// only.
///
/// What is written is queued, and goes to the system once at the end of the turn. The queue has no limit of its own: who writes
/// looks at `queuedBytes`, stops at its own bound and goes on when told that the stream has drained.
package protocol ByteStream: AnyObject {
    var reactor: Reactor { get }
    /// Who gets bytes and news. Held until the stream has closed. Set it before the first turn passes, or read later: nothing is
    /// read before `resumeReading()`.
    var receiver: (any ByteStreamReceiver)? { get set }
    /// The other side as seen by the system; nil for the nameless client end of a Unix socket.
    var peer: Endpoint? { get }
    /// The protocol agreed on by ALPN; nil in clear, or when the peer did not ask.
    var negotiatedProtocol: String? { get }
    var isEncrypted: Bool { get }

    /// Bytes accepted by `write` that the system has not taken yet.
    var queuedBytes: Int { get }
    /// `streamDidDrain` is called when the queue falls to this many bytes after having been longer at the end of a turn.
    var drainMark: Int { get set }
    var bytesReceived: UInt64 { get }
    var bytesSent: UInt64 { get }

    func write(_ bytes: RawSpan)
    func write(_ bytes: consuming [UInt8])
    /// A part of an array, which is held and not copied where it is large and the stream can send it as it is.
    func write(_ bytes: [UInt8], _ range: Range<Int>)

    func pauseReading()
    func resumeReading()

    /// Ends our direction once the queue is empty (FIN, under TLS with close_notify). Writing afterwards is a bug. Idempotent.
    func finishWriting()
    /// Ends our direction and then closes, without waiting for the peer to end its own: for a peer that has ended already.
    /// Idempotent.
    func closeWhenWritten()
    /// Ends the stream now; queued bytes are dropped. Idempotent. The receiver hears `streamDidClose` on a later turn.
    func close()
    /// As `close()`, for a reason the receiver is told.
    func close(_ reason: StreamEnd)
}

/// Where the news of a stream go. Called on the reactor's thread, never from within a call to the stream.
package protocol ByteStreamReceiver: AnyObject {
    /// `bytes` is valid for this call only. Closing or pausing the stream inside is allowed.
    func stream(_ stream: any ByteStream, didReceive bytes: RawSpan)
    /// The peer will send no more (FIN); it may still be reading.
    func streamDidReachEnd(_ stream: any ByteStream)
    func streamDidDrain(_ stream: any ByteStream)
    /// The last call, made exactly once for every stream that was handed out.
    func streamDidClose(_ stream: any ByteStream, _ reason: StreamEnd)
}

/// Why a stream is over.
package enum StreamEnd: Equatable, Sendable, CustomStringConvertible {
    /// We closed it.
    case closed
    /// The system reported an error: a reset, a broken pipe, a timeout.
    case failed(UVError)
    /// The TLS session cannot go on: a failed handshake, a broken record.
    case insecure(TLSError)

    package var description: String {
        switch self {
        case .closed: "closed"
        case .failed(let error): error.description
        case .insecure(let error): error.description
        }
    }
}
