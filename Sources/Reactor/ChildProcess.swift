internal import CLibUV
internal import Glibc

/// How a child process ended.
package enum ChildEnd: Sendable, Equatable, CustomStringConvertible {
    case exited(status: Int32)
    case killed(signal: Int32)

    package var description: String {
        switch self {
        case .exited(let status): "ended with status \(status)"
        case .killed(let signal): "was ended by signal \(signal)"
        }
    }
}

/// Another program, started and watched on a reactor. Reactor thread only.
///
/// The child reads from a pipe whose other end this process holds and never writes to: when this process dies, however it does, the
/// child's standard input is at its end. It begins with the default effect of every signal and, of this process's descriptors, gets
/// those for output, as everything this program opens is closed on exec.
///
/// A child cannot be closed, only end: whoever wants to end the reactor before signals it and waits for `onExit`.
@safe
package final class ChildProcess {
    private let reactor: Reactor
    package let executable: String
    /// The child's number; it means nothing once the child has ended.
    package private(set) var number: Int32 = 0
    private let process: UnsafeMutablePointer<uv_process_t>
    private let input: UnsafeMutablePointer<uv_pipe_t>
    private var onExit: ((ChildEnd) -> Void)?
    private var inputIsOpen = true
    /// Of the two handles, how many the loop still has. Both hold the object.
    private var handles = 2
    package private(set) var isRunning = false

    package enum Output: Sendable {
        /// Both go where this process's go.
        case inherited
        /// Standard error goes where this process's goes, standard output nowhere.
        case errorsOnly
    }

    /// Starts `executable`, a path.
    ///
    /// - Parameters:
    ///   - environment: the child's whole environment; nil for this process's own.
    ///   - onExit: called once, on a later turn, when the child has ended and is reaped.
    /// - Throws: `UVError` naming the program when it cannot be started; `onExit` is not called then.
    package init(
        _ executable: String, _ arguments: [String], environment: [String: String]? = nil, output: Output = .inherited,
        on reactor: Reactor, onExit: @escaping (ChildEnd) -> Void
    ) throws(UVError) {
        reactor.requireThread()
        self.reactor = reactor
        self.executable = executable
        self.onExit = onExit
        unsafe process = .allocate(capacity: 1)
        unsafe input = .allocate(capacity: 1)
        // Cannot fail: no descriptor is made yet.
        unsafe _ = uv_pipe_init(reactor.loop, input, 0)
        unsafe input.pointee.data = Unmanaged.passRetained(self).toOpaque()
        let status = spawn(arguments, environment?.map { $0.key + "=" + $0.value }, output)
        // Set after the call, which initialises the handle, also when it fails.
        unsafe process.pointee.data = Unmanaged.passRetained(self).toOpaque()
        reactor.didOpen("child process")
        guard status == 0 else {
            self.onExit = nil
            closeHandles()
            throw UVError(status, "start \(executable)")
        }
        number = unsafe process.pointee.pid
        isRunning = true
    }

    deinit { precondition(handles == 0, "a child process, \(executable), went away while running") }

    /// Sends a signal; nothing when the child has ended.
    package func signal(_ signal: Signal) { send(signal.number) }

    /// Ends the child at once.
    package func kill() { send(SIGKILL) }

    /// Lets the child's standard input end. Idempotent.
    package func closeInput() {
        reactor.requireThread()
        guard inputIsOpen else { return }
        inputIsOpen = false
        unsafe uv_close(UnsafeMutableRawPointer(input).assumingMemoryBound(to: uv_handle_t.self), childInputClosed)
    }

    private func send(_ number: Int32) {
        reactor.requireThread()
        guard isRunning else { return }
        // ESRCH when it has ended and the loop has not yet heard; the number is not another's before it is reaped.
        unsafe _ = uv_process_kill(process, number)
    }

    private func spawn(_ arguments: [String], _ environment: [String]?, _ output: Output) -> Int32 {
        var words = unsafe ([executable] + arguments).map { unsafe strdup($0) } + [nil]
        var variables = unsafe (environment ?? []).map { unsafe strdup($0) } + [nil]
        defer { for unsafe word in unsafe words + variables { unsafe free(word) } }
        var ends = unsafe [uv_stdio_container_t](repeating: uv_stdio_container_t(), count: 3)
        unsafe ends[0].flags = uv_stdio_flags(rawValue: UV_CREATE_PIPE.rawValue | UV_READABLE_PIPE.rawValue)
        unsafe ends[0].data.stream = UnsafeMutableRawPointer(input).assumingMemoryBound(to: uv_stream_t.self)
        unsafe ends[1].flags = output == .inherited ? UV_INHERIT_FD : UV_IGNORE
        unsafe ends[1].data.fd = STDOUT_FILENO
        unsafe ends[2].flags = UV_INHERIT_FD
        unsafe ends[2].data.fd = STDERR_FILENO
        return unsafe words.withUnsafeMutableBufferPointer { words in
            unsafe variables.withUnsafeMutableBufferPointer { variables in
                unsafe ends.withUnsafeMutableBufferPointer { ends in
                    unsafe executable.withCString { file in
                        var options = unsafe uv_process_options_t()
                        unsafe options.exit_cb = childExited
                        unsafe options.file = file
                        unsafe options.args = words.baseAddress
                        if environment != nil { unsafe options.env = variables.baseAddress }
                        unsafe options.stdio = ends.baseAddress
                        unsafe options.stdio_count = 3
                        return unsafe uv_spawn(reactor.loop, process, &options)
                    }
                }
            }
        }
    }

    private func closeHandles() {
        reactor.didClose("child process")
        closeInput()
        unsafe uv_close(UnsafeMutableRawPointer(process).assumingMemoryBound(to: uv_handle_t.self), childClosed)
    }

    fileprivate func exited(_ end: ChildEnd) {
        isRunning = false
        let tell = onExit
        onExit = nil
        closeHandles()
        tell?(end)
    }

    fileprivate func freeInput() {
        unsafe input.deallocate()
        handles -= 1
    }

    fileprivate func freeProcess() {
        unsafe process.deallocate()
        handles -= 1
    }
}

@c private func childExited(_ handle: UnsafeMutablePointer<uv_process_t>?, _ status: Int64, _ signal: Int32) {
    let child = unsafe Unmanaged<ChildProcess>.fromOpaque(handle!.pointee.data).takeUnretainedValue()
    child.exited(signal == 0 ? .exited(status: Int32(truncatingIfNeeded: status)) : .killed(signal: signal))
}

@c private func childInputClosed(_ handle: UnsafeMutablePointer<uv_handle_t>?) {
    unsafe Unmanaged<ChildProcess>.fromOpaque(handle!.pointee.data).takeRetainedValue().freeInput()
}

@c private func childClosed(_ handle: UnsafeMutablePointer<uv_handle_t>?) {
    unsafe Unmanaged<ChildProcess>.fromOpaque(handle!.pointee.data).takeRetainedValue().freeProcess()
}
