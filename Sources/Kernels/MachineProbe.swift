internal import CKernels
package import Platform

/// What this machine could do at best: the limits that measured speeds are compared with.
package struct MachineProbe {
    private let team: ThreadTeam
    private let clock: any MonotonicClock

    package init(team: ThreadTeam, clock: any MonotonicClock) {
        self.team = team
        self.clock = clock
    }

    /// The instruction whose rate `arithmetic(_:)` measures.
    package func instruction(_ form: WeightForm) -> String {
        if form.isBytes {
            switch team.instructionSet {
            case .scalar: return "imul"
            case .avx2: return "vpmaddubsw (256 bit)"
            case .avx512: return "vpmaddubsw (512 bit)"
            case .avx512vnni, .avx512bf16: return "vpdpbusd (512 bit)"
            }
        }
        return switch team.instructionSet {
        case .scalar: "fmaf"
        case .avx2: "vfmadd231ps (256 bit)"
        case .avx512, .avx512vnni: "vfmadd231ps (512 bit)"
        case .avx512bf16: form == .bf16 ? "vdpbf16ps (512 bit)" : "vfmadd231ps (512 bit)"
        }
    }

    /// Multiply-adds out of registers, all threads at once, in 10^9 operations/s. The median of `repeats` runs of about 20 ms.
    package func arithmetic(_ form: WeightForm, repeats: Int = 7) -> Double {
        let (set, threads) = (team.instructionSet.cSet, team.threads)
        let work: @Sendable (UInt64) -> UInt64 = { rounds in
            var sink: Float = 0
            if form.isBytes { return unsafe ck_int8_probe_arithmetic(set, rounds, &sink) }
            return unsafe ck_probe_arithmetic(set, form.elementType.cType, rounds, &sink)
        }
        var rounds: UInt64 = 1 << 12
        var rates: [Double] = []
        while rates.count < repeats {
            let count = rounds
            let start = clock.now
            // Eight chunks a thread, so that a slow start of one thread does not idle the others.
            team.run(chunks: threads * 8) { _ in _ = work(count) }
            let seconds = clock.now.since(start).inSeconds
            if seconds < 0.02 && rounds < 1 << 40 {
                rounds *= 2
                continue
            }
            rates.append(Double(work(1)) * Double(count) * Double(threads * 8) / seconds / 1e9)
        }
        return median(rates)
    }

    /// Plain reading of memory with prefetching, all threads at once, in GB/s. The median of `repeats` passes over `bytes`.
    ///
    /// - Parameter bytes: several times the last-level cache; at least 256 MB says something about memory.
    /// - Throws: `FileError` when the system refuses the memory.
    package func read(bytes: Int = 512 << 20, repeats: Int = 7) throws(FileError) -> Double {
        let chunk = 256 << 10
        let chunks = max(1, bytes / chunk)
        let slab = try Slab(bytes: chunks * chunk, purpose: "the memory probe")
        let set = team.instructionSet.cSet
        let lent = unsafe Lent(slab.base)
        // Touched first: untouched memory is one shared page of zeros.
        team.run(chunks: chunks) { unsafe (lent.pointers + $0 * chunk).initializeMemory(as: UInt8.self, repeating: UInt8(truncatingIfNeeded: $0 | 1), count: chunk) }
        var rates: [Double] = []
        for _ in 0..<repeats {
            let start = clock.now
            team.run(chunks: chunks) { unsafe _ = ck_probe_read(set, lent.pointers + $0 * chunk, chunk) }
            rates.append(Double(chunks * chunk) / clock.now.since(start).inSeconds / 1e9)
        }
        return median(rates)
    }

    private func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
}
