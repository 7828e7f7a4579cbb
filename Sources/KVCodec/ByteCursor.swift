/// Reads a section of a block front to back; short input is an error that names the section.
struct ByteCursor {
    let name: String
    let bytes: [UInt8]
    private(set) var place: Int
    let end: Int

    init(_ name: String, _ bytes: [UInt8], _ range: Range<Int>) {
        (self.name, self.bytes, self.place, self.end) = (name, bytes, range.lowerBound, range.upperBound)
    }

    var remaining: Int { end - place }

    /// The place of the next `count` bytes, which are passed over.
    mutating func take(_ count: Int) throws(KeyValueBlockError) -> Int {
        guard count >= 0, count <= remaining else {
            throw KeyValueBlockError("\(remaining) bytes are left of the \(name); \(count) were expected")
        }
        defer { place += count }
        return place
    }

    mutating func byte() throws(KeyValueBlockError) -> UInt8 { bytes[try take(1)] }

    mutating func short() throws(KeyValueBlockError) -> UInt16 {
        let start = try take(2)
        return UInt16(bytes[start]) | UInt16(bytes[start + 1]) << 8
    }

    /// A bf16 number.
    mutating func bfloat() throws(KeyValueBlockError) -> Float { Float(bitPattern: UInt32(try short()) << 16) }

    /// Seven bits to a byte, the lowest first; at most 32 bits.
    mutating func varint() throws(KeyValueBlockError) -> Int {
        var (value, shift) = (UInt64(0), UInt64(0))
        while true {
            let byte = try self.byte()
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { break }
            shift += 7
            guard shift <= 28 else { throw KeyValueBlockError("a number of the \(name) has more than 32 bits") }
        }
        guard value <= UInt64(UInt32.max) else {
            throw KeyValueBlockError("a number of the \(name) is \(value); at most 32 bits were expected")
        }
        return Int(value)
    }

    func finish() throws(KeyValueBlockError) {
        guard remaining == 0 else { throw KeyValueBlockError("\(remaining) bytes follow the end of the \(name)") }
    }
}

extension [UInt8] {
    mutating func append(short value: UInt16) {
        append(UInt8(truncatingIfNeeded: value))
        append(UInt8(truncatingIfNeeded: value >> 8))
    }

    /// A number that is bf16.
    mutating func append(bfloat value: Float) { append(short: UInt16(value.bitPattern >> 16)) }

    mutating func append(varint value: Int) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(rest))
    }
}

extension Float {
    /// The greatest bf16 number that is not greater. Of finite numbers.
    var bfloatBelow: Float {
        let rest = bitPattern & 0xFFFF
        let cut = bitPattern & 0xFFFF_0000
        return Float(bitPattern: self < 0 && rest != 0 ? cut &+ 0x1_0000 : cut)
    }

    /// The least bf16 number that is not less.
    var bfloatAbove: Float { -(-self).bfloatBelow }

    /// Within 1e38, so that differences are finite; NaN becomes 0.
    var bounded: Float { self >= -1e38 ? min(self, 1e38) : self < 0 ? -1e38 : 0 }
}
