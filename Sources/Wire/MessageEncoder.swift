internal import Inference
package import Platform

/// Puts one message into bytes, little endian, front to back. What cannot be written is remembered, the first such thing, and thrown
/// by whoever frames the message.
package struct MessageEncoder {
    package private(set) var bytes: [UInt8]
    /// The moment against which moments become durations.
    let now: MonotonicInstant
    package private(set) var failure: MessageError?

    package init(after bytes: consuming [UInt8] = [], now: MonotonicInstant) {
        self.bytes = bytes
        self.now = now
    }

    mutating func reserve(_ count: Int) { bytes.reserveCapacity(bytes.count + count) }

    mutating func put<T: FixedWidthInteger & UnsignedInteger>(_ value: T) {
        var rest = value
        for _ in 0..<MemoryLayout<T>.size {
            bytes.append(UInt8(truncatingIfNeeded: rest))
            rest >>= 8
        }
    }

    mutating func put(_ value: Bool) { bytes.append(value ? 1 : 0) }
    mutating func put(_ value: Int) { put(UInt64(bitPattern: Int64(value))) }
    mutating func put(_ value: Float) { put(value.bitPattern) }
    mutating func put(_ value: Duration) { put(UInt64(bitPattern: value.inNanoseconds)) }
    mutating func put(_ value: TokenID) { put(UInt32(bitPattern: value)) }

    /// The time that remains; none when the moment has passed.
    mutating func put(_ deadline: MonotonicInstant) { put(deadline.since(now)) }

    mutating func put(count: Int) { put(UInt32(clamping: count)) }

    mutating func put(_ tokens: [TokenID]) {
        put(count: tokens.count)
        reserve(4 * tokens.count)
        for token in tokens { put(token) }
    }

    mutating func put(text: String, longest: Int = MessageLimits.text, _ what: StaticString) {
        let count = text.utf8.count
        guard count <= longest else { return fail("\(what): a text of \(count) bytes, at most \(longest) can be sent") }
        put(count: count)
        bytes.append(contentsOf: text.utf8)
    }

    mutating func put(reason: String) {
        let whole = reason.utf8
        guard whole.count > MessageLimits.reason else { return put(text: reason, "reason") }
        var end = whole.index(whole.startIndex, offsetBy: MessageLimits.reason)
        // Not in the middle of a character's bytes.
        while whole[end] & 0xC0 == 0x80 { end = whole.index(before: end) }
        put(text: String(reason[..<end]), "reason")
    }

    mutating func put(worker name: String, _ what: StaticString) {
        guard WorkerRegistration.isName(name) else { return fail("\(what): \"\(name)\" is no worker's name (\(WorkerRegistration.nameRule))") }
        put(text: name, what)
    }

    mutating func put<T>(_ value: T?, _ body: (inout MessageEncoder, T) -> Void) {
        put(value != nil)
        if let value { body(&self, value) }
    }

    mutating func fail(_ reason: String) { if failure == nil { failure = .malformed(reason) } }

    /// Sets the four bytes at `offset` to the number of bytes behind them, once the message is complete.
    mutating func close(from offset: Int, limit: Int, _ message: String) throws(MessageError) {
        let count = bytes.count - offset - 4
        if count > limit { fail("a \(message) message of \(count) bytes, at most \(limit) can be sent") }
        if let failure { throw failure }
        for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: count >> (8 * index)) }
    }
}
