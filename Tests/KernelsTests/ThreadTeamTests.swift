import Kernels
import Platform
import Synchronization
import Testing

@Suite struct ThreadTeamTests {
    @Test(arguments: [1, 2, 3, 8])
    func `every chunk runs once, call after call`(threads: Int) {
        let team = ThreadTeam(threads: threads, instructionSet: .scalar)
        let counts = Counts()
        for round in 0..<3000 {
            let chunks = round % 23
            team.run(chunks: chunks) { chunk in counts.add(chunk) }
            #expect(counts.takeAndCheck(chunks))
        }
    }

    @Test(arguments: [0, 1, 1 << 20, (1 << 20) + 1, 5 << 20, (5 << 20) - 7])
    func `the digest of pieces is what its sentence says, on any number of threads`(count: Int) {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }
        var digests: [UInt8] = []
        for start in stride(from: 0, to: count, by: 1 << 20) {
            let digest = Digest(of: bytes.rawSpan.extracting(start..<min(count, start + (1 << 20))))
            for word in [digest.low, digest.high] { for shift in 0..<8 { digests.append(UInt8(truncatingIfNeeded: word >> (8 * shift))) } }
        }
        let expected = Digest(of: digests.rawSpan)
        for threads in [1, 2, 3] {
            #expect(ThreadTeam(threads: threads, instructionSet: .scalar).digest(ofPiecesOf: bytes.rawSpan) == expected)
        }
    }

    @Test func `results written by helpers are visible after the call`() {
        let team = ThreadTeam(threads: 4, instructionSet: .scalar)
        let sums = Counts()
        var expected = 0
        for round in 1...500 {
            team.run(chunks: 16) { _ in sums.addTo(0, round) }
            expected += 16 * round
            #expect(sums.value(0) == expected)
        }
    }

    @Test func `helpers that stall are left out, longer each time, and trusted again`() {
        var trust = HelperTrust()
        trust.endCall(at: 1, work: 100_000, wait: 200_000)
        trust.endCall(at: 2, work: 100_000_000, wait: 2_000_000)
        #expect(trust == { var fresh = HelperTrust(); for _ in 0..<2 { fresh.endCall(at: 0, work: 1, wait: 0) }; return fresh }())
        #expect(trust.calls(at: 2))
        var now: UInt64 = 0
        var alone: [UInt64] = []
        for _ in 0..<8 {
            trust.endCall(at: now, work: 100_000, wait: 4_000_000)
            let start = now
            while !trust.calls(at: now) { now += 1_000_000 }
            alone.append((now - start) / 1_000_000)
        }
        #expect(alone == [16, 32, 64, 128, 256, 512, 1024, 1024])
        for _ in 0..<128 * 6 { trust.endCall(at: now, work: 100_000, wait: 1000) }
        trust.endCall(at: now, work: 100_000, wait: 4_000_000)
        #expect(!trust.calls(at: now + 15_999_999) && trust.calls(at: now + 16_000_000))
    }

    @Test func `a team that was told to rest computes all the same`() {
        for set in [1, 3] {
            let team = ThreadTeam(threads: set, instructionSet: .scalar)
            let counts = Counts()
            team.rest()
            for _ in 0..<300 {
                team.run(chunks: 9) { counts.add($0) }
                #expect(counts.takeAndCheck(9))
                team.rest()
            }
        }
    }

    @Test func `teams come and go`() {
        for threads in 1...40 {
            let team = ThreadTeam(threads: threads % 5 + 1, instructionSet: .scalar)
            let counts = Counts()
            team.run(chunks: 7) { counts.add($0) }
            #expect(counts.takeAndCheck(7))
        }
    }

    @Test func `an instruction set is chosen by name, and a wrong name is explained`() throws {
        #expect(try InstructionSet.select(nil) == .best)
        #expect(try InstructionSet.select("") == .best)
        #expect(try InstructionSet.select("scalar") == .scalar)
        #expect(throws: InstructionSetError.unknown("sse2")) { try InstructionSet.select("sse2") }
        #expect("\(InstructionSetError.unknown("sse2"))".contains("expected one of scalar, avx2, avx512, avx512vnni, avx512bf16"))
        for set in InstructionSet.allCases where !set.isSupported {
            #expect(throws: InstructionSetError.unsupported(set)) { try InstructionSet.select(set.name) }
        }
        #expect(InstructionSet.scalar.isSupported && InstructionSet.best.isSupported)
    }
}

/// A few counters that any thread may raise.
private final class Counts: Sendable {
    private let counters = Mutex([Int](repeating: 0, count: 64))

    func add(_ index: Int) { addTo(index, 1) }

    func addTo(_ index: Int, _ amount: Int) { counters.withLock { $0[index] += amount } }

    func value(_ index: Int) -> Int { counters.withLock { $0[index] } }

    /// Whether the first `count` are one and the others zero; all become zero.
    func takeAndCheck(_ count: Int) -> Bool {
        counters.withLock { counters in
            defer { counters = [Int](repeating: 0, count: 64) }
            return counters.enumerated().allSatisfy { $1 == ($0 < count ? 1 : 0) }
        }
    }
}
