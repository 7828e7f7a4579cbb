import Kernels

/// Interleaved rANS with a table for each run, or for each channel of a run where that takes fewer bits.
///
/// What a run's table is stands in the tables' section, for each run that is not empty: `Form`, then what it asks for. The first symbols of
/// the longest run go along as the lanes' seeds (`Seeding`).
final class RansSymbols: SymbolCoder {
    private enum Form: UInt8 {
        /// The number of a table of the alphabet's family.
        case family = 0
        /// alphabet - 1 bytes: frequencies of 256; the last one is what is left.
        case inline8 = 1
        /// alphabet - 1 numbers: frequencies of 4096, varints, behind a 0 how many more zeros follow; the last one is what is left.
        case inline12 = 2
        /// The one symbol that occurs.
        case single = 3
        /// The number of a table of the family for each channel.
        case channels = 4
        /// 15 bytes: frequencies of 256 for pairs of symbols, each below 4; the last one is what is left.
        case pairs = 5
        /// The number of a table of the family and a number: of how many more channels it is, until all have one.
        case stretches = 6
    }

    /// Channels in a row that share a table.
    private struct Stretch {
        var table: Int
        var cost: Int
        var channels: Int
    }

    /// What a run came to.
    private struct Outcome {
        var run: SymbolRun
        /// Of its symbols.
        var first: Int
        /// Where they stand in what the tables code, and how many these are: half as many if they are paired, none if there is one symbol only.
        var place: Int
        var count = 0
        var isPaired = false
        var only: UInt8?
        /// Of `parts`.
        var parts = 0..<0
    }

    private struct Member {
        let family: SymbolFamily
        /// Of its tables.
        let first: Int
    }

    private let perChannel: Bool
    private let most: Int
    private var tables = RansTables()
    private var members: [Member] = []
    /// The numbers of tables for runs with frequencies of their own.
    private var slots: [Int] = []
    private var usedSlots = 0
    private var counts = [UInt32](repeating: 0, count: 256)
    private var channelCounts = [UInt32](repeating: 0, count: 256)
    private var frequencies = [UInt16](repeating: 0, count: 256)
    private var coarse = [UInt16](repeating: 0, count: 256)
    private var pairs = [UInt16](repeating: 0, count: 16)
    private var choices: [UInt8] = []
    private var stretches: [Stretch] = []
    private var stretchCounts = [UInt32](repeating: 0, count: 256)
    /// Of each run that is not empty.
    private var outcomes: [Outcome] = []
    /// What the tables code: pieces with a table each.
    private var parts: [(table: Int, count: Int)] = []
    private var partSymbols = 0
    private var seeds: [UInt16] = []

    init(perChannel: Bool, geometry: KeyValueGeometry) {
        self.perChannel = perChannel
        most = 8 + 2 * geometry.heads
    }

    /// How many symbols of tables the block came to.
    var steps: Int { partSymbols }

    private func begin() {
        tables.removeRuns()
        outcomes.removeAll(keepingCapacity: true)
        parts.removeAll(keepingCapacity: true)
        partSymbols = 0
        usedSlots = 0
        if members.count > most {
            tables = RansTables()
            members.removeAll()
            slots.removeAll()
        }
    }

    /// The number of a free table.
    private func slot() -> Int {
        if usedSlots == slots.count { slots.append(tables.append(1)) }
        usedSlots += 1
        return slots[usedSlots - 1]
    }

    private func member(_ run: SymbolRun) -> Int {
        if let found = members.firstIndex(where: { $0.family.alphabet == run.alphabet && $0.family.style == run.style }) { return found }
        let family = SymbolFamily.of(alphabet: run.alphabet, style: run.style)
        members.append(Member(family: family, first: tables.append(family.count)))
        return members.count - 1
    }

    private func table(_ index: Int, of member: Int) -> Int {
        let number = members[member].first + index
        if !tables.isPrepared(number) {
            let family = members[member].family
            let isTable = tables.prepare(
                number, bits: family.bits, frequencies: family.frequencies, at: index * family.alphabet, symbols: family.alphabet)
            precondition(isTable, "table \(index) of the family of \(family.alphabet) symbols")
        }
        return number
    }

    private func appendPart(_ table: Int, count: Int) {
        parts.append((table, count))
        partSymbols += count
    }

    /// Begins the outcome of a run whose parts come next.
    private func open(_ run: SymbolRun, at first: Int) {
        outcomes.append(Outcome(run: run, first: first, place: partSymbols, parts: parts.count..<parts.count))
    }

