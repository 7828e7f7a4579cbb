internal import HTTP
internal import Platform
internal import Reactor

/// An HTTP/1.1 connection that carries one request after the other.
final class HTTP1Carrier: Carrier {
    let number: Int
    private let stream: any ByteStream
    private let transport: TCPStream
    private let authority: String
    private let clock: any MonotonicClock
    private weak let owner: (any CarrierOwner)?
    private var parser = ResponseParser()
    private var sink: (any AnswerSink)?
    private var ticket: Ticket = 0
    private var isOver = false

    init(over stream: any ByteStream, _ transport: TCPStream, authority: String, number: Int, clock: any MonotonicClock, owner: any CarrierOwner) {
        self.stream = stream
        self.transport = transport
        self.authority = authority
        self.number = number
        self.clock = clock
        self.owner = owner
        stream.receiver = self
        // Also without a request: that the server closes an idle connection is seen before the next request goes onto it.
        stream.resumeReading()
    }

    var room: Int { isOver || sink != nil ? 0 : 1 }

    func send(_ request: OutgoingRequest, for sink: any AnswerSink) -> Ticket? {
        guard room > 0 else { return nil }
        self.sink = sink
        ticket += 1
        parser.expect()
        var head = "\(request.method) \(request.target) HTTP/1.1\r\nhost: \(authority)\r\n"
        for field in request.headers.fields { head += "\(field.name): \(field.value)\r\n" }
        if !request.body.isEmpty || request.method == "POST" { head += "content-length: \(request.body.count)\r\n" }
        head += "\r\n"
        stream.write(Array(head.utf8))
        if !request.body.isEmpty { stream.write(request.body) }
        return ticket
    }

    func cancel(_ ticket: Ticket, byReset: Bool) {
        guard ticket == self.ticket, sink != nil, !isOver else { return }
        sink = nil
        guard byReset else { return close() }
        isOver = true
        stream.reset(transport)
    }

    func setReading(_ ticket: Ticket, _ reads: Bool) {
        guard ticket == self.ticket, !isOver else { return }
        if reads { stream.resumeReading() } else { stream.pauseReading() }
    }

    func giveBack(_ ticket: Ticket, _ count: Int) {}

    func close() {
        guard !isOver else { return }
        isOver = true
        stream.close()
    }

    private func end(_ reason: String, at time: MonotonicInstant) {
        let last = sink
        sink = nil
        close()
        last?.failed(reason, at: time)
    }
}

extension HTTP1Carrier: ByteStreamReceiver {
    func stream(_ stream: any ByteStream, didReceive bytes: RawSpan) {
        let time = clock.now
        var offset = 0
        do throws(ResponseError) {
            while !isOver {
                switch try parser.next(bytes, &offset) {
                case .needsMore: return
                case .head(let status, let headers): sink?.began(status: status, headers, at: time)
                case .body(let range):
                    sink?.received(bytes.extracting(range), at: time)
                    if sink?.withholds == true { stream.pauseReading() }
                case .end:
                    let last = sink
                    sink = nil
                    // Bytes that follow belong to no request.
                    if !parser.keepsAlive || offset < bytes.byteCount { close() } else { stream.resumeReading() }
                    if !isOver { owner?.carrierHasRoom(self) }
                    last?.ended(at: time)
                    if offset == bytes.byteCount { return }
                }
            }
        } catch {
            end(error.description, at: time)
        }
    }

    func streamDidReachEnd(_ stream: any ByteStream) {
        let time = clock.now
        do throws(ResponseError) {
            if try parser.close() == .end {
                let last = sink
                sink = nil
                close()
                last?.ended(at: time)
            }
            close()
        } catch {
            end(error.description, at: time)
        }
    }

    func streamDidDrain(_ stream: any ByteStream) {}

    func streamDidClose(_ stream: any ByteStream, _ reason: StreamEnd) {
        isOver = true
        let last = sink
        sink = nil
        last?.failed(reason == .closed ? "the connection was closed by this client" : reason.description, at: clock.now)
        owner?.carrierClosed(self)
    }
}
