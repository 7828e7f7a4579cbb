/// HTTP/2 frames by hand (RFC 9113, 4), for peers that a well-behaved library cannot play.
enum Frames {
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    static let endStream: UInt8 = 1, ack: UInt8 = 1, endHeaders: UInt8 = 4

    static func frame(_ type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8] = []) -> [UInt8] {
        let count = payload.count
        return [UInt8(count >> 16), UInt8(count >> 8 & 255), UInt8(count & 255), type, flags] + word(stream) + payload
    }

    static func word(_ value: UInt32) -> [UInt8] {
        [UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)]
    }

    static var hello: [UInt8] { preface + settings([]) }

    static func settings(_ entries: [(UInt16, UInt32)]) -> [UInt8] {
        frame(4, entries.flatMap { [UInt8($0.0 >> 8), UInt8($0.0 & 255)] + word($0.1) })
    }

    static func data(_ stream: UInt32, _ payload: [UInt8], end: Bool = false) -> [UInt8] {
        frame(0, flags: end ? endStream : 0, stream: stream, payload)
    }

    static func headers(_ stream: UInt32, _ fields: [(String, String)], end: Bool = true) -> [UInt8] {
        frame(1, flags: endHeaders | (end ? endStream : 0), stream: stream, block(fields))
    }

    static func reset(_ stream: UInt32, _ code: UInt32 = 8) -> [UInt8] { frame(3, stream: stream, word(code)) }
    static func ping() -> [UInt8] { frame(6, Array(repeating: 7, count: 8)) }
    static func windowUpdate(_ stream: UInt32, _ size: UInt32) -> [UInt8] { frame(8, stream: stream, word(size)) }

    /// HPACK literals without indexing and without Huffman coding (RFC 7541, 6.2.2).
    static func block(_ fields: [(String, String)]) -> [UInt8] {
        fields.flatMap { name, value in [0] + string(name) + string(value) }
    }

    private static func string(_ text: String) -> [UInt8] {
        var length = text.utf8.count
        guard length >= 127 else { return [UInt8(length)] + text.utf8 }
        var bytes: [UInt8] = [127]
        length -= 127
        while length >= 128 {
            bytes.append(UInt8(length & 127 | 128))
            length >>= 7
        }
        return bytes + [UInt8(length)] + text.utf8
    }

    static func request(_ method: String = "GET", path: String = "/") -> [(String, String)] {
        [(":method", method), (":scheme", "http"), (":path", path), (":authority", "ferry")]
    }

    /// (type, flags, stream, payload) of each complete frame.
    static func parse(_ bytes: [UInt8]) -> [(type: UInt8, flags: UInt8, stream: UInt32, payload: [UInt8])] {
        var frames: [(type: UInt8, flags: UInt8, stream: UInt32, payload: [UInt8])] = []
        var start = 0
        while bytes.count - start >= 9 {
            let count = Int(bytes[start]) << 16 | Int(bytes[start + 1]) << 8 | Int(bytes[start + 2])
            guard bytes.count - start - 9 >= count else { break }
            frames.append((bytes[start + 3], bytes[start + 4], number(bytes[(start + 5)..<(start + 9)]), Array(bytes[(start + 9)..<(start + 9 + count)])))
            start += 9 + count
        }
        return frames
    }

    static func number(_ bytes: ArraySlice<UInt8>) -> UInt32 { bytes.prefix(4).reduce(0) { $0 << 8 | UInt32($1) } }

    /// Error codes of the GOAWAY frames in `bytes`.
    static func goAways(_ bytes: [UInt8]) -> [UInt32] { parse(bytes).filter { $0.type == 7 }.map { number($0.payload[4...]) } }

    /// (stream, code) of the RST_STREAM frames in `bytes`.
    static func resets(_ bytes: [UInt8]) -> [[UInt32]] { parse(bytes).filter { $0.type == 3 }.map { [$0.stream, number($0.payload[...])] } }
}
