/// Why a connection ended early. The streams have been told by events; the connection's last words are in its output.
package enum HTTPError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A request that HTTP/1.1 forbids or that exceeds a limit; it was answered with `status`.
    case refused(status: Int, reason: String)
    /// A protocol error of an HTTP/2 peer, answered with GOAWAY.
    case protocolError(HTTP2ErrorCode, detail: String)
    /// More bytes were fed than the bounds allow although `wantsRead` was false.
    case backlogExceeded(limit: Int)
    /// The peer closed while requests were open.
    case peerClosed(openStreams: Int)
    /// The peer let its time pass (`expire`).
    case timedOut
    /// nghttp2 could not go on, as a rule for want of memory.
    case library(code: Int, detail: String)

    package var description: String {
        switch self {
        case .refused(let status, let reason): "refused with \(status): \(reason)"
        case .protocolError(let code, let detail): "HTTP/2 \(code): \(detail)"
        case .backlogExceeded(let limit): "more than \(limit) bytes received while reading was paused"
        case .peerClosed(let open): "closed by peer with \(open) open streams"
        case .timedOut: "the peer took too long"
        case .library(let code, let detail): "nghttp2 error \(code): \(detail)"
        }
    }
}

/// Error codes of RST_STREAM and GOAWAY (RFC 9113, 7). Over HTTP/1.1 they only tell our own side why a stream ended.
package struct HTTP2ErrorCode: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let noError = Self(rawValue: 0)
    package static let protocolError = Self(rawValue: 1)
    package static let internalError = Self(rawValue: 2)
    package static let flowControlError = Self(rawValue: 3)
    package static let streamClosed = Self(rawValue: 5)
    package static let refusedStream = Self(rawValue: 7)
    package static let cancel = Self(rawValue: 8)
    package static let enhanceYourCalm = Self(rawValue: 11)

    package var description: String {
        let names = [
            "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
            "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
            "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
        ]
        return rawValue < UInt32(names.count) ? names[Int(rawValue)] : "error \(rawValue)"
    }
}
