internal import Inference
package import Platform

/// Reads one message's bytes front to back and trusts none of them: whatever they are, it returns values or throws what was found and
/// expected. It allocates for what is there, never for what a count says.
package struct MessageDecoder {
    private let bytes: [UInt8]
    private var offset: Int
    private let end: Int
    /// The moment against which durations become moments.
    let now: MonotonicInstant

    /// Reads `range` of `bytes`.
    package init(_ bytes: [UInt8], _ range: Range<Int>, now: MonotonicInstant) {
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count, "a message outside of its \(bytes.count) bytes")
        self.bytes = bytes
        offset = range.lowerBound
        end = range.upperBound
        self.now = now
    }

    var remaining: Int { end - offset }

    mutating func unsigned<T: FixedWidthInteger & UnsignedInteger>(_ what: StaticString, _ type: T.Type = T.self) throws(MessageError) -> T {
        let size = MemoryLayout<T>.size
        guard remaining >= size else { throw truncated(what, size) }
        var value: T = 0
        for index in 0..<size { value |= T(truncatingIfNeeded: bytes[offset + index]) << T(truncatingIfNeeded: 8 * index) }
        offset += size
        return value
    }

    mutating func bool(_ what: StaticString) throws(MessageError) -> Bool {
        switch try unsigned(what, UInt8.self) {
        case 0: false
        case 1: true
        case let other: throw .malformed("\(what): \(other), 0 or 1 was expected")
        }
    }

    mutating func signed(_ what: StaticString) throws(MessageError) -> Int { Int(Int64(bitPattern: try unsigned(what))) }

    /// A number of things or bytes.
    mutating func natural(_ what: StaticString) throws(MessageError) -> Int {
        let value = try signed(what)
        guard value >= 0 else { throw .malformed("\(what): \(value), a number from 0 was expected") }
        return value
    }

    mutating func float(_ what: StaticString) throws(MessageError) -> Float { Float(bitPattern: try unsigned(what)) }

    mutating func token(_ what: StaticString) throws(MessageError) -> TokenID { TokenID(bitPattern: try unsigned(what)) }

    mutating func duration(_ what: StaticString) throws(MessageError) -> Duration { .nanoseconds(Int64(try natural(what))) }

    /// A moment from the time that remains until it.
    mutating func deadline(_ what: StaticString) throws(MessageError) -> MonotonicInstant { now.advanced(by: try duration(what)) }

    /// How many elements follow, of which each takes at least `size` bytes: no more than can be there.
    mutating func count(_ what: StaticString, each size: Int) throws(MessageError) -> Int {
        let count = Int(try unsigned(what, UInt32.self))
        guard count <= remaining / size else {
            throw .malformed("\(what): \(count) of at least \(size) bytes each, \(remaining) bytes are left")
        }
        return count
    }

    mutating func list<T>(
        _ what: StaticString, each size: Int, _ read: (inout MessageDecoder) throws(MessageError) -> T
    ) throws(MessageError) -> [T] {
        let count = try count(what, each: size)
        var list: [T] = []
        list.reserveCapacity(count)
        for _ in 0..<count { list.append(try read(&self)) }
        return list
    }

    mutating func tokens(_ what: StaticString) throws(MessageError) -> [TokenID] {
        try list(what, each: 4) { (decoder) throws(MessageError) in try decoder.token(what) }
    }

    mutating func optional<T>(
        _ what: StaticString, _ read: (inout MessageDecoder) throws(MessageError) -> T
    ) throws(MessageError) -> T? {
        try bool(what) ? try read(&self) : nil
    }

    mutating func text(_ what: StaticString, longest: Int = MessageLimits.text) throws(MessageError) -> String {
        let count = try count(what, each: 1)
        guard count <= longest else { throw .malformed("\(what): a text of \(count) bytes, at most \(longest) were expected") }
        let part = bytes[offset..<(offset + count)]
        guard let text = String(validating: part, as: UTF8.self) else { throw .malformed("\(what): a text that is not UTF-8") }
        offset += count
        return text
    }

    mutating func worker(_ what: StaticString) throws(MessageError) -> String {
        let name = try text(what)
        guard WorkerRegistration.isName(name) else {
            throw .malformed("\(what): \"\(name)\" is no worker's name (\(WorkerRegistration.nameRule))")
        }
        return name
    }

    mutating func roles(_ what: StaticString) throws(MessageError) -> WorkerRole {
        let roles = WorkerRole(rawValue: try unsigned(what))
        guard roles.isSubset(of: .known) else { throw .malformed("\(what): the bits \(roles.rawValue), at most \(WorkerRole.known.rawValue) were expected") }
        return roles
    }

    /// After the last field.
    func finish(_ what: String) throws(MessageError) {
        guard remaining == 0 else { throw .malformed("\(remaining) bytes behind the end of a \(what) message") }
    }

    private func truncated(_ what: StaticString, _ size: Int) -> MessageError {
        .malformed("\(what): \(size) bytes were expected, \(remaining) are left")
    }
}
