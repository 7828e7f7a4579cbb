internal import Glibc

/// Has the system read a plan's bytes on a thread of its own: asking waits where the disk's queue is full, and those who compute should not.
///
/// Ends with its plan, and with its last reference; nobody waits for it.
package final class ReadAhead: Sendable {
    private let desk: Desk

    package init(_ plan: ReadAheadPlan, of files: [MappedFile]) {
        let desk = Desk(plan)
        self.desk = desk
        guard !plan.isOver else { return }
        SystemThread.start(name: "read-ahead") {
            while let piece = desk.wait() { files[piece.file].adviseWillNeed(piece.range) }
        }
    }

    deinit { desk.stop() }

    /// Step `index` of the plan is in use.
    package func begin(_ index: Int) { desk.begin(index) }
}

/// The plan between its thread and those who use the bytes.
@safe
private final class Desk: @unchecked Sendable {
    // Sendable by argument: `plan` and `isStopped` are touched only under `mutex`; both pointers are set once in `init`.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var plan: ReadAheadPlan
    private var isStopped = false

    init(_ plan: ReadAheadPlan) {
        self.plan = plan
        unsafe pthread_mutex_init(mutex, nil)
        unsafe pthread_cond_init(condition, nil)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    func begin(_ index: Int) { change { plan.begin(index) } }

    func stop() { change { isStopped = true } }

    /// The next piece, when it may be read; nil when there will be none.
    func wait() -> ReadAheadPlan.Piece? {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        while !isStopped, !plan.isOver {
            if let piece = plan.take() { return piece }
            unsafe pthread_cond_wait(condition, mutex)
        }
        return nil
    }

    private func change(_ body: () -> Void) {
        unsafe pthread_mutex_lock(mutex)
        body()
        unsafe pthread_mutex_unlock(mutex)
        unsafe pthread_cond_signal(condition)
    }
}