    private func close() {
        let last = outcomes.count - 1
        outcomes[last].count = partSymbols - outcomes[last].place
        outcomes[last].parts = outcomes[last].parts.lowerBound..<parts.count
    }

    /// Has the tables code all parts, but for the symbols that are seeds.
    private func settle() -> Seeding {
        var longest = 0
        for index in outcomes.indices where outcomes[index].count > outcomes[longest].count { longest = index }
        let seeding = Seeding(
            of: outcomes[longest].count, alphabet: outcomes[longest].isPaired ? 16 : outcomes[longest].run.alphabet, all: partSymbols)
        for index in outcomes.indices {
            var left = index == longest ? seeding.symbols : 0
            for part in parts[outcomes[index].parts] {
                let skipped = min(left, part.count)
                tables.appendRun(part.table, skip: skipped, count: part.count - skipped)
                left -= skipped
            }
        }
        return seeding.at(outcomes[longest].place)
    }

    // MARK: Encoding

    func encode(_ scratch: BlockScratch) {
        begin()
        var first = 0
        for run in scratch.runs where run.count > 0 {
            if hasChannels(run) { turn(run, from: first, to: partSymbols, scratch) }
            open(run, at: first)
            choose(run, at: first, scratch)
            close()
            if let last = outcomes.last, last.count == run.count, !hasChannels(run) {
                SymbolPlanes.copy(scratch.symbols, first..<first + run.count, to: &scratch.turned, at: last.place)
            }
            first += run.count
        }
        guard partSymbols > 0 else { return }
        let seeding = settle()
        seeding.collect(from: scratch.turned, to: &seeds)
        scratch.codedCount = tables.encode(scratch.turned, lanes: seeding.lanes, seeds: seeds, into: &scratch.coded, at: 0, on: scratch.set)
    }

    /// A bit, in the unit of costs.
    private static let bit = 1024

    /// Shorter runs take a table of the family, if there is one: frequencies of their own would not pay.
    private static let leastFitted = 100

    private func choose(_ run: SymbolRun, at first: Int, _ scratch: BlockScratch) {
        Self.clear(&counts)
        scratch.set.count(scratch.symbols, first..<first + run.count, into: &counts)
        if let symbol = Self.only(counts, run.alphabet) {
            scratch.tables.append(Form.single.rawValue)
            scratch.tables.append(UInt8(symbol))
            outcomes[outcomes.count - 1].only = UInt8(symbol)
            return
        }
        var best = (form: Form.inline12, cost: Int.max)
        var familyTable = 0
        if run.alphabet <= RansTables.few {
            let member = self.member(run)
            let found = members[member].family.best(counts)
            best = (.family, found.cost + 8 * Self.bit)
            familyTable = found.table
            if run.count >= Self.leastFitted {
                RansTables.fit(counts, symbols: run.alphabet, bits: 8, into: &coarse)
                let cost = Int(clamping: RansTables.cost(counts, symbols: run.alphabet, bits: 8, frequencies: coarse) ?? .max)
                if cost + 8 * Self.bit * (run.alphabet - 1) < best.cost { best = (.inline8, cost + 8 * Self.bit * (run.alphabet - 1)) }
            }
        }
        // Tables of 8 bits are faster: they may cost half a hundredth more.
        if run.alphabet > RansTables.few || run.count >= Self.leastFitted && best.cost > Int(RansTables.entropy(counts, symbols: run.alphabet)) * 201 / 200 {
            RansTables.fit(counts, symbols: run.alphabet, bits: 12, into: &frequencies)
            let cost = Int(clamping: RansTables.cost(counts, symbols: run.alphabet, bits: 12, frequencies: frequencies) ?? .max)
            let all = cost + 8 * Self.bit * inlineBytes(run.alphabet)
            if all < best.cost - best.cost / 200 || run.alphabet > RansTables.few { best = (.inline12, all) }
        }
        if hasChannels(run), channelsPay(run, below: best.cost, scratch) { return }
        if canPair(run), run.count >= Self.leastPaired, pairsPay(run, at: first, below: best.cost + best.cost / 1000, scratch) { return }
        scratch.tables.append(best.form.rawValue)
        let number: Int
        switch best.form {
        case .family:
            scratch.tables.append(UInt8(familyTable))
            number = table(familyTable, of: member(run))
        case .inline8:
            for symbol in 0..<run.alphabet - 1 { scratch.tables.append(UInt8(coarse[symbol])) }
            number = slot()
            precondition(tables.prepare(number, bits: 8, frequencies: coarse, symbols: run.alphabet), "frequencies of 8 bits")
        case .inline12:
            writeInline(run.alphabet, to: &scratch.tables)
            number = slot()
            precondition(tables.prepare(number, bits: 12, frequencies: frequencies, symbols: run.alphabet), "frequencies of 12 bits")
        case .single, .channels, .pairs, .stretches: preconditionFailure("chosen above")
        }
        appendPart(number, count: run.count)
    }

