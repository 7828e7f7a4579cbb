internal import Glibc
internal import Platform
internal import Wire

/// The plain side of the comparison: blocking sockets. A request is 16 bytes: how many bytes are wanted, and whether they are blocks.
struct LinkBenchmarkSocket: ~Copyable {
    private let descriptor: Int32

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    // MARK: Receiver

    /// Asks for `bytes` and takes them; the time from asking to the last one.
    static func receive(port: UInt16, bytes: Int, blocks: Bool) throws -> Duration {
        let socket = LinkBenchmarkSocket(Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0))
        var address = loopback(port)
        let status = unsafe withUnsafeBytes(of: &address) { bytes in
            unsafe connect(socket.descriptor, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
        }
        guard status == 0 else { throw failure("connect") }
        var target = LinkBlocks()
        var buffer = [UInt8](repeating: 0, count: LinkBenchmark.buffer)
        let began = SystemClock().now
        try socket.send(request(bytes, blocks))
        if blocks {
            var header = [UInt8](repeating: 0, count: BlockHeader.byteCount)
            for _ in 0..<(bytes / LinkBlocks.frame) {
                try unsafe header.withUnsafeMutableBytes { try unsafe socket.fill($0) }
                try unsafe target.putBlock(header: header) { try unsafe socket.fill($0) }
            }
        } else {
            var left = bytes
            while left > 0 {
                left -= try unsafe buffer.withUnsafeMutableBytes { try unsafe socket.read(into: $0, atMost: left) }
            }
        }
        return SystemClock().now.since(began)
    }

    private static func request(_ bytes: Int, _ blocks: Bool) -> [UInt8] {
        var writer = ByteWriter(capacity: 16)
        writer.write(UInt64(bytes))
        writer.write(UInt64(blocks ? 1 : 0))
        return writer.bytes
    }

    private borrowing func read(into buffer: UnsafeMutableRawBufferPointer, atMost limit: Int) throws -> Int {
        let count = unsafe recv(descriptor, buffer.baseAddress, min(buffer.count, limit), 0)
        guard count > 0 else { throw Self.failure("recv") }
        return count
    }

    private borrowing func fill(_ buffer: UnsafeMutableRawBufferPointer) throws {
        var filled = 0
        while filled < buffer.count {
            filled += try unsafe read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]), atMost: buffer.count)
        }
    }

    // MARK: Sender

    /// Listens on a port that the system chooses, and serves one request after another on a thread of its own.
    static func serve() throws -> UInt16 {
        let listener = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = unsafe withUnsafeMutableBytes(of: &address) { bytes in
            let start = unsafe bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self)
            guard unsafe bind(listener, start, length) == 0, listen(listener, 1) == 0 else { return Int32(-1) }
            return unsafe getsockname(listener, start, &length)
        }
        guard status == 0 else { throw failure("listen") }
        SystemThread.start(name: "plain") {
            while true {
                let accepted = accept(listener, nil, nil)
                guard accepted >= 0 else { return }
                // A receiver that has gone is the receiver's affair.
                try? LinkBenchmarkSocket(accepted).answer()
            }
        }
        return UInt16(bigEndian: address.sin_port)
    }

    private borrowing func answer() throws {
        var asked = [UInt8](repeating: 0, count: 16)
        try unsafe asked.withUnsafeMutableBytes { try unsafe fill($0) }
        var reader = ByteReader(asked.rawSpan)
        let (bytes, blocks) = (Int(try reader.read(UInt64.self)), try reader.read(UInt64.self) == 1)
        if blocks {
            var source = LinkBlocks()
            for _ in 0..<(bytes / LinkBlocks.frame) { try send(source.take()) }
        } else {
            let piece = [UInt8](repeating: 1, count: LinkBenchmark.buffer)
            var left = bytes
            while left > 0 {
                try send(piece, min(left, piece.count))
                left -= min(left, piece.count)
            }
        }
    }

    private borrowing func send(_ bytes: [UInt8], _ limit: Int = .max) throws {
        let total = min(bytes.count, limit)
        var sent = 0
        while sent < total {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.send(descriptor, $0.baseAddress! + sent, total - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Self.failure("send") }
            sent += count
        }
    }

    private static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }

    private static func failure(_ call: String) -> CommandFailure {
        CommandFailure("\(call) on the loopback interface failed: \(unsafe String(cString: strerror(errno)))")
    }
}
