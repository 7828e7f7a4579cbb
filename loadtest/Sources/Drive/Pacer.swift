/// Decides which request goes when. Values in, values out: it has no clock, and every time counts from the run's start.
///
/// Open loop: a request goes at its due time, or when a place is free after that; its latency counts from the due time all the same, so that
/// a server that stands still is charged for everybody who should have asked meanwhile. Closed loop: a request without a due time goes when a
/// place is free, and is due at that moment. A session's next turn is due its think time after the turn before has ended; it needs a place
/// like any other and goes before requests that are not due yet. A turn that fails ends its session.
///
/// Warm-up requests come first, as fast as places allow; the measurement begins when all of them have ended, and due times of the plan count
/// from then.
struct Pacer {
    struct Rules: Sendable, Equatable {
        /// Requests in flight at most; nil: no bound but the plan's.
        var places: Int?
        /// Measured requests.
        var requests = 1000
        /// From the measurement's start; what is due later is not sent.
        var duration: Duration = .seconds(600)
        /// Failed requests after which the run ends.
        var errors: Int?
        /// For requests that have none of their own.
        var deadline: Duration? = .seconds(600)

        init() {}
    }

    enum Action: Equatable {
        case send(PlannedRequest, due: Duration)
        /// It will never be sent: this is its end.
        case drop(RequestRecord)
        /// The measurement begins now.
        case begin
        /// Nothing before then, unless a request ends.
        case wait(until: Duration)
        /// Nothing before a request ends.
        case waitForEnd
        /// Nothing will be sent any more. Said again and again.
        case over(Ending)
    }

    enum Ending: Equatable, Sendable {
        /// Everything was sent.
        case planDone
        case durationOver
        case tooManyErrors
        case stopped
    }

    private enum Phase: Equatable { case warmingUp, measuring, over(Ending) }

    private struct Turn {
        var request: PlannedRequest
        var due: Duration
    }

    private enum SessionState {
        /// A turn is in flight or waiting; later ones that were read meanwhile.
        case busy(waiting: [PlannedRequest])
        /// The last turn known ended then.
        case idle(since: Duration)
        case failed
    }

    let rules: Rules
    private var source: any RequestSource
    private var phase = Phase.warmingUp
    /// Read from the source and not yet placed.
    private var head: PlannedRequest?
    private var sourceIsDry = false
    /// Later turns of sessions, by due time.
    private var turns = TimeQueue<Turn>()
    private var sessions: [Int: SessionState] = [:]
    /// When each free place became free, first come first served.
    private var freePlaces: [Duration] = []
    private var freeHead = 0
    private var placesTaken = 0
    private(set) var inFlight = 0
    private(set) var began: Duration = .zero
    /// Measured requests read from the source.
    private var measured = 0
    private var failures = 0
    private var dropped: [RequestRecord] = []

    init(_ source: some RequestSource, _ rules: Rules) {
        self.source = source
        self.rules = rules
        precondition(rules.places ?? 1 > 0, "\(rules.places ?? 0) places")
    }

    /// What is due later is not sent.
    var durationEnds: Duration { began + rules.duration }

    // MARK: Events

    /// What is to be done at `now`: to be called again after it was done, until it says to wait or that all is over.
    mutating func next(at now: Duration) -> Action {
        if let record = dropped.popLast() { return .drop(record) }
        switch phase {
        case .over(let ending): return .over(ending)
        case .warmingUp: return warmUp(at: now)
        case .measuring: break
        }
        if now >= durationEnds {
            end(.durationOver, at: durationEnds)
            return next(at: now)
        }
        guard rules.places.map({ inFlight < $0 }) ?? true else { return .waitForEnd }
        return nextMeasured(at: now)
    }

    /// A request that was sent has ended. Unless it completed, its session goes no further.
    mutating func ended(_ request: PlannedRequest, at time: Duration, _ outcome: Outcome) {
        precondition(inFlight > 0, "request \(request.number) ended twice")
        inFlight -= 1
        if rules.places != nil { freePlaces.append(time) }
        if !request.isWarmup, outcome.isError {
            failures += 1
            if let limit = rules.errors, failures >= limit, phase == .measuring { end(.tooManyErrors, at: time) }
        }
        guard let session = request.session, case .busy(let waiting) = sessions[session] else { return }
        if outcome != .completed {
            sessions[session] = .failed
            for turn in waiting { drop(turn, due: time, at: time, Self.sessionOver) }
        } else if let next = waiting.first {
            sessions[session] = .busy(waiting: Array(waiting.dropFirst()))
            turns.insert(Turn(request: next, due: time + next.thinkTime), at: time + next.thinkTime)
        } else {
            sessions[session] = .idle(since: time)
        }
    }

    /// The user has had enough.
    mutating func stop(at now: Duration) {
        if case .over = phase { return }
        end(.stopped, at: now)
    }

    // MARK: Warm-up

