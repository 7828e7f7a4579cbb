internal import Glibc

/// A failed operation on a file, as the person who named that file needs to hear it.
package struct FileError: Error, Equatable, CustomStringConvertible {
    /// What was tried, as a verb: "open", "map", "write".
    package let operation: String
    package let path: String
    /// The system's `errno`, or 0 where the file itself is at fault (too short, not regular).
    package let code: Int32
    package let detail: String

    package init(_ operation: String, path: String, code: Int32) {
        self.operation = operation
        self.path = path
        self.code = code
        self.detail = unsafe String(cString: strerror(code))
    }

    package init(_ operation: String, path: String, detail: String) {
        self.operation = operation
        self.path = path
        self.code = 0
        self.detail = detail
    }

    package var description: String { "cannot \(operation) \(path): \(detail)" }
}
