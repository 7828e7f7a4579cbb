import TestSupport
import Testing

@testable import LoadTest

@Suite struct GeneratedPictureTests {
    /// Check values of the two polynomials' definitions: PNG's appendix and RFC 1950, for "123456789".
    @Test func checksumsAreTheStandards() {
        #expect(GeneratedPicture.crc(Array("123456789".utf8)) == 0xCBF4_3926)
        #expect(GeneratedPicture.adler(Array("Wikipedia".utf8)) == 0x11E6_0398)
    }

    @Test func base64IsTheStandards() {
        for (text, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            #expect(Base64.text(Array(text.utf8)) == expected)
        }
    }

    /// One pixel: signature, head, four colours, one stored block of a filter byte and a pixel byte, end.
    @Test func onePixelHasTheExpectedBytes() {
        var draw = Draw(seed: 1, .picture)
        let bytes = GeneratedPicture.png(width: 1, height: 1, &draw)
        #expect(bytes.count == 8 + 25 + 24 + 12 + 13 + 12)
        #expect(Array(bytes[8..<29]) == [0, 0, 0, 13] + Array("IHDR".utf8) + [0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 0, 0, 0])
        #expect(Array(bytes[57..<74]) == [0, 0, 0, 13] + Array("IDAT".utf8) + [0x78, 0x01, 1, 2, 0, 0xFD, 0xFF, 0, bytes[73]])
    }

    /// An independent reader takes the file apart: lengths, checksums, rows, more than one stored block.
    @Test(.enabled(if: Command.exists("python3")), arguments: [(1, 1), (9, 17), (640, 480), (1024, 1024)])
    func anIndependentReaderAgrees(width: Int, height: Int) async {
        let folder = ScratchFolder()
        var draw = Draw(seed: UInt64(width), .picture)
        let path = folder.write("picture.png", GeneratedPicture.png(width: width, height: height, &draw))
        let script = """
            import struct, sys, zlib
            data = open(sys.argv[1], "rb").read()
            assert data[:8] == b"\\x89PNG\\r\\n\\x1a\\n"
            at, names, pixels = 8, [], b""
            while at < len(data):
                size, = struct.unpack(">I", data[at:at + 4])
                body = data[at + 4:at + 8 + size]
                assert zlib.crc32(body) == struct.unpack(">I", data[at + 8 + size:at + 12 + size])[0]
                names.append(body[:4].decode())
                if names[-1] == "IDAT": pixels += body[4:]
                at += 12 + size
            rows = zlib.decompress(pixels)
            width, height = int(sys.argv[2]), int(sys.argv[3])
            stride = 1 + (width + 3) // 4
            assert len(rows) == stride * height, (len(rows), stride, height)
            assert all(rows[y * stride] == 0 for y in range(height))
            print(*names)
            """
        let result = await Command.run("python3", ["-c", script, path, "\(width)", "\(height)"])
        #expect(result.text == "IHDR PLTE IDAT IEND\n", "\(result.complaints)")
    }
}
