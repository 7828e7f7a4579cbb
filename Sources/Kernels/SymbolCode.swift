internal import CKernels

/// Symbols as fixed-length codes and as planes of bits; bf16 elements as exponents and rests.
package enum SymbolSlack {
    /// Bytes behind coded data that kernels may read or overwrite; of rANS also before it.
    package static let bytes = Int(CK_KV_SLACK)
}

extension InstructionSet {
    package static func packedBytes(_ count: Int, bits: Int) -> Int { ck_kv_packed_bytes(count, UInt32(bits)) }

    /// Codes of `bits` 1...8 each; `out` has `packedBytes` and the slack behind `place`.
    package func packBits(_ symbols: [UInt8], at first: Int, count: Int, bits: Int, into out: inout [UInt8], at place: Int) {
        precondition((1...8).contains(bits), "\(bits) bits")
        precondition(first >= 0 && count >= 0 && first + count <= symbols.count, "\(count) symbols at \(first) of \(symbols.count)")
        let bytes = Self.packedBytes(count, bits: bits) + SymbolSlack.bytes
        precondition(place >= 0 && place + bytes <= out.count, "\(bytes) bytes at \(place) of \(out.count)")
        unsafe symbols.withUnsafeBufferPointer { symbols in
            unsafe out.withUnsafeMutableBufferPointer { out in
                guard let from = symbols.baseAddress, let to = out.baseAddress, count > 0 else { return }
                unsafe ck_kv_pack_bits(cSet, from + first, count, UInt32(bits), to + place)
            }
        }
    }

    /// `bytes` has the slack behind what is read.
    package func unpackBits(_ bytes: [UInt8], at place: Int, bits: Int, into symbols: inout [UInt8], at first: Int, count: Int) {
        precondition((1...8).contains(bits), "\(bits) bits")
        precondition(first >= 0 && count >= 0 && first + count <= symbols.count, "\(count) symbols at \(first) of \(symbols.count)")
        let needed = Self.packedBytes(count, bits: bits) + SymbolSlack.bytes
        precondition(place >= 0 && place + needed <= bytes.count, "\(needed) bytes at \(place) of \(bytes.count)")
        unsafe bytes.withUnsafeBufferPointer { bytes in
            unsafe symbols.withUnsafeMutableBufferPointer { symbols in
                guard let from = bytes.baseAddress, let to = symbols.baseAddress, count > 0 else { return }
                unsafe ck_kv_unpack_bits(cSet, from + place, count, UInt32(bits), to + first)
            }
        }
    }

    /// Adds to counts[first + s] how many symbols are s; room for 256.
    package func count(_ symbols: [UInt8], _ range: Range<Int>, into counts: inout [UInt32], at first: Int = 0) {
        precondition(range.lowerBound >= 0 && range.upperBound <= symbols.count, "symbols \(range) of \(symbols.count)")
        precondition(first >= 0 && first + 256 <= counts.count, "256 counts at \(first) of \(counts.count)")
        unsafe symbols.withUnsafeBufferPointer { symbols in
            unsafe counts.withUnsafeMutableBufferPointer { counts in
                guard let from = symbols.baseAddress, let to = counts.baseAddress, !range.isEmpty else { return }
                unsafe ck_kv_count(cSet, from + range.lowerBound, range.count, to + first)
            }
        }
    }
}

