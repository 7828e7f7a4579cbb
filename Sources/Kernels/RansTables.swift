internal import CKernels

/// Made once, when the first table is chosen; 48 KiB.
@safe
private struct RansLogs: @unchecked Sendable {
    // Sendable by argument: written before anybody sees it, never afterwards.
    let pointer: UnsafePointer<ck_rans_logs>

    init() {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: ck_rans_logs_bytes(), alignment: 64)
        let logs = unsafe memory.bindMemory(to: ck_rans_logs.self, capacity: 1)
        unsafe ck_rans_prepare_logs(logs)
        unsafe pointer = UnsafePointer(logs)
    }

    static let shared = RansLogs()
}

/// Tables of an entropy coder, by number, and the coding of symbols in runs that each have one of them.
///
/// Owned by one coder at a time.
@safe
package final class RansTables {
    /// Of each table.
    private var tables: [OpaquePointer] = unsafe []
    private var chunks: [UnsafeMutableRawPointer] = unsafe []
    private var isReady: [Bool] = []
    private var runs: [ck_rans_run] = unsafe []
    /// Of all runs.
    package private(set) var symbols = 0

    /// Most symbols of a table of 8 bits.
    package static let few = Int(CK_RANS_FEW)

    package init() {}

    deinit { for index in unsafe 0..<chunks.count { unsafe chunks[index].deallocate() } }

    package var count: Int { isReady.count }

    /// Room for `count` more tables, which are yet to be prepared; returns the number of the first.
    package func append(_ count: Int) -> Int {
        precondition(count > 0, "\(count) tables")
        let first = self.count
        let stride = ck_rans_table_bytes()
        let chunk = UnsafeMutableRawPointer.allocate(byteCount: stride * count, alignment: 64)
        unsafe chunks.append(chunk)
        for index in 0..<count {
            unsafe tables.append(OpaquePointer(chunk + index * stride))
            isReady.append(false)
        }
        return first
    }

    /// Makes table `index` of `symbols` frequencies that sum to 1 << bits; false, and there is none, when they are no table.
    package func prepare(_ index: Int, bits: Int, frequencies: [UInt16], at first: Int = 0, symbols: Int) -> Bool {
        precondition(index >= 0 && index < count, "table \(index) of \(count)")
        precondition(
            first >= 0 && symbols >= 0 && first + symbols <= frequencies.count, "\(symbols) frequencies at \(first) of \(frequencies.count)"
        )
        isReady[index] = unsafe frequencies.withUnsafeBufferPointer { frequencies in
            guard let from = frequencies.baseAddress, symbols > 0 else { return false }
            return unsafe ck_rans_prepare(tables[index], UInt32(bits), from + first, symbols)
        }
        return isReady[index]
    }

    package func isPrepared(_ index: Int) -> Bool { isReady[index] }

    /// The frequencies that code these counts best.
    package static func fit(
        _ counts: [UInt32], at first: Int = 0, symbols: Int, bits: Int, into frequencies: inout [UInt16], at place: Int = 0
    ) {
        precondition(first >= 0 && symbols > 0 && first + symbols <= counts.count, "\(symbols) counts at \(first) of \(counts.count)")
        precondition(place >= 0 && place + symbols <= frequencies.count, "\(symbols) frequencies at \(place) of \(frequencies.count)")
        unsafe counts.withUnsafeBufferPointer { counts in
            unsafe frequencies.withUnsafeMutableBufferPointer { frequencies in
                guard let from = counts.baseAddress, let to = frequencies.baseAddress else { return }
                unsafe ck_rans_fit(RansLogs.shared.pointer, from + first, symbols, UInt32(bits), to + place)
            }
        }
    }

    /// Bits, times 1024, that the counts take with the frequencies; nil when they cannot be coded.
    package static func cost(_ counts: [UInt32], at first: Int = 0, symbols: Int, bits: Int, frequencies: [UInt16], at place: Int = 0)
        -> UInt64?
    {
        precondition(first >= 0 && symbols > 0 && first + symbols <= counts.count, "\(symbols) counts at \(first) of \(counts.count)")
        precondition(place >= 0 && place + symbols <= frequencies.count, "\(symbols) frequencies at \(place) of \(frequencies.count)")
        let cost = unsafe counts.withUnsafeBufferPointer { counts in
            unsafe frequencies.withUnsafeBufferPointer { frequencies -> UInt64 in
                guard let from = counts.baseAddress, let with = frequencies.baseAddress else { return .max }
                return unsafe ck_rans_cost(RansLogs.shared.pointer, from + first, symbols, UInt32(bits), with + place)
            }
        }
        return cost == .max ? nil : cost
    }

    /// Bits, times 1024, below which no table codes the counts; a thousandth of a bit a symbol uncertain.
    package static func entropy(_ counts: [UInt32], symbols: Int) -> UInt64 {
        precondition(symbols > 0 && symbols <= counts.count, "\(symbols) counts of \(counts.count)")
        return unsafe counts.withUnsafeBufferPointer { counts in
            guard let from = counts.baseAddress else { return 0 }
            return unsafe ck_rans_entropy(RansLogs.shared.pointer, from, symbols)
        }
    }

    // MARK: Runs

    package func removeRuns() {
        unsafe runs.removeAll(keepingCapacity: true)
        symbols = 0
    }

    /// Behind `skip` symbols that are not coded the next `count` are, with table `index`.
    package func appendRun(_ index: Int, skip: Int = 0, count: Int) {
        precondition(isReady[index] && count >= 0 && skip >= 0 && skip + count <= Int(Int32.max), "\(count) symbols with table \(index)")
        unsafe runs.append(ck_rans_run(table: tables[index], skip: UInt32(skip), count: UInt32(count)))
        symbols += skip + count
    }

    /// A seed is below 2 to the power of this.
    package static let seedBits = Int(CK_RANS_SEED_BITS)

    package static func bound(_ count: Int, lanes: Int) -> Int { ck_rans_bound(count, lanes) }

    /// Codes the symbols of all runs; every one has a frequency in its table. `seeds` is a number for each lane that goes along, or empty.
    /// `out` has the bound and the slack behind `place`.
    package func encode(
        _ input: [UInt8], lanes: Int, seeds: [UInt16], into out: inout [UInt8], at place: Int, on set: InstructionSet
    ) -> Int {
        precondition(lanes == 32 || lanes == 64 || lanes == 128, "\(lanes) lanes")
        precondition(seeds.isEmpty || seeds.count == lanes, "\(seeds.count) seeds of \(lanes) lanes")
        precondition(seeds.allSatisfy { $0 < 1 << Self.seedBits }, "a seed of more than \(Self.seedBits) bits")
        precondition(symbols <= input.count, "\(symbols) symbols of \(input.count)")
        let room = Self.bound(symbols, lanes: lanes) + SymbolSlack.bytes
        precondition(place >= 0 && place + room <= out.count, "\(room) bytes at \(place) of \(out.count)")
        return unsafe input.withUnsafeBufferPointer { input in
            unsafe seeds.withUnsafeBufferPointer { seeds in
                unsafe out.withUnsafeMutableBufferPointer { out in
                    guard let from = input.baseAddress, let to = out.baseAddress else { return 0 }
                    return unsafe ck_rans_encode(
                        set.cSet, lanes, from, runs, runs.count, seeds.isEmpty ? nil : seeds.baseAddress, to + place)
                }
            }
        }
    }

    /// Fills the first `symbols` of `out` but for those that are skipped, and `seeds`, a number for each lane or empty; false when
    /// `bytes[range]` are no such coding. The slack stands before and behind the range.
    package func decode(
        _ bytes: [UInt8], _ range: Range<Int>, lanes: Int, seeds: inout [UInt16], into out: inout [UInt8], on set: InstructionSet
    ) -> Bool {
        precondition(lanes == 32 || lanes == 64 || lanes == 128, "\(lanes) lanes")
        precondition(seeds.isEmpty || seeds.count == lanes, "\(seeds.count) seeds of \(lanes) lanes")
        precondition(symbols <= out.count, "\(symbols) symbols of \(out.count)")
        precondition(
            range.lowerBound >= SymbolSlack.bytes && range.upperBound + SymbolSlack.bytes <= bytes.count, "bytes \(range) of \(bytes.count)"
        )
        return unsafe bytes.withUnsafeBufferPointer { bytes in
            unsafe seeds.withUnsafeMutableBufferPointer { seeds in
                unsafe out.withUnsafeMutableBufferPointer { out in
                    guard let from = bytes.baseAddress, let to = out.baseAddress else { return false }
                    return unsafe ck_rans_decode(
                        set.cSet, lanes, from + range.lowerBound, range.count, runs, runs.count, to, seeds.isEmpty ? nil : seeds.baseAddress)
                }
            }
        }
    }
}
