internal import Glibc

/// Threads that share one queue of jobs, each of which is done once, by whichever thread is free; jobs begin in the order in which they came.
///
/// Whoever submits bounds how many jobs of his may wait. The threads end with the last reference, after the jobs that they have.
package final class JobThreads: Sendable {
    package let count: Int
    private let queue: Queue

    /// A job is told which of the threads does it, from 0: for what each thread keeps for itself.
    package typealias Job = @Sendable (_ thread: Int) -> Void

    package init(_ count: Int, name: String) {
        precondition((1...64).contains(count), "\(count) threads for jobs")
        self.count = count
        let queue = Queue()
        self.queue = queue
        for index in 0..<count { SystemThread.start(name: count == 1 ? name : "\(name)-\(index)") { queue.serve(index) } }
    }

    deinit { queue.stop() }

    /// From any thread; never waits.
    package func submit(_ job: @escaping Job) { queue.put(job) }
}

@safe
private final class Queue: @unchecked Sendable {
    // Sendable by argument: `jobs`, `next` and `isStopped` are touched only under `mutex`; both pointers are set once in `init`.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    /// Those before `next` are taken.
    private var jobs: [JobThreads.Job?] = []
    private var next = 0
    private var isStopped = false

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

    func put(_ job: @escaping JobThreads.Job) {
        unsafe pthread_mutex_lock(mutex)
        jobs.append(job)
        unsafe pthread_mutex_unlock(mutex)
        unsafe pthread_cond_signal(condition)
    }

    func stop() {
        unsafe pthread_mutex_lock(mutex)
        isStopped = true
        unsafe pthread_mutex_unlock(mutex)
        unsafe pthread_cond_broadcast(condition)
    }

    func serve(_ thread: Int) {
        while let job = take() { job(thread) }
    }

    /// Nil when it is stopped and nothing is left to do.
    private func take() -> JobThreads.Job? {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        while next == jobs.count {
            if isStopped { return nil }
            unsafe pthread_cond_wait(condition, mutex)
        }
        let job = jobs[next]
        jobs[next] = nil
        next += 1
        if next == jobs.count {
            jobs.removeAll(keepingCapacity: true)
            next = 0
        }
        return job
    }
}
