import Kernels

/// Symbols that go along in the first states of an entropy coder's lanes, as they are: of the states' bits they take those that would
/// hold nothing. A part of the format.
struct Seeding {
    let lanes: Int
    /// Of each symbol.
    let bits: Int
    /// Of each lane.
    let each: Int
    /// Of the first one, in what is coded.
    private(set) var place = 0

    /// - Parameters:
    ///   - count: of the run that gives the symbols.
    ///   - all: symbols that are coded.
    init(of count: Int, alphabet: Int, all: Int) {
        // A lane costs about a byte and a half beside its seed. On a Zen 3 64 lanes are decoded twice as fast as 32.
        lanes = all < 16_384 ? 32 : all < 65_536 ? 64 : 128
        bits = PackedSymbols.bits(alphabet)
        // Where they are a great part of the run their cost as they are would count.
        let most = RansTables.seedBits / bits
        each = count >= 4 * most * lanes ? most : 0
    }

    /// Of all lanes.
    var symbols: Int { each * lanes }

    func at(_ place: Int) -> Seeding {
        var seeding = self
        seeding.place = place
        return seeding
    }

    /// Lane by lane, a lane's first symbol in the lowest bits.
    func collect(from coded: [UInt8], to seeds: inout [UInt16]) {
        makeRoom(in: &seeds)
        for lane in seeds.indices {
            var seed = 0
            for index in 0..<each { seed |= Int(coded[place + lane * each + index]) << (bits * index) }
            seeds[lane] = UInt16(seed)
        }
    }

    func makeRoom(in seeds: inout [UInt16]) {
        seeds.removeAll(keepingCapacity: true)
        if each > 0 { seeds.append(contentsOf: repeatElement(0, count: lanes)) }
    }

    /// False for seeds that hold more than symbols.
    func restore(_ seeds: [UInt16], to coded: inout [UInt8]) -> Bool {
        for lane in seeds.indices {
            let seed = Int(seeds[lane])
            guard seed >> (bits * each) == 0 else { return false }
            for index in 0..<each { coded[place + lane * each + index] = UInt8(seed >> (bits * index) & ((1 << bits) - 1)) }
        }
        return true
    }
}
