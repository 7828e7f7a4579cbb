internal import Glibc

/// A fresh folder below the system's temporary one, removed with everything in it when it goes.
package final class TemporaryFolder: Sendable {
    package let path: String

    package init() {
        let base = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? P_tmpdir
        var template = Array((base + "/ferry-test-XXXXXX").utf8CString)
        guard let made = unsafe mkdtemp(&template) else { fatalError("cannot make a temporary folder: error \(errno)") }
        path = unsafe String(cString: made)
    }

    deinit {
        removeTree(path)
    }

    package func file(_ name: String) -> String { path + "/" + name }

    @discardableResult
    package func write(_ text: String, to name: String) -> String {
        let path = file(name)
        guard let stream = unsafe fopen(path, "w") else { fatalError("cannot write \(path): error \(errno)") }
        unsafe fputs(text, stream)
        unsafe fclose(stream)
        return path
    }
}

private func removeTree(_ path: String) {
    if let folder = unsafe opendir(path) {
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { removeTree(path + "/" + name) }
        }
        unsafe closedir(folder)
    }
    unsafe _ = remove(path)
}
