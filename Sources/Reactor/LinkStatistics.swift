internal import CLibUV
internal import Glibc

/// What the kernel has measured about one TCP connection.
package struct LinkStatistics: Sendable, Equatable {
    /// Smoothed round-trip time.
    package var roundTrip: Duration
    package var shortestRoundTrip: Duration
    /// Bytes a second at which data was last acknowledged; 0 before the first measurement. A lower bound of the link's rate while
    /// the sender had too little to send.
    package var deliveryRate: UInt64
    /// Segments sent again since the beginning.
    package var retransmissions: UInt32
    /// Bytes in the socket's buffer that have not been sent once.
    package var unsentBytes: UInt32
}

extension TCPStream {
    /// One system call, about a microsecond. Nil for Unix sockets and when the connection is gone.
    package func linkStatistics() -> LinkStatistics? {
        reactor.requireThread()
        guard isOpen, let descriptor else { return nil }
        // `struct tcp_info` of <linux/tcp.h>, whose layout is fixed and only grows at its end; the C library's header stops too
        // early.
        var length = socklen_t(168)
        return unsafe withUnsafeTemporaryAllocation(byteCount: Int(length), alignment: 8) { buffer in
            let status = unsafe getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_INFO, buffer.baseAddress, &length)
            // Shorter before Linux 4.9, which had no delivery rate.
            guard status == 0, length == 168 else { return nil }
            return unsafe LinkStatistics(
                roundTrip: .microseconds(buffer.load(fromByteOffset: 68, as: UInt32.self)),
                shortestRoundTrip: .microseconds(buffer.load(fromByteOffset: 148, as: UInt32.self)),
                deliveryRate: buffer.load(fromByteOffset: 160, as: UInt64.self),
                retransmissions: buffer.load(fromByteOffset: 100, as: UInt32.self),
                unsentBytes: buffer.load(fromByteOffset: 144, as: UInt32.self)
            )
        }
    }
}
