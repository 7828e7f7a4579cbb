extension Reactor: SerialExecutor {
    package func enqueue(_ job: consuming ExecutorJob) {
        guard put(.job(UnownedJob(job))) else { preconditionFailure("a job for the reactor \(name), which has ended") }
    }

    package func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        unsafe UnownedSerialExecutor(ordinary: self)
    }

    package func isSameExclusiveExecutionContext(other: Reactor) -> Bool { self === other }

    package func checkIsolated() { requireThread() }

    package func isIsolatingCurrentContext() -> Bool? { isCurrent }
}
