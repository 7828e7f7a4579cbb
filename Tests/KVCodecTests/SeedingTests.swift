import Testing

@testable import KVCodec

/// Symbols in the first states of lanes.
@Suite struct SeedingTests {
    @Test func `lanes get as many symbols as fifteen bits hold, unless the run is short`() {
        #expect(Seeding(of: 1000, alphabet: 16, all: 1000).symbols == 3 * 32)
        #expect(Seeding(of: 383, alphabet: 16, all: 1000).symbols == 0)
        #expect(Seeding(of: 384, alphabet: 9, all: 1000).symbols == 96)
        #expect(Seeding(of: 40_000, alphabet: 4, all: 40_000).symbols == 7 * 64)
        #expect(Seeding(of: 70_000, alphabet: 256, all: 70_000).symbols == 128)
    }

    @Test func `seeds hold their symbols, and nothing else`() {
        var coded = (0..<2000).map { UInt8($0 * 7 % 12) }
        let seeding = Seeding(of: 1900, alphabet: 12, all: 2000).at(100)
        var seeds: [UInt16] = []
        seeding.collect(from: coded, to: &seeds)
        #expect(seeds.count == 32)
        #expect(seeds[1] == UInt16(coded[103]) | UInt16(coded[104]) << 4 | UInt16(coded[105]) << 8)
        let before = coded
        for index in 100..<196 { coded[index] = 99 }
        #expect(seeding.restore(seeds, to: &coded) && coded == before)
        seeds[31] |= 1 << 12
        #expect(!seeding.restore(seeds, to: &coded))
    }
}
