package import Kernels
internal import Platform

/// The fuzz entry point of KV blocks: reads anything as a block, on every instruction set of the machine. All must agree, and none may
/// write outside of the block's tokens.
package enum KeyValueFuzz {
    /// The elements [side][head][dimension][token] that `bytes` hold as `block`, bf16 with one NaN for all; or why they are no such block.
    package static func read(
        _ bytes: [UInt8], as block: KeyValueBlock, geometry: KeyValueGeometry, calibration: KeyValueCalibration?
    ) -> Result<[UInt16], KeyValueBlockError> {
        let expected = read(bytes, block, geometry, calibration, on: .scalar)
        for set in InstructionSet.allCases where set != .scalar && set.isSupported {
            switch (expected, read(bytes, block, geometry, calibration, on: set)) {
            case (.success(let one), .success(let other)):
                precondition(one == other, "\(set) reads a block of \(bytes.count) bytes differently")
            case (.failure(let one), .failure(let other)): precondition(one == other, "\(set) says \(other) where scalar says \(one)")
            default: preconditionFailure("\(set) and scalar do not agree whether \(bytes.count) bytes are a block")
            }
        }
        return expected
    }

    private static func read(
        _ bytes: [UInt8], _ block: KeyValueBlock, _ geometry: KeyValueGeometry, _ calibration: KeyValueCalibration?, on set: InstructionSet
    ) -> Result<[UInt16], KeyValueBlockError> {
        guard let memory = try? KeyValueMemory(geometry: geometry, pages: block.pages + 1),
            let decoder = try? KeyValueDecoder(geometry: geometry, calibration: calibration, on: set)
        else { preconditionFailure("no memory for \(block.pages) pages") }
        for page in 0...Int32(block.pages) { memory.zero(page: page) }
        let pages = (1...Int32(block.pages)).map { $0 }
        do throws(KeyValueBlockError) {
            try decoder.decode(bytes.rawSpan, as: block, pages: pages, into: memory)
        } catch {
            check(memory, block, pages)
            return .failure(error)
        }
        check(memory, block, pages)
        return .success(elements(memory, block.layer, block.firstInPage..<block.firstInPage + block.tokens, pages))
    }

    /// That whatever is not the block's is still zero.
    private static func check(_ memory: KeyValueMemory, _ block: KeyValueBlock, _ pages: [Int32]) {
        let (first, end) = (block.firstInPage, block.firstInPage + block.tokens)
        for layer in 0..<memory.geometry.layers {
            let others =
                layer == block.layer
                ? [0..<first, end..<pages.count * KeyValueGeometry.tokens] : [0..<pages.count * KeyValueGeometry.tokens]
            for range in others where !range.isEmpty {
                precondition(elements(memory, layer, range, pages).allSatisfy { $0 == 0 }, "tokens \(range) of layer \(layer) were written")
            }
        }
    }

    private static func elements(_ memory: KeyValueMemory, _ layer: Int, _ tokens: Range<Int>, _ pages: [Int32]) -> [UInt16] {
        let (heads, dimension) = (memory.geometry.heads, memory.geometry.dimension)
        var result = [UInt16](repeating: 0, count: 2 * heads * dimension * tokens.count)
        var place = 0
        for side in KeyValueSide.allCases {
            for head in 0..<heads {
                memory.unpack(
                    KeyValuePlace(layer: layer, side: side, head: head, tokens: tokens), pages: pages, into: &result, at: place, on: .scalar
                )
                place += dimension * tokens.count
            }
        }
        return result.map { $0 & 0x7FFF > 0x7F80 ? 0x7FC0 : $0 }
    }
}
