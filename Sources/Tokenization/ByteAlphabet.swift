/// The alphabet of byte-level vocabularies: each byte as one printable character (GPT-2).
///
/// Bytes that are printable in Latin-1 stand for themselves; the others take U+0100 upwards in order.
enum ByteAlphabet {
    /// The scalar of each byte.
    static let scalarOfByte: [UInt32] = {
        var next: UInt32 = 0x100
        return (UInt32(0)..<256).map { byte in
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return byte
            default:
                defer { next += 1 }
                return next
            }
        }
    }()

    /// The byte of each scalar below U+0144; -1 where a scalar stands for none.
    private static let byteOfScalar: [Int16] = {
        var table = [Int16](repeating: -1, count: 0x144)
        for (byte, scalar) in scalarOfByte.enumerated() { table[Int(scalar)] = Int16(byte) }
        return table
    }()

    /// The UTF-8 of each byte's character.
    static let textOfByte: [[UInt8]] = scalarOfByte.map { scalar in
        var text: [UInt8] = []
        text.append(scalar: scalar)
        return text
    }

    /// The bytes that `text` (UTF-8) spells, or nil if any character of it is outside the alphabet.
    static func bytes(of text: borrowing Span<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count)
        var index = 0
        let table = byteOfScalar
        while index < text.count {
            let (scalar, length) = decodeScalar(text, at: index)
            guard scalar < 0x144, table[Int(scalar)] >= 0 else { return nil }
            bytes.append(UInt8(table[Int(scalar)]))
            index += length
        }
        return bytes
    }

    /// `bytes` spelled in the alphabet, as UTF-8.
    static func text(of bytes: borrowing Span<UInt8>) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count * 2)
        for index in bytes.indices { text.append(contentsOf: textOfByte[Int(bytes[index])]) }
        return text
    }
}
