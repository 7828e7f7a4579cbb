internal import CLZ4

/// LZ4 blocks in byte arrays.
enum LZ4Block {
    static func bound(_ count: Int) -> Int { Int(LZ4_compressBound(Int32(count))) }

    /// Codes the first `count` bytes of `bytes`; `out` has the bound. Returns how many bytes it came to.
    static func encode(_ bytes: [UInt8], count: Int, into out: inout [UInt8]) -> Int {
        precondition(count >= 0 && count <= bytes.count && bound(count) <= out.count, "\(count) of \(bytes.count) bytes into \(out.count)")
        let room = Int32(out.count)
        let coded = unsafe bytes.withUnsafeBytes { from in
            unsafe out.withUnsafeMutableBytes { to in
                unsafe LZ4_compress_default(from.baseAddress, to.baseAddress, Int32(count), room)
            }
        }
        precondition(coded > 0, "LZ4 refused \(count) bytes")
        return Int(coded)
    }

    /// Fills exactly the first `count` bytes of `out` from anybody's bytes; false when they are no such block.
    static func decode(_ bytes: [UInt8], _ range: Range<Int>, into out: inout [UInt8], count: Int) -> Bool {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= bytes.count && count <= out.count,
            "\(range) of \(bytes.count) bytes into \(out.count)")
        let decoded = unsafe bytes.withUnsafeBufferPointer { from in
            unsafe out.withUnsafeMutableBytes { to -> Int32 in
                guard let from = from.baseAddress, let to = to.baseAddress else { return -1 }
                return unsafe LZ4_decompress_safe(
                    UnsafeRawPointer(from + range.lowerBound).assumingMemoryBound(to: CChar.self), to.assumingMemoryBound(to: CChar.self),
                    Int32(range.count), Int32(count))
            }
        }
        return decoded == Int32(count)
    }
}
