import Foundation
import Kernels
import TestSupport
import Testing

/// Blocks as they have been written once: files keep being readable, and equal elements keep giving equal bytes.
@Suite struct CodecBlockTests {
    struct Kept: Sendable, CustomTestStringConvertible {
        let codec: String
        let type: SourceType
        let parameters: [UInt8]
        let elements: [UInt8]
        let block: [UInt8]
        var testDescription: String { "\(codec) \(type), \(elements.count) bytes" }
    }

    private static func bytes(_ hex: Substring) -> [UInt8] {
        let digits = hex.utf8.map { UInt8($0 < 58 ? $0 - 48 : $0 - 87) }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    static let kept: [Kept] = {
        let path = SharedFiles.repository + "/Tests/KernelsTests/Fixtures/codec-blocks.txt"
        let text = (try? String(contentsOf: URL(fileURLWithPath: path), encoding: .utf8)) ?? ""
        return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
            let parts = line.split(separator: " ")
            let type: SourceType = parts[1] == "bf16" ? .bf16 : parts[1] == "f16" ? .f16 : .f32
            return Kept(
                codec: String(parts[0]), type: type, parameters: parts[2].split(separator: ",").compactMap { UInt8($0) },
                elements: bytes(parts[3]), block: bytes(parts[4]))
        }
    }()

    private func check(_ kept: Kept, _ codec: some BlockCodec) {
        for set in supported {
            #expect(CodecFuzz.write(kept.elements, codec, on: set) == kept.block, "\(set)")
            #expect(CodecFuzz.read(kept.block, kept.elements.count / kept.type.byteCount, codec, on: set) == kept.elements, "\(set)")
        }
    }

    @Test func `kept blocks are there`() { #expect(Self.kept.count == 11) }

    @Test(arguments: kept)
    func `a kept block is read and written again`(kept: Kept) throws {
        if kept.codec == "cascade" { return check(kept, CascadeCodec(type: kept.type)) }
        check(kept, ENECCodec(type: kept.type, parameters: try #require(ENECParameters(bytes: kept.parameters))))
    }
}
