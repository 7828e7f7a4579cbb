internal import Glibc

/// The process's standard error stream, for log lines.
package enum StandardError {
    /// Whether a person at a terminal reads it.
    package static var isTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    /// Writes `bytes` in as few system calls as the system allows, normally one, so that lines of several threads do not mix.
    /// What cannot be written is dropped: a broken log must not stop the service.
    package static func write(_ bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { buffer in
            var done = 0
            while done < buffer.count {
                let count = unsafe Glibc.write(STDERR_FILENO, buffer.baseAddress! + done, buffer.count - done)
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { return }
                done += count
            }
        }
    }
}
