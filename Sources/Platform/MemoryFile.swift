internal import CLinux
internal import Glibc

/// A file in memory under no name: processes of this user open it by `path` while this one holds it, and it is gone with the last that does.
package final class MemoryFile: Sendable {
    let descriptor: Int32
    /// Leads there from every process that may look into this one.
    package let path: String

    /// A zeroed file of `count` bytes, in huge pages where the system allows.
    ///
    /// - Throws: `FileError` when the system refuses it; `purpose` is for that.
    init(for purpose: String, bytes count: Int) throws(FileError) {
        let descriptor = unsafe memfd_create("ferry-weights", UInt32(CL_MEMFD_CLOEXEC | CL_MEMFD_ALLOW_SEALING))
        guard descriptor >= 0 else { throw FileError("allocate \(count) bytes for", path: purpose, code: errno) }
        self.descriptor = descriptor
        path = "/proc/\(getpid())/fd/\(descriptor)"
        guard ftruncate(descriptor, off_t(count)) == 0 else { throw FileError("allocate \(count) bytes for", path: purpose, code: errno) }
    }

    deinit { close(descriptor) }

    /// From now on nobody can change it, nor lift this. No mapping for writing may exist.
    func seal() throws(FileError) {
        guard fcntl(descriptor, Int32(CL_ADD_SEALS), Int32(CL_SEAL_ALL)) == 0 else {
            throw FileError("seal", path: path, code: errno)
        }
    }
}
