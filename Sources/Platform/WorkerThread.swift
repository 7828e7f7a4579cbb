internal import Glibc
internal import Synchronization

/// A thread of its own that runs jobs in order: the executor of actors that may block or compute for milliseconds.
///
/// Held strongly by the actors that live on it; the thread ends when the last reference goes.
package final class WorkerThread: SerialExecutor {
    /// The queue and its wake-up, shared with the thread so that the thread does not keep its owner alive.
    private let mailbox: Mailbox
    private let name: String

    package init(name: String) {
        self.name = name
        let mailbox = Mailbox()
        self.mailbox = mailbox
        SystemThread.start(name: name) { mailbox.run() }
    }

    deinit { mailbox.stop() }

    package func enqueue(_ job: consuming ExecutorJob) {
        unsafe mailbox.put(UnownedJob(job), for: asUnownedSerialExecutor())
    }

    package func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        unsafe UnownedSerialExecutor(ordinary: self)
    }

    package func checkIsolated() {
        precondition(mailbox.isCurrent, "not on the thread \(name)")
    }

    package func isIsolatingCurrentContext() -> Bool? { mailbox.isCurrent }
}

/// Jobs waiting for a thread. All fields behind the mutex; the condition wakes the thread.
@safe
private final class Mailbox: @unchecked Sendable {
    // Sendable by argument: `jobs` and `stopping` are touched only under `mutex`; both pointers are set once in `init`.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: [(UnownedJob, UnownedSerialExecutor)] = unsafe []
    private var stopping = false
    private let identity = Atomic<UInt>(0)

    init() {
        unsafe pthread_mutex_init(mutex, nil)
        unsafe pthread_cond_init(condition, nil)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    var isCurrent: Bool { identity.load(ordering: .relaxed) == UInt(pthread_self()) }

    func put(_ job: UnownedJob, for executor: UnownedSerialExecutor) {
        unsafe pthread_mutex_lock(mutex)
        let wasEmpty = unsafe jobs.isEmpty
        unsafe jobs.append((job, executor))
        unsafe pthread_mutex_unlock(mutex)
        if wasEmpty { unsafe pthread_cond_signal(condition) }
    }

    func stop() {
        unsafe pthread_mutex_lock(mutex)
        stopping = true
        unsafe pthread_mutex_unlock(mutex)
        unsafe pthread_cond_signal(condition)
    }

    func run() {
        identity.store(UInt(pthread_self()), ordering: .relaxed)
        var batch: [(UnownedJob, UnownedSerialExecutor)] = unsafe []
        while true {
            unsafe pthread_mutex_lock(mutex)
            while unsafe jobs.isEmpty && !stopping { unsafe pthread_cond_wait(condition, mutex) }
            if unsafe jobs.isEmpty {
                unsafe pthread_mutex_unlock(mutex)
                return
            }
            unsafe swap(&batch, &jobs)
            unsafe pthread_mutex_unlock(mutex)
            for unsafe (job, executor) in unsafe batch { unsafe job.runSynchronously(on: executor) }
            unsafe batch.removeAll(keepingCapacity: true)
        }
    }
}
