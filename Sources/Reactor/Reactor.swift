internal import CLibUV
internal import Glibc
package import Platform
internal import Synchronization

/// An event loop on a thread of its own, which is also the executor of the actors that live on it.
///
/// Streams, listeners, timers and signal sources belong to one reactor and are touched on its thread only; each checks.
/// Any thread may enqueue jobs and `submit` bodies, and read `pulse`.
///
/// The thread runs until `shutdown()`. By then whoever opened something on the reactor must have closed it: a handle left open
/// is a bug of ours and traps.
@safe
package final class Reactor: @unchecked Sendable {
    // Sendable by argument: `mailbox` is a mutex, the figures are atomics, the pointers are set once in `init`, and every other
    // property (marked "thread") is touched on the reactor's thread only, from which the public entries check they are called.
    package let name: String
    private let mailbox: Mutex<Mailbox>
    private let identity = Atomic<UInt>(0)
    private let turns = Atomic<UInt64>(0)
    private let lastTurn = Atomic<UInt64>(0)
    private let idleTotal = Atomic<UInt64>(0)
    private let longestNow = Atomic<UInt64>(0)
    private let longestBefore = Atomic<UInt64>(0)
    private let startedAt: MonotonicInstant

    let loop: UnsafeMutablePointer<uv_loop_t>
    private let wake: UnsafeMutablePointer<uv_async_t>
    private let beforeSleep: UnsafeMutablePointer<uv_prepare_t>
    private let heartbeat: UnsafeMutablePointer<uv_timer_t>

    /// Where every socket of this reactor reads into: reads are handed on before the next one starts. Thread.
    let readBuffer: UnsafeMutableRawBufferPointer
    /// Where TLS sessions put plaintext before it is handed on; one TLS record is at most 16 KiB. Thread.
    let plaintextBuffer: UnsafeMutableRawBufferPointer
    /// Write requests kept for reuse, at most `WriteRequest.spareLimit`. Thread.
    var spareWrites: [WriteRequest] = []
    /// Jobs swapped out of the mailbox, kept for its capacity. Thread.
    private var batch: [Mailbox.Entry] = []
    /// Who asked to be called before the loop sleeps. Thread.
    private var turnEnd: [any TurnEndParticipant] = []
    /// Who asked to be called on the next turn. Thread.
    private var nextTurn: [any NextTurnParticipant] = []
    /// Handles opened and not yet closed, by kind. Thread.
    private var open: [String: Int] = [:]
    private var waitingForEnd: [CheckedContinuation<Void, Never>] = []

    /// - Parameters:
    ///   - name: shown by `top` and debuggers (15 bytes are kept).
    ///   - readBuffer: how much one read takes at most. 64 KiB is what libuv itself suggests; more only helps few streams with much in them.
    /// - Throws: `UVError` when the system has no descriptors or memory for a loop.
    package init(name: String, readBuffer: Int = 64 << 10) throws(UVError) {
        self.name = name
        self.mailbox = Mutex(Mailbox())
        self.startedAt = SystemClock().now
        unsafe loop = .allocate(capacity: 1)
        unsafe wake = .allocate(capacity: 1)
        unsafe beforeSleep = .allocate(capacity: 1)
        unsafe heartbeat = .allocate(capacity: 1)
        unsafe self.readBuffer = .allocate(byteCount: readBuffer, alignment: 64)
        unsafe plaintextBuffer = .allocate(byteCount: 16 << 10, alignment: 64)
        // A peer that has gone must be an EPIPE of one stream, not the end of the process.
        _ = signal(SIGPIPE, SIG_IGN)
        try unsafe check(uv_loop_init(loop), "start the reactor \(name)")
        // Cannot fail once the loop is valid: it only sets a flag.
        unsafe _ = clibuv_measure_idle_time(loop)
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        try unsafe check(uv_async_init(loop, wake, reactorWoke), "start the reactor \(name)")
        unsafe wake.pointee.data = context
        // The next four only fail on null callbacks.
        unsafe _ = uv_prepare_init(loop, beforeSleep)
        unsafe beforeSleep.pointee.data = context
        unsafe _ = uv_prepare_start(beforeSleep, reactorGoesToSleep)
        unsafe _ = uv_timer_init(loop, heartbeat)
        unsafe heartbeat.pointee.data = context
        unsafe _ = uv_timer_start(heartbeat, reactorBeats, 1000, 1000)
        lastTurn.store(startedAt.nanoseconds, ordering: .relaxed)
        SystemThread.start(name: name) { self.run() }
    }

    deinit {
        precondition(identity.load(ordering: .relaxed) == 0, "the reactor \(name) went away while running")
        unsafe wake.deallocate()
        unsafe beforeSleep.deallocate()
        unsafe heartbeat.deallocate()
        unsafe loop.deallocate()
        unsafe readBuffer.deallocate()
        unsafe plaintextBuffer.deallocate()
    }

    /// Runs `body` on the reactor's thread, after everything that was put there before it. From any thread.
    package func submit(_ body: @escaping @Sendable () -> Void) {
        guard put(.body(body)) else { preconditionFailure("work for the reactor \(name), which has ended") }
    }

    /// Ends the thread, after the jobs it already has and after the close callbacks still due. Returns when the loop is gone.
    /// Calling it again does nothing. Not to be called on the reactor itself.
    package func shutdown() async {
        precondition(!isCurrent, "the reactor \(name) cannot wait for its own end")
        await withCheckedContinuation { continuation in
            let accepted = put(.body {
                self.waitingForEnd.append(continuation)
                unsafe uv_stop(self.loop)
            })
            if !accepted { continuation.resume() }
        }
    }

    /// The loop's own cached time, renewed once a turn: a field access, for timeouts that need no more than that. Thread.
    package var now: MonotonicInstant { MonotonicInstant(nanoseconds: unsafe uv_now(loop) * 1_000_000) }

    package var pulse: Pulse {
        let now = SystemClock().now
        let longest = max(longestNow.load(ordering: .relaxed), longestBefore.load(ordering: .relaxed))
        return Pulse(
            turns: turns.load(ordering: .relaxed),
            lastTurn: MonotonicInstant(nanoseconds: lastTurn.load(ordering: .relaxed)),
            uptime: now.since(startedAt),
            idle: .nanoseconds(Int64(clamping: idleTotal.load(ordering: .relaxed))),
            longestTurn: .nanoseconds(Int64(clamping: longest))
        )
    }

    /// Calls `participant` once before the loop sleeps again, in the order of asking; those who ask from within are called in the
    /// same pass. This is where a turn's output is gathered and written with one call. Thread.
    package func atTurnEnd(_ participant: any TurnEndParticipant) {
        requireThread()
        turnEnd.append(participant)
    }

    /// Calls `participant` once on the next turn, after the system has been asked for events: for work that could go on as long
    /// as the system cooperates, so that it takes turns with everything else. Thread.
    package func onNextTurn(_ participant: any NextTurnParticipant) {
        requireThread()
        // Keeps the loop from sleeping in between. Cannot fail before the handle closes, and nothing calls this so late.
        if nextTurn.isEmpty { unsafe _ = uv_async_send(wake) }
        nextTurn.append(participant)
    }

    // MARK: Thread

    var isCurrent: Bool { identity.load(ordering: .relaxed) == UInt(pthread_self()) }

    func requireThread() {
        precondition(isCurrent, "not on the thread of the reactor \(name)")
    }

    func didOpen(_ kind: String) { open[kind, default: 0] += 1 }

    func didClose(_ kind: String) {
        let left = open[kind, default: 0] - 1
        precondition(left >= 0, "a \(kind) closed twice on the reactor \(name)")
        open[kind] = left == 0 ? nil : left
    }

    /// - Returns: false when the reactor has ended.
    func put(_ entry: sending Mailbox.Entry) -> Bool {
        mailbox.withLock { mailbox in
            guard mailbox.phase != .ended else { return false }
            let wasEmpty = mailbox.entries.isEmpty
            mailbox.entries.append(entry)
            // Inside the lock, because the handle is closed only after the phase has changed under it.
            if wasEmpty, mailbox.phase == .running { unsafe _ = uv_async_send(wake) }
            return true
        }
    }

    /// The thread's life: turn until stopped, close what is its own, deliver what is due, close the loop.
    private func run() {
        identity.store(UInt(pthread_self()), ordering: .relaxed)
        unsafe _ = uv_run(loop, UV_RUN_DEFAULT)
        endTurn()
        precondition(open.isEmpty, "the reactor \(name) was shut down with these still open: \(open)")
        mailbox.withLock { $0.phase = .draining }
        let own = unsafe [UnsafeMutableRawPointer(wake), UnsafeMutableRawPointer(beforeSleep), UnsafeMutableRawPointer(heartbeat)]
        for unsafe handle in unsafe own {
            unsafe uv_close(handle.assumingMemoryBound(to: uv_handle_t.self), nil)
        }
        // Only closing handles and finite requests are left, so this returns.
        unsafe _ = uv_run(loop, UV_RUN_DEFAULT)
        while !endedWithNothingLeft() { runJobs() }
        precondition(open.isEmpty, "opened on the reactor \(name) after its shutdown: \(open)")
        // EBUSY is the only failure: a handle or request we have lost track of.
        let status = unsafe uv_loop_close(loop)
        precondition(status == 0, "the loop of the reactor \(name) still has handles: \(UVError.Code(rawValue: status).name)")
        spareWrites = []
        identity.store(0, ordering: .relaxed)
        for waiting in waitingForEnd { waiting.resume() }
    }

    private func endedWithNothingLeft() -> Bool {
        mailbox.withLock { mailbox in
            if mailbox.entries.isEmpty { mailbox.phase = .ended }
            return mailbox.entries.isEmpty
        }
    }

    fileprivate func runJobs() {
        let waiting = nextTurn
        nextTurn = []
        for participant in waiting { participant.nextTurnBegins() }
        swapMailbox()
        for entry in batch {
            switch entry {
            case .job(let job): unsafe job.runSynchronously(on: asUnownedSerialExecutor())
            case .body(let body): body()
            }
        }
        batch.removeAll(keepingCapacity: true)
    }

    private func swapMailbox() {
        var taken = batch
        batch = []
        taken = mailbox.withLock { $0.exchange(taken) }
        batch = taken
    }

    fileprivate func endTurn() {
        var index = 0
        while index < turnEnd.count {
            turnEnd[index].turnEnds()
            index += 1
        }
        turnEnd.removeAll(keepingCapacity: true)
    }

    /// Counts the turn that ends now: its busy time is what has passed since the last one less what was slept.
    fileprivate func recordTurn() {
        let now = uv_hrtime()
        let idle = unsafe uv_metrics_idle_time(loop)
        let passed = now &- lastTurn.load(ordering: .relaxed)
        let slept = idle &- idleTotal.load(ordering: .relaxed)
        let busy = passed > slept ? passed - slept : 0
        if busy > longestNow.load(ordering: .relaxed) { longestNow.store(busy, ordering: .relaxed) }
        lastTurn.store(now, ordering: .relaxed)
        idleTotal.store(idle, ordering: .relaxed)
        turns.add(1, ordering: .relaxed)
    }

    fileprivate func beat() {
        longestBefore.store(longestNow.exchange(0, ordering: .relaxed), ordering: .relaxed)
    }
}

