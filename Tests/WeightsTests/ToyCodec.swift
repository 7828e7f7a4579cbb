import Kernels
import Platform

@testable import Weights

/// A codec for tests of the container: the highest byte of each element as a nibble where a block has at most 16 of them.
///
/// A block is a byte n, n highest bytes, a nibble for each element, and the other bytes of all elements; or 0 and the elements.
struct ToyCodec: BlockCodec {
    let type: SourceType
    let blockElements: Int

    func bound(elements: Int) -> Int { 1 + elements * type.byteCount }

    func encode(_ elements: RawSpan, into out: inout MutableRawSpan, on set: InstructionSet) -> Int {
        let bytes = Self.bytes(elements)
        let size = type.byteCount
        let count = bytes.count / size
        let tops = (0..<count).map { bytes[$0 * size + size - 1] }
        let symbols = Array(Set(tops)).sorted()
        var block: [UInt8] = []
        if symbols.count <= 16 {
            block = [UInt8(symbols.count)] + symbols
            let codes = tops.map { UInt8(symbols.firstIndex(of: $0)!) } + [0]
            for index in stride(from: 0, to: count, by: 2) { block.append(codes[index] | codes[index + 1] << 4) }
            for index in 0..<count { block += bytes[index * size..<index * size + size - 1] }
        }
        if block.isEmpty || block.count > bytes.count { block = [0] + bytes }
        for (offset, byte) in block.enumerated() { out.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self) }
        // What the slack is for.
        for offset in block.count..<block.count + BlockSlack.bytes { out.storeBytes(of: 0xEE, toByteOffset: offset, as: UInt8.self) }
        return block.count
    }

    func decode(_ blob: RawSpan, block: Range<Int>, into elements: inout MutableRawSpan, on set: InstructionSet) -> Bool {
        let bytes = Self.bytes(blob.extracting(block))
        let size = type.byteCount
        let count = elements.byteCount / size
        guard let symbols = bytes.first.map({ Int($0) }) else { return false }
        if symbols == 0 {
            guard bytes.count == 1 + elements.byteCount else { return false }
            for offset in 0..<elements.byteCount { elements.storeBytes(of: bytes[1 + offset], toByteOffset: offset, as: UInt8.self) }
            return true
        }
        let codes = 1 + symbols
        let rest = codes + (count + 1) / 2
        guard bytes.count == rest + count * (size - 1) else { return false }
        for index in 0..<count {
            let code = Int(bytes[codes + index / 2] >> (index % 2 * 4) & 15)
            guard code < symbols else { return false }
            for part in 0..<size - 1 {
                elements.storeBytes(of: bytes[rest + index * (size - 1) + part], toByteOffset: index * size + part, as: UInt8.self)
            }
            elements.storeBytes(of: bytes[1 + code], toByteOffset: index * size + size - 1, as: UInt8.self)
        }
        return true
    }

    static func bytes(_ span: RawSpan) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(span)
        return bytes
    }
}

/// Toy codecs under any name, with the size of blocks as their parameter.
struct ToyFamily: CodecFamily {
    let name: String
    var types: [SourceType] = SourceType.allCases
    var block = 128

    func fitted(to elements: RawSpan, type: SourceType, shape: [Int], on team: ThreadTeam) -> TensorCodec? {
        types.contains(type) ? codec(type, block) : nil
    }

    func described(by parameters: JSONObject, type: SourceType, shape: [Int]) -> TensorCodec? {
        guard types.contains(type), parameters.count == 1, let block = parameters["block"]?.integer, (1...4096).contains(block) else {
            return nil
        }
        return codec(type, block)
    }

    private func codec(_ type: SourceType, _ block: Int) -> TensorCodec {
        TensorCodec(
            name, parameters: JSONObject([("block", .integer(Int64(block)))]), blocks: ToyCodec(type: type, blockElements: block))
    }
}

extension CodecShelf {
    /// Under the names that policies ask for, with blocks of different sizes.
    static let toys = CodecShelf([
        ToyFamily(name: "cascade"), ToyFamily(name: "enec", block: 100), ToyFamily(name: "planes3", types: [.bf16], block: 256),
    ])
}