    private static func clear(_ counts: inout [UInt32]) { for index in counts.indices { counts[index] = 0 } }

    /// The one symbol that occurs.
    private static func only(_ counts: [UInt32], _ alphabet: Int) -> Int? {
        var found: Int?
        for symbol in 0..<alphabet where counts[symbol] > 0 {
            if found != nil { return nil }
            found = symbol
        }
        return found
    }

    /// Codes the run by channels if that takes fewer bits than `cost`. Components of a basis fall off smoothly: those in a row that one table
    /// suits share it.
    private func channelsPay(_ run: SymbolRun, below cost: Int, _ scratch: BlockScratch) -> Bool {
        let member = self.member(run)
        let columns = run.count / run.rows
        choices.removeAll(keepingCapacity: true)
        stretches.removeAll(keepingCapacity: true)
        var (apart, together) = (8 * Self.bit * columns, 0)
        for column in 0..<columns {
            Self.clear(&channelCounts)
            let start = partSymbols + column * run.rows
            scratch.set.count(scratch.turned, start..<start + run.rows, into: &channelCounts)
            let found = members[member].family.best(channelCounts)
            apart += found.cost
            choices.append(UInt8(found.table))
            together = run.style == .deadzone ? together + join(found, run.alphabet, members[member].family) : .max
            if min(apart, together) >= cost { return false }
        }
        if apart <= together {
            scratch.tables.append(Form.channels.rawValue)
            scratch.tables.append(contentsOf: choices)
            for choice in choices { appendPart(table(Int(choice), of: member), count: run.rows) }
        } else {
            scratch.tables.append(Form.stretches.rawValue)
            for stretch in stretches {
                scratch.tables.append(UInt8(stretch.table))
                scratch.tables.append(varint: stretch.channels - 1)
                appendPart(table(stretch.table, of: member), count: stretch.channels * run.rows)
            }
        }
        return true
    }

    /// Table and length of a stretch.
    private static let stretchCost = 16 * bit

    /// Adds the channel in `channelCounts` to the last stretch or begins another; returns what that adds to the cost.
    private func join(_ own: (table: Int, cost: Int), _ alphabet: Int, _ family: SymbolFamily) -> Int {
        if let last = stretches.last {
            for symbol in 0..<alphabet { stretchCounts[symbol] += channelCounts[symbol] }
            let shared = family.best(stretchCounts)
            if shared.cost - last.cost <= own.cost + Self.stretchCost {
                stretches[stretches.count - 1] = Stretch(table: shared.table, cost: shared.cost, channels: last.channels + 1)
                return shared.cost - last.cost
            }
        }
        for symbol in 0..<alphabet { stretchCounts[symbol] = channelCounts[symbol] }
        stretches.append(Stretch(table: own.table, cost: own.cost, channels: 1))
        return own.cost + Self.stretchCost
    }

    // MARK: Pairs
    // Two bits to a symbol, then four bits to a pair: which two symbols make one follows from the order of packed bits.

    /// Shorter runs do not pay for their table.
    private static let leastPaired = 256

    private func canPair(_ run: SymbolRun) -> Bool { !perChannel && run.alphabet <= 4 && run.count % 16 == 0 }

    /// Codes the run by pairs if that takes at most `cost`: half the steps.
    private func pairsPay(_ run: SymbolRun, at first: Int, below cost: Int, _ scratch: BlockScratch) -> Bool {
        let (place, count) = (partSymbols, run.count / 2)
        scratch.set.packBits(scratch.symbols, at: first, count: run.count, bits: 2, into: &scratch.shifted, at: 0)
        scratch.set.unpackBits(scratch.shifted, at: 0, bits: 4, into: &scratch.turned, at: place, count: count)
        Self.clear(&channelCounts)
        scratch.set.count(scratch.turned, place..<place + count, into: &channelCounts)
        RansTables.fit(channelCounts, symbols: 16, bits: 8, into: &pairs)
        let found = Int(clamping: RansTables.cost(channelCounts, symbols: 16, bits: 8, frequencies: pairs) ?? .max)
        guard pairs.allSatisfy({ $0 < 256 }), found + 8 * Self.bit * 15 <= cost else { return false }
        scratch.tables.append(Form.pairs.rawValue)
        for pair in 0..<15 { scratch.tables.append(UInt8(pairs[pair])) }
        let number = slot()
        precondition(tables.prepare(number, bits: 8, frequencies: pairs, symbols: 16), "frequencies of pairs")
        appendPart(number, count: count)
        outcomes[outcomes.count - 1].isPaired = true
        return true
    }

