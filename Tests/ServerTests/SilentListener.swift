import Glibc
import Reactor
import TestSupport

/// A socket whose connections the system accepts and nobody serves.
final class SilentListener {
    private let descriptor: Int32
    let endpoint: Endpoint

    init() throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = unsafe withUnsafeMutableBytes(of: &address) { bytes in
            let start = unsafe bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self)
            guard unsafe bind(descriptor, start, length) == 0, listen(descriptor, 8) == 0 else { return Int32(-1) }
            return unsafe getsockname(descriptor, start, &length)
        }
        self.descriptor = descriptor
        endpoint = .tcp(host: "127.0.0.1", port: UInt16(bigEndian: address.sin_port))
        guard status == 0 else { throw LoopbackClient.Failure(call: "listen", code: errno) }
    }

    deinit { close(descriptor) }
}
