internal import Glibc

/// A loopback port that is this test's for as long as the value lives, and that nobody serves.
///
/// Listening, the system takes connections that nobody reads from; else every connection is refused. A port that was listened on
/// and closed again would not do for the latter: the system gives it to the next test that asks for one.
package final class LoopbackSocket: Sendable {
    package let port: UInt16
    private let descriptor: Int32

    package init(listening: Bool) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = unsafe withUnsafeMutableBytes(of: &address) { bytes in
            let start = unsafe bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self)
            guard unsafe bind(descriptor, start, length) == 0, !listening || listen(descriptor, 8) == 0 else { return Int32(-1) }
            return unsafe getsockname(descriptor, start, &length)
        }
        self.descriptor = descriptor
        port = UInt16(bigEndian: address.sin_port)
        guard status == 0 else { throw LoopbackClient.Failure(call: "bind", code: errno) }
    }

    deinit { close(descriptor) }
}