    private func inlineBytes(_ alphabet: Int) -> Int {
        var (bytes, symbol) = (0, 0)
        while symbol < alphabet - 1 {
            bytes += frequencies[symbol] < 128 ? 1 : 2
            if frequencies[symbol] == 0 {
                let zeros = zeros(after: symbol, alphabet)
                bytes += zeros < 128 ? 1 : 2
                symbol += zeros
            }
            symbol += 1
        }
        return bytes
    }

    private func writeInline(_ alphabet: Int, to bytes: inout [UInt8]) {
        var symbol = 0
        while symbol < alphabet - 1 {
            bytes.append(varint: Int(frequencies[symbol]))
            if frequencies[symbol] == 0 {
                let zeros = zeros(after: symbol, alphabet)
                bytes.append(varint: zeros)
                symbol += zeros
            }
            symbol += 1
        }
    }

    /// How many symbols behind `symbol`, but for the last one of all, have no frequency either.
    private func zeros(after symbol: Int, _ alphabet: Int) -> Int {
        var next = symbol + 1
        while next < alphabet - 1, frequencies[next] == 0 { next += 1 }
        return next - symbol - 1
    }

    // MARK: Decoding

    func decode(_ scratch: BlockScratch, tables section: inout ByteCursor, _ bytes: Range<Int>) throws(KeyValueBlockError) {
        begin()
        var first = 0
        for run in scratch.runs where run.count > 0 {
            open(run, at: first)
            try read(run, from: &section)
            close()
            first += run.count
        }
        if partSymbols == 0 {
            guard bytes.isEmpty else { throw KeyValueBlockError("\(bytes.count) bytes of symbols; none were expected") }
        } else {
            let seeding = settle()
            seeding.makeRoom(in: &seeds)
            guard
                tables.decode(scratch.input, bytes, lanes: seeding.lanes, seeds: &seeds, into: &scratch.turned, on: scratch.set),
                seeding.restore(seeds, to: &scratch.turned)
            else { throw KeyValueBlockError("\(bytes.count) bytes are no coding of \(partSymbols) symbols") }
        }
        restore(scratch)
    }

    /// From `turned` to the symbols as quantisers have them.
    private func restore(_ scratch: BlockScratch) {
        for outcome in outcomes {
            let (run, first, place) = (outcome.run, outcome.first, outcome.place)
            if let only = outcome.only {
                SymbolPlanes.fill(&scratch.symbols, first..<first + run.count, with: only)
            } else if outcome.isPaired {
                scratch.set.packBits(scratch.turned, at: place, count: run.count / 2, bits: 4, into: &scratch.shifted, at: 0)
                scratch.set.unpackBits(scratch.shifted, at: 0, bits: 2, into: &scratch.symbols, at: first, count: run.count)
            } else if hasChannels(run) {
                turnBack(run, from: place, to: first, scratch)
            } else {
                SymbolPlanes.copy(scratch.turned, place..<place + run.count, to: &scratch.symbols, at: first)
            }
        }
    }

