internal import Glibc
internal import Platform

/// A blocking socket on a thread of its own: the outside world of a server under test, independent of the server's own code.
///
/// Every wait ends after ten seconds with an error, so that a test fails instead of hanging.
package actor LoopbackClient {
    package struct Failure: Error, Equatable, CustomStringConvertible {
        package let call: String
        package let code: Int32

        package init(call: String, code: Int32) {
            self.call = call
            self.code = code
        }

        package var description: String { "\(call): \(unsafe String(cString: strerror(code)))" }
    }

    private let thread: WorkerThread
    private var descriptor: Int32 = -1

    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.asUnownedSerialExecutor() }

    package init() { thread = WorkerThread(name: "client") }

    package init(port: UInt16, receiveBuffer: Int32? = nil) async throws {
        self.init()
        try connect(port: port, receiveBuffer: receiveBuffer)
    }

    deinit { if descriptor >= 0 { Glibc.close(descriptor) } }

    package func connect(port: UInt16, receiveBuffer: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(call: "socket", code: errno) }
        if var size = receiveBuffer {
            unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        limitWaits()
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let status = unsafe withUnsafeBytes(of: &address) { bytes in
            unsafe Glibc.connect(descriptor, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
        }
        guard status == 0 else { throw Failure(call: "connect", code: errno) }
    }

    package func connect(path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(call: "socket", code: errno) }
        limitWaits()
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        let status = unsafe withUnsafeBytes(of: &address) { bytes in
            unsafe Glibc.connect(descriptor, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
        }
        guard status == 0 else { throw Failure(call: "connect", code: errno) }
    }

    package func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.send(descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Failure(call: "send", code: errno) }
            sent += count
        }
    }

    package func send(_ text: String) throws { try send(Array(text.utf8)) }

    /// Sends as much as the system takes without waiting.
    ///
    /// - Returns: how many bytes that were.
    package func sendNow(_ bytes: [UInt8]) throws -> Int {
        var sent = 0
        while sent < bytes.count {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.send(descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            }
            if count < 0, errno == EAGAIN { break }
            guard count > 0 else { throw Failure(call: "send", code: errno) }
            sent += count
        }
        return sent
    }

    /// At least one byte, or none when the peer has ended.
    package func receive(upTo limit: Int = 64 << 10) throws -> [UInt8] {
        var failure: Int32 = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: limit) { buffer, filled in
            let count = unsafe recv(descriptor, buffer.baseAddress, buffer.count, 0)
            if count < 0 { failure = errno }
            filled = max(0, count)
        }
        guard failure == 0 else { throw Failure(call: "recv", code: failure) }
        return bytes
    }

    /// Exactly `count` bytes, fewer only when the peer ends before.
    package func receive(exactly count: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let part = try receive(upTo: min(1 << 20, count - bytes.count))
            if part.isEmpty { break }
            bytes += part
        }
        return bytes
    }

    package func receiveToEnd() throws -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let part = try receive(upTo: 1 << 20)
            if part.isEmpty { return bytes }
            bytes += part
        }
    }

    /// Bytes up to and including `end`, or to the end of the connection.
    package func receive(until end: String) throws -> String {
        var bytes: [UInt8] = []
        let mark = Array(end.utf8)
        while bytes.suffix(mark.count) != mark[...] {
            let part = try receive(upTo: 1)
            if part.isEmpty { break }
            bytes += part
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// FIN: no more from us.
    package func finish() { _ = shutdown(descriptor, Int32(SHUT_WR)) }

    /// RST instead of FIN.
    package func reset() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
        close()
    }

    package func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    private func limitWaits() {
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }
}
