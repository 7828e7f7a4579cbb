internal import Foundation
internal import Platform
internal import Synchronization

/// A program that a test runs: its output is collected whole, its lines can be awaited, every wait has a limit, and what it leaves running
/// in its process group is killed when it ends.
package final class ChildProcess: Sendable {
    package struct Ending: Equatable, Sendable, CustomStringConvertible {
        package enum Cause: Equatable, Sendable {
            case exit(Int32)
            case signal(Int32)
        }

        package let cause: Cause
        /// Whether it was killed because a limit had passed.
        package let overdue: Bool

        package static let success = Ending(cause: .exit(0), overdue: false)

        package init(cause: Cause, overdue: Bool) {
            self.cause = cause
            self.overdue = overdue
        }

        package var description: String {
            let cause =
                switch cause {
                case .exit(let status): "exit status \(status)"
                case .signal(let number): "ended by signal \(number)"
                }
            return overdue ? cause + ", killed after its time limit" : cause
        }
    }

    package struct StartError: Error, CustomStringConvertible {
        let command: String
        let code: Int32

        package var description: String { unsafe "\(command) cannot be started: \(String(cString: strerror(code)))" }
    }

    private enum Channel: Int {
        case output
        case errorOutput
    }

    private struct State {
        /// By channel.
        var written: [[UInt8]] = [[], []]
        var openChannels = 2
        var cause: Ending.Cause?
        var overdue = false
        /// Resumed at every change; whoever waits looks again.
        var waiters: [CheckedContinuation<Void, Never>] = []

        /// Ended, and all that it wrote was read.
        var ending: Ending? { openChannels == 0 ? cause.map { Ending(cause: $0, overdue: overdue) } : nil }
    }

    private let state = Mutex(State())
    /// The process, and its process group.
    package let identifier: Int32
    package let command: String

    /// Held while pipes are made and a program is started, so that no other program inherits their ends.
    private static let starting = Mutex(())

    /// Starts `executable` (a path) with empty standard input. `environment` is added to the test's own.
    package init(_ executable: String, _ arguments: [String] = [], environment: [String: String] = [:]) throws {
        let words = [executable] + arguments
        let variables = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }.map { "\($0)=\($1)" }
        let started = Self.starting.withLock { _ in Self.spawn(words, variables) }
        command = words.joined(separator: " ")
        guard started.code == 0 else { throw StartError(command: command, code: started.code) }
        identifier = started.identifier
        Thread.detachNewThread { self.collect(started.output, .output) }
        Thread.detachNewThread { self.collect(started.errorOutput, .errorOutput) }
        Thread.detachNewThread { self.reap() }
    }

    /// An error code, or a process and the reading ends of its pipes.
    private static func spawn(_ words: [String], _ variables: [String]) -> (code: Int32, identifier: pid_t, output: Int32, errorOutput: Int32) {
        var output: [Int32] = [-1, -1]
        var errorOutput: [Int32] = [-1, -1]
        guard unsafe pipe(&output) == 0, unsafe pipe(&errorOutput) == 0 else { return (errno, 0, 0, 0) }
        for end in output + errorOutput { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer {
            close(output[1])
            close(errorOutput[1])
        }
        var actions = unsafe posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        unsafe posix_spawn_file_actions_init(&actions)
        unsafe posix_spawnattr_init(&attributes)
        defer {
            unsafe posix_spawn_file_actions_destroy(&actions)
            unsafe posix_spawnattr_destroy(&attributes)
        }
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, output[1], 1)
        unsafe posix_spawn_file_actions_adddup2(&actions, errorOutput[1], 2)
        // The threads of a test may block or ignore signals, and both would be inherited.
        var blocked = sigset_t()
        var ordinary = sigset_t()
        unsafe sigemptyset(&blocked)
        unsafe sigemptyset(&ordinary)
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM, SIGCHLD] { unsafe sigaddset(&ordinary, signal) }
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        unsafe posix_spawnattr_setpgroup(&attributes, 0)
        unsafe posix_spawnattr_setsigmask(&attributes, &blocked)
        unsafe posix_spawnattr_setsigdefault(&attributes, &ordinary)

        var process: pid_t = 0
        let code = unsafe withCStrings(words) { words in
            unsafe withCStrings(variables) { variables in
                unsafe posix_spawn(&process, words[0]!, &actions, &attributes, words, variables)
            }
        }
        guard code == 0 else {
            close(output[0])
            close(errorOutput[0])
            return (code, 0, 0, 0)
        }
        return (0, process, output[0], errorOutput[0])
    }

    /// What it has written so far.
    package var output: String { String(decoding: state.withLock { $0.written[Channel.output.rawValue] }, as: UTF8.self) }
    package var errorOutput: String { String(decoding: state.withLock { $0.written[Channel.errorOutput.rawValue] }, as: UTF8.self) }

    /// Its first line on standard output that begins with `prefix`, without the prefix. Nil if it ends first; it is killed at `limit`.
    package func line(after prefix: String, within limit: Duration) async -> String? {
        let timer = killing(after: limit)
        defer { timer.cancel() }
        return await wait { state in
            let text = String(decoding: state.written[Channel.output.rawValue], as: UTF8.self)
            for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() where line.hasPrefix(prefix) {
                return .some(String(line.dropFirst(prefix.count)))
            }
            return state.ending == nil ? nil : .some(nil)
        }
    }

    /// How it ends. It is killed at `limit`.
    package func ending(within limit: Duration) async -> Ending {
        let timer = killing(after: limit)
        defer { timer.cancel() }
        return await wait { $0.ending }
    }

    package func signal(_ number: Int32) {
        // Until it is reaped its identifier cannot be another's.
        state.withLock { if $0.cause == nil { _ = Foundation.kill(identifier, number) } }
    }

    /// Kills it at `limit` unless cancelled before. On a thread of the system, so that no wait of a test can hold it up.
    private func killing(after limit: Duration) -> any DispatchSourceTimer {
        let timer = DispatchSource.makeTimerSource()
        timer.schedule(deadline: .now() + .milliseconds(Int(limit.inMilliseconds)))
        timer.setEventHandler {
            self.state.withLock { $0.overdue = $0.overdue || $0.cause == nil }
            self.signal(SIGKILL)
        }
        timer.activate()
        return timer
    }

    private func wait<Result>(_ look: (borrowing State) -> Result?) async -> Result {
        while true {
            if let result = state.withLock({ look($0) }) { return result }
            await withCheckedContinuation { continuation in
                let changed = state.withLock { state in
                    if look(state) != nil { return true }
                    state.waiters.append(continuation)
                    return false
                }
                if changed { continuation.resume() }
            }
        }
    }

    private func change(_ body: (inout State) -> Void) {
        let waiters = state.withLock { state in
            body(&state)
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// On a thread of its own, until the pipe is closed by all who hold it.
    private func collect(_ descriptor: Int32, _ channel: Channel) {
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            change { $0.written[channel.rawValue].append(contentsOf: buffer[..<count]) }
        }
        close(descriptor)
        change { $0.openChannels -= 1 }
    }

    /// On a thread of its own. The group is killed while the ended process still holds its number.
    private func reap() {
        var ended = unsafe siginfo_t()
        while unsafe waitid(P_PID, id_t(identifier), &ended, WEXITED | WNOWAIT) != 0, errno == EINTR {}
        _ = Foundation.kill(-identifier, SIGKILL)
        var status: Int32 = 0
        change { state in
            while unsafe waitpid(identifier, &status, 0) < 0, errno == EINTR {}
            state.cause = status & 0x7F == 0 ? .exit(status >> 8 & 0xFF) : .signal(status & 0x7F)
        }
    }
}

/// Calls `body` with a null-terminated array of C strings.
private func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    var pointers = unsafe strings.map { unsafe strdup($0) } + [nil]
    defer { for unsafe pointer in unsafe pointers { unsafe free(pointer) } }
    return unsafe body(&pointers)
}
