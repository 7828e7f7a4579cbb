/// Character classes of RFC 9110 and RFC 3986 that decide what is accepted in a head.
enum FieldSyntax {
    /// tchar: what method and field names consist of (RFC 9110, 5.6.2).
    static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        case 0x21, 0x23, 0x24, 0x25, 0x26, 0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E, 0x5F, 0x60, 0x7C, 0x7E: true
        default: false
        }
    }

    /// What may stand in a field value: visible characters, blank, tab, and bytes above ASCII.
    static func isValue(_ byte: UInt8) -> Bool { (byte >= 0x20 && byte != 0x7F) || byte == 0x09 }

    /// What may stand in a request target: visible ASCII without the delimiters that never do unescaped (`" < > \`) and without `#`.
    static func isTarget(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x22, 0x23, 0x3C, 0x3E, 0x5C: false
        default: byte > 0x20 && byte < 0x7F
        }
    }

    /// `host[:port]` of RFC 3986 without user information. Empty is allowed: it is what a target without authority sends.
    static func isAuthority(_ bytes: some Collection<UInt8>) -> Bool {
        var inBrackets = false, sawBrackets = false, inPort = false, hostLength = 0
        for byte in bytes {
            if inPort {
                guard (0x30...0x39).contains(byte) else { return false }
                continue
            }
            switch byte {
            case UInt8(ascii: "["):
                guard hostLength == 0, !sawBrackets else { return false }
                inBrackets = true
                sawBrackets = true
            case UInt8(ascii: "]"):
                guard inBrackets else { return false }
                inBrackets = false
            case UInt8(ascii: ":") where !inBrackets: inPort = true
            case UInt8(ascii: ":"): break
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: guard inBrackets || !sawBrackets else { return false }
            // Unreserved, sub-delimiters and the percent sign of a registered name.
            case 0x2D, 0x2E, 0x5F, 0x7E, 0x25, 0x21, 0x24, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x2B, 0x2C, 0x3B, 0x3D:
                guard inBrackets || !sawBrackets else { return false }
            default: return false
            }
            if !inPort { hostLength += 1 }
        }
        return !inBrackets && !(inPort && hostLength == 0)
    }

    static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    static func trimmed<Bytes: BidirectionalCollection<UInt8>>(_ bytes: Bytes) -> Bytes.SubSequence {
        var start = bytes.startIndex, end = bytes.endIndex
        while start < end, isBlank(bytes[start]) { start = bytes.index(after: start) }
        while start < end, isBlank(bytes[bytes.index(before: end)]) { end = bytes.index(before: end) }
        return bytes[start..<end]
    }

    /// Whether `bytes`, without blanks around them, is `token` (in lower case) in any case.
    static func equals(_ bytes: some BidirectionalCollection<UInt8>, lowercased token: String) -> Bool {
        let part = trimmed(bytes)
        var other = token.utf8.makeIterator()
        for byte in part {
            guard let expected = other.next(), lower(byte) == expected else { return false }
        }
        return other.next() == nil
    }

    static func lower(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }

    /// 1*DIGIT that fits an `Int`; anything else, signs and lists included, is `nil`.
    static func decimal(_ bytes: some Collection<UInt8>) -> Int? {
        guard !bytes.isEmpty else { return nil }
        var value = 0
        for byte in bytes {
            guard (0x30...0x39).contains(byte) else { return nil }
            let (shifted, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = shifted.addingReportingOverflow(Int(byte - 0x30))
            guard !overflow, !carry else { return nil }
            value = sum
        }
        return value
    }

    static func hexDigit(_ byte: UInt8) -> Int? {
        switch byte {
        case 0x30...0x39: Int(byte) - 0x30
        case 0x41...0x46: Int(byte) - 0x37
        case 0x61...0x66: Int(byte) - 0x57
        default: nil
        }
    }
}