    private mutating func warmUp(at now: Duration) -> Action {
        readAhead()
        if let request = head, request.isWarmup {
            guard rules.places.map({ inFlight < $0 }) ?? true else { return .waitForEnd }
            head = nil
            return place(request, due: now)
        }
        guard inFlight == 0 else { return .waitForEnd }
        phase = .measuring
        began = now
        freePlaces = []
        freeHead = 0
        placesTaken = 0
        return .begin
    }

    // MARK: Measurement

    private mutating func nextMeasured(at now: Duration) -> Action {
        while true {
            readAhead()
            guard let request = head else { break }
            // A later turn waits for the one before it, not for a place.
            guard request.turn > 0, let session = request.session, let state = sessions[session] else { break }
            head = nil
            switch state {
            case .busy(let waiting): sessions[session] = .busy(waiting: waiting + [request])
            case .idle(let since):
                sessions[session] = .busy(waiting: [])
                turns.insert(Turn(request: request, due: since + request.thinkTime), at: since + request.thinkTime)
            case .failed: drop(request, due: now, at: now, Self.sessionOver)
            }
        }
        if let record = dropped.popLast() { return .drop(record) }
        let headDue = head.map { request in request.due.map { began + $0 } ?? now }
        if let turnDue = turns.next, turnDue <= (headDue ?? turnDue) {
            guard turnDue <= now else { return .wait(until: min(turnDue, durationEnds)) }
            guard let (due, turn) = turns.pop(by: now) else { preconditionFailure("a turn due at \(turnDue) is gone") }
            return placeOrExpire(turn.request, due: due, at: now)
        }
        guard let request = head, let headDue else {
            if inFlight > 0 { return .waitForEnd }
            end(.planDone, at: now)
            return next(at: now)
        }
        guard headDue <= now else { return .wait(until: min(headDue, durationEnds)) }
        head = nil
        // In a closed loop it is due since its place became free.
        return placeOrExpire(request, due: request.due.map { began + $0 } ?? placeFree(), at: now)
    }

    private mutating func placeOrExpire(_ request: PlannedRequest, due: Duration, at now: Duration) -> Action {
        if let deadline = request.deadline ?? rules.deadline, now >= due + deadline {
            var record = Self.record(of: request, due: due, .late)
            record.ended = due + deadline
            if let session = request.session { endSession(session, at: due + deadline) }
            return .drop(record)
        }
        return place(request, due: due)
    }

    private mutating func place(_ request: PlannedRequest, due: Duration) -> Action {
        inFlight += 1
        takePlace()
        if let session = request.session, sessions[session] == nil { sessions[session] = .busy(waiting: []) }
        return .send(request, due: due)
    }

    private mutating func readAhead() {
        guard head == nil, !sourceIsDry else { return }
        if measured < rules.requests { head = source.next() }
        guard let head else {
            sourceIsDry = true
            return
        }
        if !head.isWarmup { measured += 1 }
    }

    // MARK: Places

    /// When the place that the next request takes became free: at the measurement's start while not all were ever taken.
    private func placeFree() -> Duration {
        guard let places = rules.places, placesTaken >= places, freeHead < freePlaces.count else { return began }
        return freePlaces[freeHead]
    }

    private mutating func takePlace() {
        defer { placesTaken += 1 }
        guard let places = rules.places, placesTaken >= places else { return }
        freeHead += 1
        if freeHead > 1024, freeHead * 2 > freePlaces.count {
            freePlaces.removeFirst(freeHead)
            freeHead = 0
        }
    }

    // MARK: End

    private static let sessionOver = Outcome.failed(reason: "an earlier turn of its session failed")

    private mutating func drop(_ request: PlannedRequest, due: Duration, at time: Duration, _ outcome: Outcome) {
        var record = Self.record(of: request, due: due, outcome)
        record.ended = time
        dropped.append(record)
    }

    private mutating func endSession(_ session: Int, at time: Duration) {
        guard case .busy(let waiting) = sessions[session] else { return }
        sessions[session] = .failed
        for turn in waiting { drop(turn, due: time, at: time, Self.sessionOver) }
    }

    /// What was due and has not been sent is unfinished, so that a run that was cut short counts it.
    private mutating func end(_ ending: Ending, at time: Duration) {
        phase = .over(ending)
        guard ending != .planDone else { return }
        while let (due, turn) = turns.pop(by: time) { drop(turn.request, due: due, at: time, .unfinished) }
        while true {
            readAhead()
            guard let request = head, let due = request.due, began + due < time else { return }
            head = nil
            drop(request, due: began + due, at: time, .unfinished)
        }
    }

    private static func record(of request: PlannedRequest, due: Duration, _ outcome: Outcome) -> RequestRecord {
        var record = RequestRecord(number: request.number, due: due, outcome: outcome)
        record.session = request.session
        record.turn = request.turn
        record.isWarmup = request.isWarmup
        record.trouble = request.trouble
        return record
    }
}

extension Outcome {
    /// Whether the server is to blame, or what lies between: neither the client's own doing nor the end of the run.
    var isError: Bool {
        switch self {
        case .refused, .broken, .failed, .late: true
        case .completed, .troubled, .unfinished: false
        }
    }
}