/// Loops that the compiler vectorises.
package enum SymbolPlanes {
    package static func copy(_ bytes: [UInt8], _ range: Range<Int>, to out: inout [UInt8], at place: Int) {
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count, "bytes \(range) of \(bytes.count)")
        precondition(place >= 0 && place + range.count <= out.count, "\(range.count) bytes at \(place) of \(out.count)")
        unsafe bytes.withUnsafeBufferPointer { bytes in
            unsafe out.withUnsafeMutableBufferPointer { out in
                guard let from = bytes.baseAddress, let to = out.baseAddress else { return }
                unsafe (to + place).update(from: from + range.lowerBound, count: range.count)
            }
        }
    }

    package static func zero(_ bytes: inout [UInt8], _ range: Range<Int>) { fill(&bytes, range, with: 0) }

    package static func fill(_ bytes: inout [UInt8], _ range: Range<Int>, with byte: UInt8) {
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count, "bytes \(range) of \(bytes.count)")
        unsafe bytes.withUnsafeMutableBufferPointer { bytes in
            guard let base = bytes.baseAddress else { return }
            unsafe (base + range.lowerBound).update(repeating: byte, count: range.count)
        }
    }

    /// Elements as bytes, the lower one first: as they stand in memory, on the machines that kernels are for.
    package static func write(_ elements: [UInt16], count: Int, to out: inout [UInt8]) {
        precondition(count >= 0 && count <= elements.count && 2 * count <= out.count, "\(count) elements into \(out.count) bytes")
        unsafe elements.withUnsafeBytes { elements in
            unsafe out.withUnsafeMutableBytes { out in
                guard let from = elements.baseAddress, let to = out.baseAddress else { return }
                unsafe to.copyMemory(from: from, byteCount: 2 * count)
            }
        }
    }

    package static func read(_ bytes: [UInt8], at place: Int, count: Int, into elements: inout [UInt16]) {
        precondition(
            place >= 0 && count >= 0 && place + 2 * count <= bytes.count && count <= elements.count,
            "\(count) elements of \(bytes.count) bytes")
        unsafe bytes.withUnsafeBytes { bytes in
            unsafe elements.withUnsafeMutableBytes { elements in
                guard let from = bytes.baseAddress, let to = elements.baseAddress else { return }
                unsafe to.copyMemory(from: from + place, byteCount: 2 * count)
            }
        }
    }

    /// out[i] = symbols[first + i] >> shift.
    package static func shift(_ symbols: [UInt8], at first: Int, count: Int, right shift: Int, into out: inout [UInt8]) {
        precondition(
            first >= 0 && count >= 0 && first + count <= symbols.count && count <= out.count, "\(count) symbols of \(symbols.count)")
        unsafe symbols.withUnsafeBufferPointer { symbols in
            unsafe out.withUnsafeMutableBufferPointer { out in
                for index in 0..<count { unsafe out[index] = symbols[first + index] &>> UInt8(shift) }
            }
        }
    }

    /// symbols[first + i] |= bits[i] << shift.
    package static func add(_ bits: [UInt8], count: Int, left shift: Int, to symbols: inout [UInt8], at first: Int) {
        precondition(
            first >= 0 && count >= 0 && first + count <= symbols.count && count <= bits.count, "\(count) symbols of \(symbols.count)")
        unsafe bits.withUnsafeBufferPointer { bits in
            unsafe symbols.withUnsafeMutableBufferPointer { symbols in
                for index in 0..<count { unsafe symbols[first + index] |= bits[index] &<< UInt8(shift) }
            }
        }
    }

    /// The upper bytes of `count` elements to `high`, the lower ones to `low`.
    package static func split(
        _ elements: [UInt16], count: Int, high: inout [UInt8], at highFirst: Int, low: inout [UInt8], at lowFirst: Int
    ) {
        check(elements.count, count, high.count, highFirst, low.count, lowFirst)
        unsafe elements.withUnsafeBufferPointer { elements in
            unsafe high.withUnsafeMutableBufferPointer { high in
                unsafe low.withUnsafeMutableBufferPointer { low in
                    for index in 0..<count {
                        let element = unsafe elements[index]
                        unsafe high[highFirst + index] = UInt8(truncatingIfNeeded: element &>> 8)
                        unsafe low[lowFirst + index] = UInt8(truncatingIfNeeded: element)
                    }
                }
            }
        }
    }

    package static func join(high: [UInt8], at highFirst: Int, low: [UInt8], at lowFirst: Int, count: Int, into elements: inout [UInt16]) {
        check(elements.count, count, high.count, highFirst, low.count, lowFirst)
        unsafe elements.withUnsafeMutableBufferPointer { elements in
            unsafe high.withUnsafeBufferPointer { high in
                unsafe low.withUnsafeBufferPointer { low in
                    for index in 0..<count {
                        unsafe elements[index] = UInt16(high[highFirst + index]) &<< 8 | UInt16(low[lowFirst + index])
                    }
                }
            }
        }
    }

    /// Turns every element of bf16 so that its upper byte is the exponent and its lower one sign and mantissa, or back.
    package static func turn(_ elements: inout [UInt16], count: Int, isInverse: Bool) {
        precondition(count >= 0 && count <= elements.count, "\(count) of \(elements.count) elements")
        unsafe elements.withUnsafeMutableBufferPointer { elements in
            for index in 0..<count {
                let element = unsafe elements[index]
                let turned =
                    isInverse
                    ? element & 0x7F | (element & 0x80) &<< 8 | (element & 0xFF00) &>> 1
                    : element & 0x7F | (element & 0x8000) &>> 8 | (element & 0x7F80) &<< 1
                unsafe elements[index] = turned
            }
        }
    }

    private static func check(_ elements: Int, _ count: Int, _ high: Int, _ highFirst: Int, _ low: Int, _ lowFirst: Int) {
        precondition(count >= 0 && count <= elements, "\(count) of \(elements) elements")
        precondition(
            highFirst >= 0 && highFirst + count <= high && lowFirst >= 0 && lowFirst + count <= low, "\(count) bytes of \(high) and \(low)")
    }
}
