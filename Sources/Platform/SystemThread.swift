internal import Glibc

/// A thread of the system.
package enum SystemThread {
    /// Starts a thread that runs `body` and then ends; nobody waits for it.
    ///
    /// - Parameter name: shown by `top` and debuggers; the system keeps 15 bytes of it.
    package static func start(name: String, _ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let beginning = unsafe Unmanaged.passRetained(Beginning(name: name, body: body)).toOpaque()
        let status = unsafe pthread_create(&thread, nil, threadBegins, beginning)
        precondition(status == 0, "cannot start the thread \(name): error \(status)")
        pthread_detach(thread)
    }
}

/// What a new thread is handed.
private final class Beginning: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
        self.name = name
        self.body = body
    }
}

@c private func threadBegins(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    let beginning = unsafe Unmanaged<Beginning>.fromOpaque(argument!).takeRetainedValue()
    nameThisThread(beginning.name)
    beginning.body()
    return nil
}

private func nameThisThread(_ name: String) {
    let descriptor = unsafe open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    let bytes = Array(name.utf8.prefix(15))
    unsafe _ = write(descriptor, bytes, bytes.count)
}
