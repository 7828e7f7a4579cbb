import Platform
import Reactor

/// What a stream's receiver was told.
enum StreamEvent: Equatable, Sendable {
    case accepted, connected, established
    case received([UInt8])
    case ended, drained
    case closed(StreamEnd)
    case fired(String)
}

/// An actor on a reactor that owns what a test opens, and reports what happens as a sequence of events.
actor Stage {
    nonisolated let reactor: Reactor
    nonisolated let events: AsyncStream<StreamEvent>
    private let report: AsyncStream<StreamEvent>.Continuation
    private var recorders: [Recorder] = []
    private var streams: [any ByteStream] = []
    private var listener: TCPListener?
    private var timers: [ReactorTimer] = []
    private var dueTimers: [DueTimer] = []
    private var signals: [SignalSource] = []
    private var connecting: Connecting?

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe reactor.asUnownedSerialExecutor() }

    init(name: String = "stage") throws {
        reactor = try Reactor(name: name)
        (events, report) = AsyncStream.makeStream()
    }

    /// Closes everything and ends the reactor, which traps if anything was lost track of.
    func closeAll() {
        listener?.close()
        for stream in streams { stream.close() }
        for timer in timers { timer.close() }
        for timer in dueTimers { timer.close() }
        for signal in signals { signal.close() }
        connecting?.cancel()
    }

    nonisolated func end() async {
        await closeAll()
        await reactor.shutdown()
    }

    @discardableResult
    func listen(
        on text: String = "127.0.0.1:0", echo: Bool = false, reading: Bool = true, tls: TLSContext? = nil
    ) throws -> Endpoint {
        let report = report
        let listener = try TCPListener(Endpoint(text), on: reactor) { accepted in
            report.yield(.accepted)
            self.adopt(accepted, echo: echo, reading: reading, tls: tls, serverName: nil)
        }
        self.listener = listener
        return listener.endpoint
    }

    func listenAgain(on endpoint: Endpoint) throws {
        let second = try TCPListener(endpoint, on: reactor) { $0.close() }
        second.close()
    }

    private func adopt(_ accepted: TCPStream, echo: Bool, reading: Bool, tls: TLSContext?, serverName: String?) {
        let report = report
        let stream: any ByteStream = if let tls {
            TLSStream(over: accepted, context: tls, serverName: serverName) { report.yield(.established) }
        } else {
            accepted
        }
        let recorder = Recorder(report, echo: echo)
        stream.receiver = recorder
        recorders.append(recorder)
        streams.append(stream)
        if reading { stream.resumeReading() }
    }

    func connect(to text: String, tls: TLSContext? = nil, serverName: String? = nil) throws {
        let report = report
        connecting = TCPStream.connect(to: try Endpoint(text), on: reactor) { result in
            switch result {
            case .success(let stream):
                report.yield(.connected)
                self.adopt(stream, echo: false, reading: true, tls: tls, serverName: serverName)
            case .failure(let error): report.yield(.closed(.failed(error)))
            }
        }
    }

    func pauseListening() { listener?.pause() }
    func resumeListening() { listener?.resume() }

    func write(_ bytes: [UInt8], times: Int = 1, to index: Int = 0) {
        for _ in 0..<times { streams[index].write(bytes) }
    }

    func finishWriting(_ index: Int = 0) { streams[index].finishWriting() }
    func pause(_ index: Int = 0) { streams[index].pauseReading() }
    func resume(_ index: Int = 0) { streams[index].resumeReading() }
    func close(_ index: Int = 0) { streams[index].close() }
    /// As a program that dies.
    func reset(_ index: Int = 0) { if let secure = streams[index] as? TLSStream { secure.reset() } else { (streams[index] as? TCPStream)?.reset() } }
    func queued(_ index: Int = 0) -> Int { streams[index].queuedBytes }
    func bytes(_ index: Int = 0) -> (received: UInt64, sent: UInt64) { (streams[index].bytesReceived, streams[index].bytesSent) }
    func negotiated(_ index: Int = 0) -> String? { streams[index].negotiatedProtocol }
    func peer(_ index: Int = 0) -> Endpoint? { streams[index].peer }
    func fingerprint(_ index: Int = 0) -> [UInt8]? { (streams[index] as? TLSStream)?.peerFingerprint }
    func statistics(_ index: Int = 0) -> LinkStatistics? { (streams[index] as? TCPStream)?.linkStatistics() }
    var streamCount: Int { streams.count }

    func timer(_ name: String, after delay: Duration, repeating: Duration? = nil) {
        let report = report
        timers.append(ReactorTimer(on: reactor, after: delay, repeating: repeating) { report.yield(.fired(name)) })
    }

    /// A timer that is silent yet; its firings are reported with the clock's time.
    func dueTimer(_ name: String) throws {
        let report = report
        dueTimers.append(try DueTimer(on: reactor) { report.yield(.fired(name)) })
    }

    func set(_ instant: MonotonicInstant?, timer index: Int = 0) { dueTimers[index].set(instant) }
    func set(_ first: MonotonicInstant, every interval: Duration, timer index: Int = 0) { dueTimers[index].set(first, every: interval) }

    /// Returns when everything that the system had for the reactor at the call has been handled: the loop has asked it for events twice,
    /// because what it gives at once comes in any order.
    func lookForEvents() async {
        for _ in 0..<2 { await withCheckedContinuation { reactor.onNextTurn(NextTurn(continuation: $0)) } }
    }

    func closeTimer(_ index: Int) { timers[index].close() }

    func watch(_ signal: Signal) throws {
        let report = report
        signals.append(try SignalSource(signal, on: reactor) { report.yield(.fired("\(signal)")) })
    }

    /// Bytes received by all streams together until `count` have come.
    nonisolated func received(_ count: Int) async -> [UInt8] {
        var bytes: [UInt8] = []
        guard count > 0 else { return bytes }
        for await event in events {
            if case .received(let part) = event { bytes += part }
            if bytes.count >= count { break }
        }
        return bytes
    }

    /// The next event that is not about received bytes.
    nonisolated func next() async -> StreamEvent? {
        for await event in events {
            if case .received = event { continue }
            return event
        }
        return nil
    }
}

private final class NextTurn: NextTurnParticipant {
    let continuation: CheckedContinuation<Void, Never>

    init(continuation: CheckedContinuation<Void, Never>) { self.continuation = continuation }

    func nextTurnBegins() { continuation.resume() }
}

private final class Recorder: ByteStreamReceiver {
    private let report: AsyncStream<StreamEvent>.Continuation
    private let echo: Bool

    init(_ report: AsyncStream<StreamEvent>.Continuation, echo: Bool) {
        self.report = report
        self.echo = echo
    }

    func stream(_ stream: any ByteStream, didReceive bytes: RawSpan) {
        if echo { stream.write(bytes) } else { report.yield(.received(unsafe bytes.withUnsafeBytes { unsafe Array($0) })) }
    }

    func streamDidReachEnd(_ stream: any ByteStream) {
        report.yield(.ended)
        if echo { stream.finishWriting() }
    }

    func streamDidDrain(_ stream: any ByteStream) { report.yield(.drained) }
    func streamDidClose(_ stream: any ByteStream, _ reason: StreamEnd) { report.yield(.closed(reason)) }
}