/// Whoever gathers output during a turn and writes it at its end.
package protocol TurnEndParticipant: AnyObject {
    func turnEnds()
}

/// Whoever has more to do than one turn should hold.
package protocol NextTurnParticipant: AnyObject {
    func nextTurnBegins()
}

/// Work waiting for a reactor, in order.
struct Mailbox {
    enum Phase { case running, draining, ended }

    enum Entry {
        case job(UnownedJob)
        case body(@Sendable () -> Void)
    }

    var entries: [Entry] = []
    /// running → draining (no more wake-ups: the thread looks by itself) → ended (nothing is taken any more).
    var phase = Phase.running

    /// Takes what waits and leaves `empty` in its place, for its capacity.
    mutating func exchange(_ empty: [Entry]) -> [Entry] {
        let taken = entries
        entries = empty
        return taken
    }
}

@c private func reactorWoke(_ handle: UnsafeMutablePointer<uv_async_t>?) {
    unsafe Unmanaged<Reactor>.fromOpaque(handle!.pointee.data).takeUnretainedValue().runJobs()
}

@c private func reactorGoesToSleep(_ handle: UnsafeMutablePointer<uv_prepare_t>?) {
    let reactor = unsafe Unmanaged<Reactor>.fromOpaque(handle!.pointee.data).takeUnretainedValue()
    reactor.endTurn()
    reactor.recordTurn()
}

@c private func reactorBeats(_ handle: UnsafeMutablePointer<uv_timer_t>?) {
    unsafe Unmanaged<Reactor>.fromOpaque(handle!.pointee.data).takeUnretainedValue().beat()
}
