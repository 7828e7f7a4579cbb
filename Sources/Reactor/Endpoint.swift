internal import CLibUV
internal import Glibc

/// Where to listen or connect: an address and port, a name and port, or a Unix socket.
///
/// Written `127.0.0.1:8080`, `[::1]:8080`, `example.org:8080` or `unix:/run/ferry.sock`. Port 0 asks the system for a free one.
package enum Endpoint: Hashable, Sendable, CustomStringConvertible {
    /// `host` is a numeric address without brackets, or a name.
    case tcp(host: String, port: UInt16)
    case unix(path: String)

    package init(_ text: String) throws(EndpointError) {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            guard path.hasPrefix("/") else {
                throw EndpointError(text, "a Unix socket needs an absolute path, as in unix:/run/ferry.sock")
            }
            guard path.utf8.count <= Self.longestPath, !path.utf8.contains(0) else {
                throw EndpointError(
                    text, "a Unix socket's path has at most \(Self.longestPath) bytes, this one has \(path.utf8.count)")
            }
            self = .unix(path: path)
            return
        }
        guard let colon = text.lastIndex(of: ":") else {
            throw EndpointError(text, "no port; write address:port, as in 127.0.0.1:8080")
        }
        let portText = text[text.index(after: colon)...]
        guard !portText.isEmpty, portText.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(portText) else {
            throw EndpointError(text, "\"\(portText)\" is not a port number from 0 to 65535")
        }
        var host = text[..<colon]
        if host.hasPrefix("[") {
            guard host.hasSuffix("]") else { throw EndpointError(text, "the bracket is not closed; write [::1]:8080") }
            host = host.dropFirst().dropLast()
            guard isIPv6(String(host)) else { throw EndpointError(text, "\"\(host)\" is not an IPv6 address") }
        } else {
            guard !host.isEmpty else {
                throw EndpointError(
                    text, "no address; write 0.0.0.0\(text) for all interfaces or 127.0.0.1\(text) for this machine only")
            }
            guard !host.contains(":") else { throw EndpointError(text, "an IPv6 address goes in brackets, as in [::1]:8080") }
            guard host.utf8.count <= 255, host.utf8.allSatisfy(isNameByte) else {
                throw EndpointError(text, "\"\(host)\" is not an address or a host name")
            }
        }
        self = .tcp(host: String(host), port: port)
    }

    package var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }

    /// True when only this machine can reach it: 127.0.0.0/8, ::1, `localhost`, a Unix socket.
    package var isLocal: Bool {
        switch self {
        case .unix: true
        case .tcp(let host, _): host == "::1" || host == "localhost" || (host.hasPrefix("127.") && isIPv4(host))
        }
    }

    /// sun_path has 108 bytes on Linux, one of them for the terminator.
    static let longestPath = 107
}

/// What is wrong with the text of an endpoint.
package struct EndpointError: Error, Equatable, CustomStringConvertible {
    package let text: String
    package let problem: String

    init(_ text: String, _ problem: String) {
        self.text = text
        self.problem = problem
    }

    package var description: String { "\"\(text)\" is not an address to listen on or connect to: \(problem)" }
}

extension Endpoint {
    /// The socket address, if `host` is numeric or `localhost` (which means 127.0.0.1 here); nil for other names and Unix
    /// sockets.
    func numericAddress() -> sockaddr_storage? {
        guard case .tcp(let host, let port) = self else { return nil }
        var storage = sockaddr_storage()
        let found = unsafe withUnsafeMutableBytes(of: &storage) { bytes in
            let numeric = host == "localhost" ? "127.0.0.1" : host
            // EINVAL when the text is not an address of the family.
            let start = bytes.baseAddress!
            return unsafe uv_ip4_addr(numeric, Int32(port), start.assumingMemoryBound(to: sockaddr_in.self)) == 0
                || uv_ip6_addr(numeric, Int32(port), start.assumingMemoryBound(to: sockaddr_in6.self)) == 0
        }
        return found ? storage : nil
    }

    /// The endpoint that a socket address of the system stands for.
    init?(_ storage: sockaddr_storage) {
        var storage = storage
        let family = Int32(storage.ss_family)
        guard family == AF_INET || family == AF_INET6 else { return nil }
        self = unsafe withUnsafeMutableBytes(of: &storage) { bytes in
            unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { text in
                unsafe text.initialize(repeating: 0)
                let port: UInt16
                // ENOSPC only for buffers shorter than an address, which has at most 46 bytes.
                if family == AF_INET {
                    let address = unsafe bytes.baseAddress!.assumingMemoryBound(to: sockaddr_in.self)
                    unsafe _ = uv_ip4_name(address, text.baseAddress!, text.count)
                    port = unsafe UInt16(bigEndian: address.pointee.sin_port)
                } else {
                    let address = unsafe bytes.baseAddress!.assumingMemoryBound(to: sockaddr_in6.self)
                    unsafe _ = uv_ip6_name(address, text.baseAddress!, text.count)
                    port = unsafe UInt16(bigEndian: address.pointee.sin6_port)
                }
                return unsafe .tcp(host: String(cString: text.baseAddress!), port: port)
            }
        }
    }
}

func isIPv4(_ text: String) -> Bool {
    var address = sockaddr_in()
    return unsafe uv_ip4_addr(text, 0, &address) == 0
}

func isIPv6(_ text: String) -> Bool {
    var address = sockaddr_in6()
    return unsafe uv_ip6_addr(text, 0, &address) == 0
}

private func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
    case UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"): true
    default: false
    }
}
