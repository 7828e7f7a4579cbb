internal import HTTP
internal import Platform
internal import Reactor

/// A request as it goes out.
struct OutgoingRequest {
    var method = "POST"
    /// Path and query.
    var target: String
    var headers: HTTPHeaders
    var body: [UInt8] = []
}

/// Who gets the answer to one request, piece by piece, from the connection that carries it. Called on the reactor. After one of the last three
/// nothing more is called; after the request was cancelled nothing at all.
protocol AnswerSink: AnyObject {
    func began(status: Int, _ headers: HTTPHeaders, at time: MonotonicInstant)
    func received(_ bytes: RawSpan, at time: MonotonicInstant)
    func ended(at time: MonotonicInstant)
    func failed(_ reason: String, at time: MonotonicInstant)
    /// In `failed`'s place where another request's client took the connection with it.
    func takenAlong(at time: MonotonicInstant)
    /// Read after each piece: what was received must not be given back to the server's window, or no more be read, until the sink says so.
    var withholds: Bool { get }
}

/// Names a request on its connection.
typealias Ticket = StreamID

/// A client's connection, from when it can be used until it has closed. Reactor thread only.
protocol Carrier: AnyObject {
    /// In the order of opening, over the whole run.
    var number: Int { get }
    /// How many more requests it takes now.
    var room: Int { get }
    /// Nil when it takes none now, whatever `room` said.
    func send(_ request: OutgoingRequest, for sink: any AnswerSink) -> Ticket?
    /// Ends the request: RST_STREAM(CANCEL), over HTTP/1.1 the connection. Its sink hears nothing any more.
    ///
    /// - Parameter byReset: the whole connection goes by a TCP reset; other sinks on it hear `takenAlong`.
    func cancel(_ ticket: Ticket, byReset: Bool)
    /// HTTP/1.1: reads from the socket, or no more. HTTP/2 knows windows instead.
    func setReading(_ ticket: Ticket, _ reads: Bool)
    /// HTTP/2: returns what was withheld to the server's window.
    func giveBack(_ ticket: Ticket, _ count: Int)
    /// Ends the connection; its sinks hear `failed` unless they were cancelled.
    func close()
}

/// Who owns carriers.
protocol CarrierOwner: AnyObject {
    /// It takes requests again.
    func carrierHasRoom(_ carrier: any Carrier)
    /// Called once.
    func carrierClosed(_ carrier: any Carrier)
}

extension ByteStream {
    /// Ends the connection by a TCP reset, through TLS where that lies over `transport`.
    func reset(_ transport: TCPStream) {
        if let secure = self as? TLSStream { secure.reset() } else { transport.reset() }
    }
}