    private func read(_ run: SymbolRun, from section: inout ByteCursor) throws(KeyValueBlockError) {
        let form = try section.byte()
        switch Form(rawValue: form) {
        case .family:
            guard run.alphabet <= RansTables.few else {
                throw KeyValueBlockError("a family's table for \(run.alphabet) symbols; frequencies were expected")
            }
            let member = self.member(run)
            appendPart(table(try choice(member, &section), of: member), count: run.count)
        case .inline8:
            guard run.alphabet <= RansTables.few else {
                throw KeyValueBlockError("frequencies of 8 bits for \(run.alphabet) symbols; 12 were expected")
            }
            var left = 256
            for symbol in 0..<run.alphabet - 1 {
                frequencies[symbol] = UInt16(try section.byte())
                left -= Int(frequencies[symbol])
            }
            try finish(run, bits: 8, left)
        case .inline12:
            var (left, symbol) = (4096, 0)
            while symbol < run.alphabet - 1 {
                let frequency = try section.varint()
                guard frequency <= left else { throw KeyValueBlockError("frequencies of symbols sum to more than 4096") }
                frequencies[symbol] = UInt16(frequency)
                left -= frequency
                symbol += 1
                guard frequency == 0 else { continue }
                let zeros = try section.varint()
                guard zeros <= run.alphabet - 1 - symbol else {
                    throw KeyValueBlockError("\(zeros) frequencies of 0 for the last \(run.alphabet - 1 - symbol) symbols")
                }
                for _ in 0..<zeros {
                    frequencies[symbol] = 0
                    symbol += 1
                }
            }
            try finish(run, bits: 12, left)
        case .single:
            let symbol = Int(try section.byte())
            guard symbol < run.alphabet else { throw KeyValueBlockError("symbol \(symbol) of an alphabet of \(run.alphabet)") }
            outcomes[outcomes.count - 1].only = UInt8(symbol)
        case .channels:
            guard hasChannels(run) else { throw KeyValueBlockError("tables for channels in a run that has none") }
            let member = self.member(run)
            for _ in 0..<run.count / run.rows { appendPart(table(try choice(member, &section), of: member), count: run.rows) }
        case .stretches:
            guard hasChannels(run) else { throw KeyValueBlockError("tables for channels in a run that has none") }
            let member = self.member(run)
            var left = run.count / run.rows
            while left > 0 {
                let number = table(try choice(member, &section), of: member)
                let more = try section.varint()
                guard more < left else { throw KeyValueBlockError("a table for \(more + 1) channels; \(left) are left") }
                appendPart(number, count: (more + 1) * run.rows)
                left -= more + 1
            }
        case .pairs:
            guard canPair(run) else { throw KeyValueBlockError("pairs of \(run.count) symbols of an alphabet of \(run.alphabet)") }
            var left = 256
            for pair in 0..<15 {
                pairs[pair] = UInt16(try section.byte())
                left -= Int(pairs[pair])
            }
            guard left >= 0 else { throw KeyValueBlockError("frequencies of pairs sum to more than 256") }
            pairs[15] = UInt16(left)
            let number = slot()
            guard tables.prepare(number, bits: 8, frequencies: pairs, symbols: 16) else {
                throw KeyValueBlockError("the frequencies of pairs are no table")
            }
            appendPart(number, count: run.count / 2)
            outcomes[outcomes.count - 1].isPaired = true
        case nil: throw KeyValueBlockError("a table of form \(form); 0 to 6 were expected")
        }
    }

    private func choice(_ member: Int, _ section: inout ByteCursor) throws(KeyValueBlockError) -> Int {
        let index = Int(try section.byte())
        let count = members[member].family.count
        guard index < count else { throw KeyValueBlockError("table \(index) of a family of \(count)") }
        return index
    }

    private func finish(_ run: SymbolRun, bits: Int, _ left: Int) throws(KeyValueBlockError) {
        guard left >= 0 else { throw KeyValueBlockError("frequencies of symbols sum to more than \(1 << bits)") }
        frequencies[run.alphabet - 1] = UInt16(left)
        let number = slot()
        guard tables.prepare(number, bits: bits, frequencies: frequencies, symbols: run.alphabet) else {
            throw KeyValueBlockError("the frequencies of \(run.alphabet) symbols are no table of \(bits) bits")
        }
        appendPart(number, count: run.count)
    }

    // MARK: Channels

    private func hasChannels(_ run: SymbolRun) -> Bool { perChannel && run.rows > 0 }

    /// A run's planes, channel by channel, to `turned`.
    private func turn(_ run: SymbolRun, from first: Int, to place: Int, _ scratch: BlockScratch) {
        forEachSlice(run) { offset, width in
            scratch.set.transpose(
                scratch.symbols, at: first + offset, rows: run.rows, columns: width, into: &scratch.turned, at: place + offset)
        }
    }

    private func turnBack(_ run: SymbolRun, from place: Int, to first: Int, _ scratch: BlockScratch) {
        forEachSlice(run) { offset, width in
            scratch.set.transpose(
                scratch.turned, at: place + offset, rows: width, columns: run.rows, into: &scratch.symbols, at: first + offset)
        }
    }

    private func forEachSlice(_ run: SymbolRun, _ body: (_ offset: Int, _ width: Int) -> Void) {
        var offset = 0
        while offset < run.count {
            var column = 0
            while column < run.columns {
                let width = min(run.width, run.columns - column)
                body(offset, width)
                offset += width * run.rows
                column += width
            }
        }
    }
}
