/// Pictures made up on the spot: squares of four random colours, as PNG (ISO/IEC 15948) with 2 bits a pixel and stored, not compressed,
/// pixels. A picture of 512 × 512 is 66 kB, about what a photograph of the size has as JPEG.
enum GeneratedPicture {
    private static let square = 8

    static func png(width: Int, height: Int, _ draw: inout Draw) -> [UInt8] {
        var file: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
        // Depth 2, colour type 3 (palette), compression, filter and interlace 0.
        append("IHDR", bigEndian(width) + bigEndian(height) + [2, 3, 0, 0, 0], to: &file)
        append("PLTE", (0..<12).map { _ in UInt8(truncatingIfNeeded: draw.next()) }, to: &file)
        append("IDAT", stored(pixels(width: width, height: height, &draw)), to: &file)
        append("IEND", [], to: &file)
        return file
    }

    /// Rows, each after its filter byte 0, four pixels a byte, the first in the highest bits.
    private static func pixels(width: Int, height: Int, _ draw: inout Draw) -> [UInt8] {
        let rowBytes = (width + 3) / 4
        var bytes: [UInt8] = []
        bytes.reserveCapacity((rowBytes + 1) * height)
        var row: [UInt8] = []
        for y in 0..<height {
            if y % square == 0 {
                row = [0]
                for byte in 0..<rowBytes {
                    // Two bytes are the width of a square.
                    if byte % 2 == 1 {
                        row.append(row[byte])
                    } else {
                        row.append(UInt8(truncatingIfNeeded: draw.next() & 3) &* 0b0101_0101)
                    }
                }
            }
            bytes.append(contentsOf: row)
        }
        return bytes
    }

    private static func append(_ type: String, _ data: [UInt8], to file: inout [UInt8]) {
        let body = Array(type.utf8) + data
        file += bigEndian(data.count) + body + bigEndian(Int(crc(body)))
    }

    private static func bigEndian(_ value: Int) -> [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) } }

    /// A zlib stream (RFC 1950) of stored blocks (RFC 1951 §3.2.4).
    static func stored(_ data: [UInt8]) -> [UInt8] {
        var stream: [UInt8] = [0x78, 0x01]
        stream.reserveCapacity(data.count + data.count / 65_535 * 5 + 16)
        var offset = 0
        repeat {
            let count = min(65_535, data.count - offset)
            let isLast: UInt8 = offset + count == data.count ? 1 : 0
            let low = UInt8(count & 255)
            let high = UInt8(count >> 8)
            stream += [isLast, low, high, ~low, ~high]
            stream += data[offset..<offset + count]
            offset += count
        } while offset < data.count
        return stream + bigEndian(Int(adler(data)))
    }

    static func adler(_ data: [UInt8]) -> UInt32 {
        var a: UInt32 = 1
        var b: UInt32 = 0
        for byte in data {
            a = (a + UInt32(byte)) % 65_521
            b = (b + a) % 65_521
        }
        return b << 16 | a
    }

    private static let crcTable: [UInt32] = (0..<256).map {
        (0..<8).reduce(UInt32($0)) { value, _ in value >> 1 ^ (value & 1 == 1 ? 0xEDB8_8320 : 0) }
    }

    static func crc(_ data: [UInt8]) -> UInt32 {
        ~data.reduce(~0) { crcTable[Int(($0 ^ UInt32($1)) & 255)] ^ $0 >> 8 }
    }
}
