internal import HTTP
internal import Platform

/// One request under way: from when it is due for sending until its record is complete. Reactor thread only.
final class Flight: AnswerSink {
    let request: PlannedRequest
    /// Numbered by the driver; names it in the time queue.
    let number: Int
    private(set) var record: RequestRecord
    /// From the run's start, when the client gives up.
    let deadline: Duration?
    private var reader: AnswerReader
    private(set) var trouble: TroublePlan
    private let driver: Driver
    private var carrier: (any Carrier)?
    private var ticket: Ticket = 0
    private(set) var isOver = false
    /// When the driver looks at it next.
    var scheduledAt: Duration?

    init(_ request: PlannedRequest, due: Duration, deadline: Duration?, number: Int, reader: AnswerReader, of driver: Driver) {
        self.request = request
        self.number = number
        self.deadline = deadline
        self.reader = reader
        self.driver = driver
        trouble = TroublePlan(request.trouble)
        record = RequestRecord(number: request.number, due: due, outcome: .unfinished)
        record.session = request.session
        record.turn = request.turn
        record.isWarmup = request.isWarmup
        record.trouble = request.trouble
    }

    /// - Returns: false when the carrier takes nothing now.
    func send(_ outgoing: OutgoingRequest, on carrier: any Carrier) -> Bool {
        guard let ticket = carrier.send(outgoing, for: self) else { return false }
        self.carrier = carrier
        self.ticket = ticket
        let now = driver.now
        record.sent = now
        record.connection = carrier.number
        trouble.sent(at: now)
        driver.schedule(self)
        return true
    }

    // MARK: Answer

    var withholds: Bool { trouble.withholds }

    func began(status: Int, _ headers: HTTPHeaders, at time: MonotonicInstant) {
        let time = driver.time(of: time)
        reader.head(status: status, contentType: headers["content-type"], at: time, in: &record)
        trouble.headCame(at: time)
        driver.schedule(self)
    }

    func received(_ bytes: RawSpan, at time: MonotonicInstant) {
        let time = driver.time(of: time)
        let before = record.content.count
        reader.body(bytes, at: time, in: &record)
        let chunks = record.content.count - before
        if chunks > 0 { driver.flightGot(chunks, in: self, isFirst: before == 0) }
        if reader.isHopeless {
            let outcome = reader.end(at: time, in: &record)
            return abandon(outcome, at: time)
        }
        let wasWithholding = trouble.withholds
        trouble.received(bytes.byteCount, at: time)
        if trouble.withholds, !wasWithholding { driver.schedule(self) }
    }

    func ended(at time: MonotonicInstant) {
        let time = driver.time(of: time)
        finish(reader.end(at: time, in: &record), at: time)
    }

    func failed(_ reason: String, at time: MonotonicInstant) {
        finish(.failed(reason: reason), at: driver.time(of: time))
    }

    /// Also the client's own doing: the server has nothing to do with it.
    func takenAlong(at time: MonotonicInstant) { finish(.troubled, at: driver.time(of: time)) }

    // MARK: Time

    /// The deadline or a trouble may be due.
    func look(at now: Duration) {
        while !isOver, let action = trouble.look(at: now) {
            switch action {
            case .cancel: abandon(.troubled, at: now)
            case .stopReading: carrier?.setReading(ticket, false)
            case .giveBack(let count):
                carrier?.giveBack(ticket, count)
                if !trouble.withholds { carrier?.setReading(ticket, true) }
            case .vanish:
                let carrier = carrier
                carrier?.cancel(ticket, byReset: true)
                finish(.troubled, at: now)
            }
        }
        guard !isOver else { return }
        if let deadline, now >= deadline { return abandon(request.trouble.isEndless ? .troubled : .late, at: now) }
        driver.schedule(self)
    }

    /// The client ends it.
    func abandon(_ outcome: Outcome, at time: Duration) {
        guard !isOver else { return }
        carrier?.cancel(ticket, byReset: false)
        finish(outcome, at: time)
    }

    /// It could not be given to any connection.
    func fail(_ reason: String) { finish(.failed(reason: reason), at: driver.now) }

    private func finish(_ outcome: Outcome, at time: Duration) {
        guard !isOver else { return }
        isOver = true
        carrier = nil
        record.outcome = outcome
        record.ended = time
        driver.flightEnded(self)
    }
}

extension Optional where Wrapped == Trouble {
    /// Whether the deadline is what ends such a client.
    var isEndless: Bool { if case .stopReading = self { true } else { false } }
}
