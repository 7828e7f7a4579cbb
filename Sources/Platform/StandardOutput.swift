internal import Glibc

/// The process's standard output stream, for what scripts read.
package enum StandardOutput {
    package static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

    /// Writes all of `text` past every buffer, so that whoever reads a pipe sees it now.
    ///
    /// - Throws: `FileError` when the reader has gone or the disk is full.
    package static func write(_ text: String) throws(FileError) {
        let failure = unsafe Array(text.utf8).withUnsafeBytes { buffer -> Int32 in
            var done = 0
            while done < buffer.count {
                let count = unsafe Glibc.write(STDOUT_FILENO, buffer.baseAddress! + done, buffer.count - done)
                if count >= 0 { done += count } else if errno != EINTR { return errno }
            }
            return 0
        }
        if failure != 0 { throw FileError("write to", path: "standard output", code: failure) }
    }
}
