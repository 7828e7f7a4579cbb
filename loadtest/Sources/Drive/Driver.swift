internal import HTTP
internal import Platform
internal import Reactor

/// Carries out one run: asks the pacer what is due, gives it to the pool, keeps the records and the time. Lives on its reactor from `start`
/// until its completion is called.
///
/// Everything is one thread's: the requests, the clock's readings, and the probe that tells how late this thread is.
final class Driver {
    private enum Event {
        case flight(Flight)
        case hook(Int)
        case scrape
        case durationOver
        case graceOver
    }

    private enum Phase { case running, cutting, closing, closed }

    private static let probeInterval = Duration.milliseconds(1)
    private static let scrapeInterval = Duration.seconds(1)

    let settings: DriveSettings
    private let reactor: Reactor
    private let clock: any MonotonicClock
    private let origin: MonotonicInstant
    private var pacer: Pacer
    private var pool: Pool?
    private var phase = Phase.running
    private var flights: [Int: Flight] = [:]
    private var nextFlight = 0
    private var queue = TimeQueue<Event>()
    private var conversations: [Int: [ChatMessage]] = [:]
    private var record = RunRecord()
    private(set) var progress = Progress()
    private var ending = Pacer.Ending.planDone

    private var wake: DueTimer?
    private var probeTimer: DueTimer?
    private var probe: LagProbe
    private var lag = LagSamples()
    private var signals: [SignalSource] = []
    private var processorStart: MonotonicInstant
    private var errands: [ObjectIdentifier: Errand] = [:]
    private var isScraping = false
    private var children: [Int: ChildProcess] = [:]
    private var isInTurnEnd = false
    private var poolIsClosed = false
    private var completion: ((RunEnd) -> Void)?

    /// - Parameter clock: every time in the record is its; it must run with the reactor's timers.
    init(_ settings: DriveSettings, _ source: some RequestSource, on reactor: Reactor, clock: any MonotonicClock = SystemClock()) {
        self.settings = settings
        self.reactor = reactor
        self.clock = clock
        origin = clock.now
        pacer = Pacer(source, settings.rules)
        probe = LagProbe(from: .zero, every: Self.probeInterval)
        processorStart = ProcessClock().now
    }

