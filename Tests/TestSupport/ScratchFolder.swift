internal import Glibc
package import Platform

/// A folder of a test's own below the system's temporary folder; removed with everything in it when the test lets go.
package final class ScratchFolder: Sendable {
    package let path: String

    package init() {
        let base = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
        var template = Array("\(base)/ferry-test-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { preconditionFailure("cannot make a folder in \(base): error \(errno)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { Self.remove(path) }

    /// Writes `bytes` as file `name`; returns its path.
    @discardableResult
    package func write(_ name: String, _ bytes: [UInt8]) -> String {
        let path = path + "/" + name
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        precondition(descriptor >= 0, "cannot write \(path): error \(errno)")
        defer { close(descriptor) }
        var offset = 0
        while offset < bytes.count {
            let count = unsafe bytes[offset...].withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            precondition(count > 0, "cannot write \(path): error \(errno)")
            offset += count
        }
        return path
    }

    @discardableResult
    package func write(_ name: String, _ text: String) -> String { write(name, Array(text.utf8)) }

    /// Names in the folder at `relative`, sorted; empty where there is none.
    package func names(in relative: String = "") -> [String] { Self.names(path + "/" + relative) }

    package func read(_ name: String) throws(FileError) -> [UInt8] { try Self.read(path + "/" + name) }

    /// All bytes of the file at `path`.
    package static func read(_ path: String) throws(FileError) -> [UInt8] {
        let mapping = try MappedFile(path: path)
        return unsafe mapping.bytes.withUnsafeBytes { unsafe Array($0) }
    }

    private static func names(_ path: String) -> [String] {
        guard let folder = unsafe opendir(path) else { return [] }
        defer { unsafe closedir(folder) }
        var names: [String] = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafePointer(to: entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    private static func remove(_ path: String) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return }
        if status.st_mode & S_IFMT == S_IFDIR {
            for name in names(path) { remove(path + "/" + name) }
            unsafe _ = rmdir(path)
        } else {
            unsafe _ = unlink(path)
        }
    }
}
