import Kernels

/// Turns the symbols of a block into bytes and back: `symbolCount` symbols in `runs`.
protocol SymbolCoder {
    /// From `symbols` to `tables` and the first `codedCount` bytes of `coded`.
    func encode(_ scratch: BlockScratch)

    /// From `input[bytes]` and the tables to the symbols of all runs.
    func decode(_ scratch: BlockScratch, tables: inout ByteCursor, _ bytes: Range<Int>) throws(KeyValueBlockError)
}

extension SymbolCoder {
    func expect(_ count: Int, _ bytes: Range<Int>, _ coder: KeyValueProfile.Coder) throws(KeyValueBlockError) {
        guard bytes.count == count else {
            throw KeyValueBlockError("\(bytes.count) bytes of symbols; \(count) were expected of \(coder.word)")
        }
    }
}

extension BlockScratch {
    /// Of all runs.
    var plannedSymbols: Int { runs.reduce(0) { $0 + $1.count } }
}

/// A byte for each symbol.
struct RawSymbols: SymbolCoder {
    func encode(_ scratch: BlockScratch) {
        SymbolPlanes.copy(scratch.symbols, 0..<scratch.symbolCount, to: &scratch.coded, at: 0)
        scratch.codedCount = scratch.symbolCount
    }

    func decode(_ scratch: BlockScratch, tables: inout ByteCursor, _ bytes: Range<Int>) throws(KeyValueBlockError) {
        try expect(scratch.plannedSymbols, bytes, .raw)
        SymbolPlanes.copy(scratch.input, bytes, to: &scratch.symbols, at: 0)
    }
}

/// As many bits for each symbol of a run as its alphabet needs.
struct PackedSymbols: SymbolCoder {
    static func bits(_ alphabet: Int) -> Int { max(1, Int.bitWidth - (alphabet - 1).leadingZeroBitCount) }

    func encode(_ scratch: BlockScratch) {
        var first = 0
        for run in scratch.runs {
            let bits = Self.bits(run.alphabet)
            scratch.set.packBits(scratch.symbols, at: first, count: run.count, bits: bits, into: &scratch.coded, at: scratch.codedCount)
            scratch.codedCount += InstructionSet.packedBytes(run.count, bits: bits)
            first += run.count
        }
    }

    func decode(_ scratch: BlockScratch, tables: inout ByteCursor, _ bytes: Range<Int>) throws(KeyValueBlockError) {
        try expect(scratch.runs.reduce(0) { $0 + InstructionSet.packedBytes($1.count, bits: Self.bits($1.alphabet)) }, bytes, .pack)
        var (first, place) = (0, bytes.lowerBound)
        for run in scratch.runs {
            let bits = Self.bits(run.alphabet)
            scratch.set.unpackBits(scratch.input, at: place, bits: bits, into: &scratch.symbols, at: first, count: run.count)
            first += run.count
            place += InstructionSet.packedBytes(run.count, bits: bits)
        }
    }
}

/// All symbols as one LZ4 block.
struct LZ4Symbols: SymbolCoder {
    func encode(_ scratch: BlockScratch) {
        scratch.codedCount = LZ4Block.encode(scratch.symbols, count: scratch.symbolCount, into: &scratch.coded)
    }

    func decode(_ scratch: BlockScratch, tables: inout ByteCursor, _ bytes: Range<Int>) throws(KeyValueBlockError) {
        let count = scratch.plannedSymbols
        guard LZ4Block.decode(scratch.input, bytes, into: &scratch.symbols, count: count) else {
            throw KeyValueBlockError("the symbols are no LZ4 block of \(count) bytes")
        }
    }
}

/// Run by run a plane for each bit, the lowest first; all planes as one LZ4 block.
struct BitPlaneSymbols: SymbolCoder {
    func encode(_ scratch: BlockScratch) {
        var (first, place) = (0, 0)
        for run in scratch.runs {
            for bit in 0..<PackedSymbols.bits(run.alphabet) {
                SymbolPlanes.shift(scratch.symbols, at: first, count: run.count, right: bit, into: &scratch.shifted)
                scratch.set.packBits(scratch.shifted, at: 0, count: run.count, bits: 1, into: &scratch.turned, at: place)
                place += InstructionSet.packedBytes(run.count, bits: 1)
            }
            first += run.count
        }
        scratch.codedCount = LZ4Block.encode(scratch.turned, count: place, into: &scratch.coded)
    }

    func decode(_ scratch: BlockScratch, tables: inout ByteCursor, _ bytes: Range<Int>) throws(KeyValueBlockError) {
        let count = scratch.runs.reduce(0) { $0 + InstructionSet.packedBytes($1.count, bits: 1) * PackedSymbols.bits($1.alphabet) }
        guard LZ4Block.decode(scratch.input, bytes, into: &scratch.turned, count: count) else {
            throw KeyValueBlockError("the symbols are no LZ4 block of \(count) bytes")
        }
        var (first, place) = (0, 0)
        for run in scratch.runs {
            SymbolPlanes.zero(&scratch.symbols, first..<first + run.count)
            for bit in 0..<PackedSymbols.bits(run.alphabet) {
                scratch.set.unpackBits(scratch.turned, at: place, bits: 1, into: &scratch.shifted, at: 0, count: run.count)
                SymbolPlanes.add(scratch.shifted, count: run.count, left: bit, to: &scratch.symbols, at: first)
                place += InstructionSet.packedBytes(run.count, bits: 1)
            }
            first += run.count
        }
    }
}
