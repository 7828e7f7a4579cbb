/// What a connection tells its owner. Read them with `nextEvent()` after every `receive`, `output`, `consumed` and `peerClosed`.
///
/// The life of a stream: `request` (server) or `response` (client); `body`*; `bodyEnd` unless the head said that nothing follows;
/// perhaps `reset`; always, once, `streamClosed`. After it the number means nothing, and calls that name it do nothing.
package enum HTTPEvent: Sendable, Equatable {
    /// Server: a request's head. `endOfBody`: there is no body and no further event about it.
    case request(StreamID, HTTPHead, endOfBody: Bool)
    /// Client: a response's head. Informational (1xx) responses are not reported.
    case response(StreamID, ResponseHead, endOfBody: Bool)
    /// Never empty. The window reopens when the owner says `consumed`.
    case body(StreamID, [UInt8])
    /// The body is complete.
    case bodyEnd(StreamID, trailers: HTTPHeaders)
    /// The stream ended early: the peer cancelled it, it broke the protocol, or the connection died. Nothing more can be sent on it.
    case reset(StreamID, HTTP2ErrorCode)
    /// The stream's buffered output, once above the high-water mark, fell below the low one.
    case drained(StreamID)
    /// The last event of a stream.
    case streamClosed(StreamID)
    /// HTTP/2: the peer will open (server) or accept (client) no streams above `lastStream`.
    case goingAway(lastStream: StreamID, HTTP2ErrorCode)
}

/// First in, first out.
struct EventQueue {
    private var events: [HTTPEvent] = []
    private var head = 0

    var isEmpty: Bool { head == events.count }

    mutating func append(_ event: HTTPEvent) { events.append(event) }

    mutating func next() -> HTTPEvent? {
        guard head < events.count else { return nil }
        let event = events[head]
        head += 1
        if head == events.count {
            events.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 64, head * 2 >= events.count {
            events.removeFirst(head)
            head = 0
        }
        return event
    }
}
