internal import CKernels
internal import Glibc
internal import Platform
internal import Synchronization

/// A fixed number of threads that compute one thing together: the caller and `threads - 1` helpers.
///
/// Owned and called by one thread at a time (it is not Sendable). Work is cut into chunks; each thread has its share of them, and takes
/// from the others' when it is done (`ChunkShares`), so that a helper delayed by another process costs one chunk, not half of the
/// work; a helper that does not come in time is not waited for, and helpers that stall in the middle are left out for a while
/// (`HelperTrust`). Helpers wait for the next call spinning, at most about a millisecond, and then sleep. They end with the team.
package final class ThreadTeam {
    /// Beyond it a call's chunks are too small to share.
    package static let mostThreads = 256

    package let threads: Int
    package let instructionSet: InstructionSet
    private let crew: Crew
    private var trust = HelperTrust()
    /// Partial results of attention over long contexts; grown when a call needs more, kept between calls.
    var attentionStates: Scratch?

    /// - Parameters:
    ///   - threads: 1...`mostThreads`; 1 starts no helper.
    ///   - name: the helpers are called `name-1`, `name-2`, … (the system shows 15 bytes).
    package init(threads: Int, instructionSet: InstructionSet, name: String = "compute") {
        precondition((1...Self.mostThreads).contains(threads), "a team of \(threads) threads; expected 1...\(Self.mostThreads)")
        precondition(instructionSet.isSupported, "this machine lacks \(instructionSet)")
        self.threads = threads
        self.instructionSet = instructionSet
        self.crew = Crew(threads: threads)
        for i in 1..<threads { crew.start(i, name: "\(name)-\(i)") }
    }

    deinit { crew.stop() }

    /// Nothing is to be computed for now: helpers that wait sleep at once and leave their cores to others. The next call wakes them.
    package func rest() { crew.rest() }

    /// Calls `body` once for each of `0..<chunks`, in any order, on any of the threads; returns when all calls have returned.
    ///
    /// Unless another one helps it out, thread t does `ChunkShares.share(of: t, …)` in ascending order.
    /// `body` must not call `run` of the same team. Writes by `body` are visible afterwards, and earlier writes to `body`.
    package func run(chunks: Int, _ body: @Sendable (Int) -> Void) {
        let start = SystemClock().now.nanoseconds
        guard threads > 1 && chunks > 1 && trust.calls(at: start) else {
            for chunk in 0..<max(0, chunks) { body(chunk) }
            return
        }
        let worked = withoutActuallyEscaping(body) { crew.run(chunks: chunks, $0) }
        let end = SystemClock().now.nanoseconds
        trust.endCall(at: end, work: worked - start, wait: end - worked)
    }
}

/// Memory that a team keeps between calls.
final class Scratch {
    let slab: Slab

    init(bytes: Int, purpose: String) throws(FileError) { slab = try Slab(bytes: bytes, purpose: purpose) }
}

/// What the caller and the helpers share.
///
/// A call is open while `gate` is odd. A helper enters (`inside` + 1), looks at the gate again, and only then touches the job; the
/// caller closes the gate, and then waits until nobody is inside. Both sides write before they read in one total order, so
/// either the helper sees the gate closed or the caller sees the helper.
@safe
private final class Crew: @unchecked Sendable {
    // Sendable by argument: `body` is written only while the gate is closed and nobody is inside, and read only by those inside;
    // `mutex` and `condition` are made for sharing.
    private var body: (@Sendable (Int) -> Void)?
    private let shares: ChunkShares
    private let gate = Atomic<Int>(0)
    private let inside = Atomic<Int>(0)
    private let sleepers = Atomic<Int>(0)
    /// The gate at which waiting helpers need not spin.
    private let resting = Atomic<Int>(-1)
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    /// The gate's last value: helpers end.
    private static let stopped = -2

    init(threads: Int) {
        shares = ChunkShares(threads: threads)
        unsafe pthread_mutex_init(mutex, nil)
        unsafe pthread_cond_init(condition, nil)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    /// Starts the helper that is thread `number` of the team.
    func start(_ number: Int, name: String) { SystemThread.start(name: name) { self.serve(number) } }

    func stop() { move(gateTo: Self.stopped) }

    func rest() { resting.store(gate.load(ordering: .relaxed), ordering: .relaxed) }

    /// Returns when the caller's own work ended and its wait for the helpers began.
    func run(chunks: Int, _ body: @escaping @Sendable (Int) -> Void) -> UInt64 {
        self.body = body
        shares.deal(chunks: chunks)
        let open = gate.load(ordering: .relaxed) + 1
        precondition(open % 2 == 1, "run was called inside run")
        move(gateTo: open)
        while let chunk = shares.take(0) { body(chunk) }
        let worked = SystemClock().now.nanoseconds
        gate.store(open &+ 1, ordering: .sequentiallyConsistent)
        var waits = 0
        while inside.load(ordering: .sequentiallyConsistent) != 0 {
            waits += 1
            // A helper without a core (a busy neighbour) gets ours after about 0.1 ms.
            if waits < 2000 { ck_pause() } else { sched_yield() }
        }
        self.body = nil
        return worked
    }

    private func move(gateTo value: Int) {
        gate.store(value, ordering: .sequentiallyConsistent)
        guard sleepers.load(ordering: .sequentiallyConsistent) > 0 else { return }
        unsafe pthread_mutex_lock(mutex)
        unsafe pthread_cond_broadcast(condition)
        unsafe pthread_mutex_unlock(mutex)
    }

    /// A helper's life.
    private func serve(_ number: Int) {
        var seen = 0
        while true {
            let value = waitForGate(after: seen)
            if value == Self.stopped { return }
            seen = value
            guard value % 2 == 1 else { continue }
            inside.wrappingAdd(1, ordering: .sequentiallyConsistent)
            if gate.load(ordering: .sequentiallyConsistent) == value, let body {
                while let chunk = shares.take(number) { body(chunk) }
            }
            inside.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        }
    }

    /// Returns when the gate differs from `seen`.
    private func waitForGate(after seen: Int) -> Int {
        let clock = SystemClock()
        let start = clock.now
        while true {
            for _ in 0..<256 {
                let value = gate.load(ordering: .acquiring)
                if value != seen { return value }
                ck_pause()
            }
            if resting.load(ordering: .relaxed) == seen || clock.now.since(start) > .milliseconds(1) { break }
        }
        unsafe pthread_mutex_lock(mutex)
        sleepers.wrappingAdd(1, ordering: .sequentiallyConsistent)
        while gate.load(ordering: .sequentiallyConsistent) == seen { unsafe pthread_cond_wait(condition, mutex) }
        sleepers.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        unsafe pthread_mutex_unlock(mutex)
        return gate.load(ordering: .acquiring)
    }
}
