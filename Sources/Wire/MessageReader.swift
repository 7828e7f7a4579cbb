package import Platform

/// Makes messages of a stream of bytes that is cut anywhere. Between calls it keeps at most one unfinished message, and no more memory
/// than a small multiple of what has come of it: not what its length field promises.
package struct MessageReader<Message: FleetMessage>: Sendable {
    private let limits: MessageLimits
    /// What came and is not yet read; begins with a length field.
    private var buffer: [UInt8] = []
    private var failure: MessageError?

    package init(limits: MessageLimits = MessageLimits()) { self.limits = limits }

    /// Bytes of an unfinished message.
    package var pendingBytes: Int { buffer.count }

    /// Takes the next bytes and hands on, in order, every message that they complete.
    ///
    /// - Parameter now: of the clock on which the messages' moments shall be.
    /// - Throws: what is wrong with the first bad message, after those before it were handed on; then again at every further call.
    package mutating func read(_ bytes: RawSpan, now: MonotonicInstant, _ take: (Message) -> Void) throws(MessageError) {
        if let failure { throw failure }
        buffer.append(bytes)
        do throws(MessageError) {
            var start = 0
            while let range = try nextMessage(after: start) {
                take(try Message(buffer, range, now: now))
                start = range.upperBound
            }
            drop(start)
        } catch {
            failure = error
            buffer = []
            throw error
        }
    }

    /// At the stream's end.
    ///
    /// - Throws: when it is in the middle of a message.
    package func finish() throws(MessageError) {
        if let failure { throw failure }
        guard buffer.isEmpty else { throw .malformed("the stream ended within a message, of which \(buffer.count) bytes had come") }
    }

    /// Where kind and fields of the message lie whose length field is at `start`; nil while it is incomplete.
    private func nextMessage(after start: Int) throws(MessageError) -> Range<Int>? {
        guard buffer.count - start >= 4 else { return nil }
        let length = (0..<4).reduce(0) { $0 | Int(buffer[start + $1]) << (8 * $1) }
        guard (1...limits.frame).contains(length) else {
            throw .malformed("a message of \(length) bytes, 1 to \(limits.frame) were expected")
        }
        let range = (start + 4)..<(start + 4 + length)
        return range.upperBound <= buffer.count ? range : nil
    }

    private mutating func drop(_ count: Int) {
        if count == buffer.count, buffer.capacity <= 1 << 16 {
            buffer.removeAll(keepingCapacity: true)
        } else if count > 0 {
            // Anew, so that the memory of a big message goes with it.
            buffer = Array(buffer[count...])
        }
    }
}