    /// Runs `source` to its end, on the reactor.
    static func run(
        _ settings: DriveSettings, _ source: some RequestSource, on reactor: Reactor, clock: any MonotonicClock = SystemClock(),
        watch: (@Sendable (Progress) -> Void)? = nil
    ) async throws -> RunEnd {
        try await withCheckedThrowingContinuation { continuation in
            reactor.submit {
                let driver = Driver(settings, source, on: reactor, clock: clock)
                do throws(UVError) {
                    try driver.start(watch: watch) { continuation.resume(returning: $0) }
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        }
    }

    // MARK: Time

    /// From the run's start.
    var now: Duration { clock.now.since(origin) }

    func time(of instant: MonotonicInstant) -> Duration { instant.since(origin) }

    private func instant(of time: Duration) -> MonotonicInstant { origin.advanced(by: time) }

    // MARK: Start

    /// - Parameter watch: called four times a second.
    /// - Throws: `UVError` when the system has no descriptors for the timers.
    private func start(watch: ((Progress) -> Void)?, completion: @escaping (RunEnd) -> Void) throws(UVError) {
        let dialer = Dialer(
            target: settings.target, version: settings.version, tls: settings.tls, streams: settings.streamsPerConnection,
            window: settings.streamWindow, clock: clock, reactor: reactor)
        do throws(UVError) {
            wake = try DueTimer(on: reactor) { self.advance() }
            probeTimer = try DueTimer(on: reactor) { self.probe.ran(at: self.now, into: &self.lag) }
            if settings.heedsInterrupt {
                signals.append(try SignalSource(.interrupt, on: reactor) { self.interrupted() })
                signals.append(try SignalSource(.terminate, on: reactor) { self.interrupted() })
            }
        } catch {
            closeTimers()
            throw error
        }
        self.completion = completion
        pool = Pool(dialer, limit: settings.connections, driver: self)
        if settings.metrics != nil { queue.insert(.scrape, at: .zero) }
        if let watch {
            watching = ReactorTimer(on: reactor, after: .milliseconds(250), repeating: .milliseconds(250)) { self.show(watch) }
        }
        probeTimer?.set(instant(of: probe.firstDue), every: probe.interval)
        advance()
    }

    private var watching: ReactorTimer?

    // MARK: Turns

    /// Does what is due, and sets the alarm for what comes next.
    private func advance() {
        guard phase == .running || phase == .cutting else { return }
        let now = now
        while let (_, event) = queue.pop(by: now) { perform(event, at: now) }
        if phase == .running { pace() }
        guard phase == .running || phase == .cutting else { return }
        let next = [queue.next, waitUntil].compactMap { $0 }.min()
        wake?.set(next.map { instant(of: $0) })
    }

    private var waitUntil: Duration?

    private func pace() {
        waitUntil = nil
        while true {
            let now = now
            switch pacer.next(at: now) {
            case .send(let request, let due): send(request, due: due, at: now)
            case .drop(let record): self.record.requests.append(record)
            case .begin: beginMeasurement(at: now)
            case .wait(let time):
                waitUntil = time
                return
            case .waitForEnd: return
            case .over(let ending): return over(ending, at: now)
            }
        }
    }

    private func paceLater() {
        guard !isInTurnEnd else { return }
        isInTurnEnd = true
        reactor.atTurnEnd(self)
    }

    private func perform(_ event: Event, at now: Duration) {
        switch event {
        case .flight(let flight):
            flight.scheduledAt = nil
            if !flight.isOver { flight.look(at: now) }
        case .hook(let index): run(settings.hooks[index], index, at: now)
        case .scrape: scrape(at: now)
        case .durationOver: break
        case .graceOver: cut()
        }
    }

    private func beginMeasurement(at now: Duration) {
        record.began = now
        processorStart = ProcessClock().now
        lag = LagSamples()
        probe = LagProbe(from: now, every: Self.probeInterval)
        probeTimer?.set(instant(of: probe.firstDue), every: probe.interval)
        progress = Progress()
        queue.insert(.durationOver, at: pacer.durationEnds)
        for (index, hook) in settings.hooks.enumerated() { queue.insert(.hook(index), at: now + hook.at) }
    }

    // MARK: Flights

    private func send(_ request: PlannedRequest, due: Duration, at now: Duration) {
        // Lateness of a request that waited for a place is not this thread's.
        if request.due != nil, !request.isWarmup, settings.rules.places == nil { lag.record(now - due) }
        let reader = AnswerReader(limits: settings.limits, keepsText: settings.keepsText || request.session != nil)
        let deadline = (request.deadline ?? settings.rules.deadline).map { due + $0 }
        let flight = Flight(request, due: due, deadline: deadline, number: nextFlight, reader: reader, of: self)
        nextFlight += 1
        flights[flight.number] = flight
        record.peakInFlight = max(record.peakInFlight, flights.count)
        if !request.isWarmup { progress.sent += 1 }
        schedule(flight)
        pool?.submit(flight)
    }

    func outgoing(_ request: PlannedRequest) -> OutgoingRequest {
        let conversation = request.session.flatMap { conversations[$0] } ?? []
        var headers: HTTPHeaders = ["content-type": "application/json"]
        for field in settings.headers.fields { headers.append(field.name, field.value) }
        return OutgoingRequest(
            target: settings.target.path(settings.endpoint.rawValue), headers: headers,
            body: RequestBody.json(
                for: request, endpoint: settings.endpoint, model: settings.model, conversation: conversation, options: settings.body))
    }

    /// Looks at the flight when its trouble or deadline is due.
    func schedule(_ flight: Flight) {
        guard !flight.isOver, let due = [flight.trouble.due, flight.deadline].compactMap({ $0 }).min() else { return }
        if let already = flight.scheduledAt, already <= due { return }
        flight.scheduledAt = due
        queue.insert(.flight(flight), at: due)
        paceLater()
    }

    /// More content has come for a flight.
    func flightGot(_ chunks: Int, in flight: Flight, isFirst: Bool) {
        guard !flight.request.isWarmup else { return }
        progress.chunks += chunks
        if isFirst, let first = flight.record.content.first { progress.note(firstToken: first - flight.record.due) }
    }

    func flightEnded(_ flight: Flight) {
        flights[flight.number] = nil
        var ended = flight.record
        if let session = ended.session, ended.outcome == .completed {
            conversations[session, default: []] += RequestBody.messages(flight.request.prompt)
            conversations[session, default: []].append(ChatMessage(role: "assistant", text: ended.text))
        }
        if !settings.keepsText { ended.text = "" }
        if !ended.isWarmup { progress.note(ended.outcome) }
        record.requests.append(ended)
        pacer.ended(flight.request, at: ended.ended ?? now, ended.outcome)
        paceLater()
    }

    // MARK: Hooks and metrics

    private func run(_ hook: Hook, _ index: Int, at now: Duration) {
        record.hooks.append(HookRecord(at: now, command: hook.description, status: nil))
        let place = record.hooks.count - 1
        switch hook.action {
        case .command(let text):
            do throws(UVError) {
                children[index] = try ChildProcess("/bin/sh", ["-c", text], output: .errorsOnly, on: reactor) { end in
                    self.children[index] = nil
                    if self.phase != .closing, case .exited(let status) = end { self.record.hooks[place].status = Int(status) }
                    if self.phase != .closing, case .killed(let signal) = end { self.record.hooks[place].status = 128 + Int(signal) }
                    self.closeIfEverythingHas()
                }
            } catch {
                record.hooks[place].status = 127
            }
        case .post(let target, let body):
            let request = OutgoingRequest(target: target.path(""), headers: ["content-type": "application/json"], body: Array(body.utf8))
            doErrand(request, at: target) { answer in
                if case .success(let answer) = answer { self.record.hooks[place].status = answer.status }
            }
        }
    }

    private func scrape(at now: Duration) {
        guard let target = settings.metrics else { return }
        queue.insert(.scrape, at: now + Self.scrapeInterval)
        guard !isScraping else { return }
        isScraping = true
        doErrand(OutgoingRequest(method: "GET", target: target.path(""), headers: [:]), at: target) { answer in
            self.isScraping = false
            guard case .success(let answer) = answer, answer.status == 200 else { return }
            self.record.scrapes.append(Scrape(at: now, values: PrometheusReader.values(answer.body)))
        }
    }

    private func doErrand(_ request: OutgoingRequest, at target: Target, _ completion: @escaping (Result<ErrandAnswer, DialFailure>) -> Void) {
        let dialer = Dialer(target: target, version: .http1, tls: settings.tls, clock: clock, reactor: reactor)
        var identity: ObjectIdentifier?
        let errand = Errand(request, by: dialer) { answer in
            if let identity { self.errands[identity] = nil }
            completion(answer)
            self.closeIfEverythingHas()
        }
        identity = ObjectIdentifier(errand)
        errands[ObjectIdentifier(errand)] = errand
    }

    // MARK: End

    private func over(_ ending: Pacer.Ending, at now: Duration) {
        self.ending = ending
        guard !flights.isEmpty else { return finish(at: now) }
        switch ending {
        case .planDone: break
        case .durationOver:
            phase = .cutting
            queue.insert(.graceOver, at: pacer.durationEnds + settings.grace)
        case .tooManyErrors, .stopped:
            phase = .cutting
            cut()
        }
    }

    /// Ends what is still in flight.
    private func cut() {
        let now = now
        for flight in flights.values.sorted(by: { $0.number < $1.number }) { flight.abandon(.unfinished, at: now) }
    }

    private func interrupted() {
        // The second time the default effect, the program's end, takes place.
        for signal in signals { signal.close() }
        signals = []
        guard phase == .running || phase == .cutting else { return }
        ending = .stopped
        pacer.stop(at: now)
        if phase == .cutting { cut() }
        paceLater()
    }

    private func show(_ watch: (Progress) -> Void) {
        progress.elapsed = now - record.began
        progress.inFlight = flights.count
        progress.lag = lag.recentWorst()
        watch(progress)
    }

    private func closeTimers() {
        wake?.close()
        probeTimer?.close()
        watching?.close()
        for signal in signals { signal.close() }
        (wake, probeTimer, watching, signals) = (nil, nil, nil, [])
    }

    private func finish(at now: Duration) {
        guard phase == .running || phase == .cutting else { return }
        phase = .closing
        record.ended = now
        record.processorTime = ProcessClock().now.since(processorStart)
        closeTimers()
        for child in children.values { child.kill() }
        for errand in errands.values { errand.giveUp("the run has ended") }
        pool?.close {
            self.poolIsClosed = true
            self.closeIfEverythingHas()
        }
    }

    private func closeIfEverythingHas() {
        guard phase == .closing, poolIsClosed, errands.isEmpty, children.isEmpty else { return }
        phase = .closed
        record.lagNanoseconds = lag.nanoseconds
        record.connectionsOpened = pool?.opened ?? 0
        record.connectionsFailed = pool?.failed ?? 0
        record.requests.sort { $0.number < $1.number }
        pool = nil
        let tell = completion
        completion = nil
        tell?(RunEnd(record: record, ending: ending))
    }
}

extension Driver: TurnEndParticipant {
    func turnEnds() {
        isInTurnEnd = false
        if phase == .cutting, flights.isEmpty { return finish(at: now) }
        advance()
    }
}

/// A run's record, and why it ended.
struct RunEnd: Sendable {
    var record: RunRecord
    var ending: Pacer.Ending
}
