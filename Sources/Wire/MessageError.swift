/// What is wrong with a message between gateway and worker. The channel it came on cannot go on.
package enum MessageError: Error, Equatable, CustomStringConvertible {
    /// The peer speaks another version of the protocol; nothing else of its message was looked at.
    case version(found: UInt16, expected: UInt16)
    /// The bytes are not what they should be, or the message cannot be put into bytes.
    case malformed(String)

    package var description: String {
        switch self {
        case .version(let found, let expected): "the peer speaks version \(found) of the fleet's protocol, this program version \(expected)"
        case .malformed(let reason): reason
        }
    }
}

/// What a message may weigh.
package struct MessageLimits: Sendable, Equatable {
    /// Bytes behind the length field of one message. A prompt of a hundred thousand tokens takes 400 kB.
    package var frame: Int

    package init(frame: Int = 16 << 20) { self.frame = frame }

    /// Bytes of one text.
    package static let text = 64 << 10
    /// Bytes of a reason, which is for people: a longer one is cut and not refused, so that an ending always gets through.
    package static let reason = 1 << 10
    /// Bytes of a worker's name.
    package static let name = 64
}
