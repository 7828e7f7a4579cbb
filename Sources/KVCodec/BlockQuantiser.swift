import Kernels

/// Turns the planes of a side into symbols. Symbols stand group by group of the plan, head by head; rows of a plane follow one another.
protocol BlockQuantiser {
    /// The runs that a side of a block comes to, in the order of their symbols.
    func appendRuns(_ frame: SideFrame, _ plan: LayerPlan.Side, to runs: inout [SymbolRun])

    /// Adds symbols, and what the way back needs to the plan or the statistics. The planes may hold anything afterwards.
    func encode(_ frame: SideFrame, _ plan: inout LayerPlan.Side, _ scratch: BlockScratch)

    /// Takes as many symbols, and reads what `encode` has added.
    func decode(
        _ frame: SideFrame, _ plan: LayerPlan.Side, _ scratch: BlockScratch, from statistics: inout ByteCursor
    ) throws(KeyValueBlockError)
}

extension LayerPlan.Side {
    /// A run of whole planes for each group.
    func appendRuns(_ frame: SideFrame, style: SymbolRun.Style, to runs: inout [SymbolRun], alphabet: (LayerPlan.Group) -> Int) {
        for group in groups {
            runs.append(
                SymbolRun(
                    alphabet: alphabet(group), style: style, count: group.heads.count * frame.rows * frame.dimension, rows: frame.rows,
                    columns: frame.dimension, width: frame.dimension))
        }
    }
}

/// Lloyd-Max levels of a normal distribution.
struct CodebookQuantiser: BlockQuantiser {
    private let books: [Int: NormalCodebook]
    private let isEntropyCoded: Bool

    init(_ codebook: Quantiser.Codebook, isEntropyCoded: Bool) {
        var books: [Int: NormalCodebook] = [:]
        for levels in [codebook.keys.high, codebook.keys.low, codebook.values.high, codebook.values.low] where books[levels] == nil {
            books[levels] = NormalCodebook.of(levels: levels)
        }
        self.books = books
        self.isEntropyCoded = isEntropyCoded
    }

    func appendRuns(_ frame: SideFrame, _ plan: LayerPlan.Side, to runs: inout [SymbolRun]) {
        ScaleCode.appendRuns(frame.heads * frame.rows, isEntropyCoded, to: &runs)
        plan.appendRuns(frame, style: .centred, to: &runs) { $0.levels }
    }

    func encode(_ frame: SideFrame, _ plan: inout LayerPlan.Side, _ scratch: BlockScratch) {
        var numbers = scratch.takeNumbers()
        defer { scratch.numbers = numbers }
        let count = frame.heads * frame.rows
        for head in 0..<frame.heads {
            scratch.set.energy(scratch.planes, frame.shape(head), into: &numbers.greatest, at: head * frame.rows)
        }
        for index in 0..<count {
            numbers.greatest[index] = (numbers.greatest[index].bounded / Float(frame.dimension)).squareRoot()
            numbers.least[index] = 0
        }
        ScaleCode.writeSpans(count, isEntropyCoded, &numbers, scratch)
        for index in 0..<count { numbers.factors[index] = 1 / numbers.greatest[index] }
        eachHead(frame, plan) { head, book in
            let shape = frame.shape(head)
            scratch.set.lookDown(
                scratch.planes, shape, factors: numbers.factors, at: head * frame.rows, thresholds: book.thresholds, into: &scratch.symbols,
                at: scratch.symbolCount)
            scratch.symbolCount += shape.count
        }
    }

    func decode(
        _ frame: SideFrame, _ plan: LayerPlan.Side, _ scratch: BlockScratch, from statistics: inout ByteCursor
    ) throws(KeyValueBlockError) {
        var numbers = scratch.takeNumbers()
        defer { scratch.numbers = numbers }
        try ScaleCode.readSpans(frame.heads * frame.rows, isEntropyCoded, &numbers, scratch, from: &statistics)
        eachHead(frame, plan) { head, book in
            let shape = frame.shape(head)
            scratch.set.lookUp(
                scratch.symbols, at: scratch.symbolCount, levels: book.values, steps: numbers.greatest, at: head * frame.rows,
                into: &scratch.planes, shape)
            scratch.symbolCount += shape.count
        }
    }

    private func eachHead(_ frame: SideFrame, _ plan: LayerPlan.Side, _ body: (Int, NormalCodebook) -> Void) {
        for group in plan.groups {
            guard let book = books[group.levels] else { preconditionFailure("no codebook of \(group.levels) levels") }
            for head in group.heads { body(head, book) }
        }
    }
}

/// FP8 E4M3 with a power of two for each token and each channel of a head. Exponents are signed bytes of the statistics: channels, then
/// tokens.
struct NarrowFloatQuantiser: BlockQuantiser {
    /// Numbers of a row are brought below 2^8; the format's greatest is 448.
    private static let top = 7
    private static let most = 120

    func appendRuns(_ frame: SideFrame, _ plan: LayerPlan.Side, to runs: inout [SymbolRun]) {
        plan.appendRuns(frame, style: .centred, to: &runs) { _ in 256 }
    }

    func encode(_ frame: SideFrame, _ plan: inout LayerPlan.Side, _ scratch: BlockScratch) {
        var numbers = scratch.takeNumbers()
        defer { scratch.numbers = numbers }
        for head in 0..<frame.heads {
            let shape = frame.shape(head)
            for axis in [InstructionSet.Axis.columns, .rows] {
                scratch.set.range(scratch.planes, shape, of: axis, least: &numbers.least, greatest: &numbers.greatest, at: 0)
                for index in 0..<shape.parameters(axis) {
                    let peak = max(-numbers.least[index].bounded, numbers.greatest[index].bounded)
                    var exponent = peak > 0 ? min(max(Int(peak.exponent), -Self.most), Self.most) : 0
                    if axis == .rows { exponent -= Self.top }
                    scratch.statistics.append(UInt8(bitPattern: Int8(exponent)))
                    let factor = Float(sign: .plus, exponent: -exponent, significand: 1)
                    if axis == .columns { numbers.factors[index] = factor } else { numbers.biases[index] = factor }
                }
                if axis == .columns { scratch.set.affineColumns(&scratch.planes, shape, factors: numbers.factors, terms: scratch.zeros) }
            }
            scratch.set.narrow(
                scratch.planes, shape, rows: numbers.biases, columns: scratch.ones, into: &scratch.symbols, at: scratch.symbolCount)
            scratch.symbolCount += shape.count
        }
    }

    func decode(
        _ frame: SideFrame, _ plan: LayerPlan.Side, _ scratch: BlockScratch, from statistics: inout ByteCursor
    ) throws(KeyValueBlockError) {
        var numbers = scratch.takeNumbers()
        defer { scratch.numbers = numbers }
        for head in 0..<frame.heads {
            let shape = frame.shape(head)
            for channel in 0..<shape.columns { numbers.factors[channel] = Self.power(try statistics.byte()) }
            for row in 0..<shape.rows { numbers.biases[row] = Self.power(try statistics.byte()) }
            scratch.set.widen(
                scratch.symbols, at: scratch.symbolCount, rows: numbers.biases, columns: numbers.factors, into: &scratch.planes, shape)
            scratch.symbolCount += shape.count
        }
    }

    private static func power(_ code: UInt8) -> Float { Float(sign: .plus, exponent: Int(Int8(bitPattern: code)), significand: 1) }
}

/// Predicts each token from the one before; no element is off by more than the bound.
struct BoundedQuantiser: BlockQuantiser {
    private let keys: Float
    private let values: Float

    /// Kernels compare rounded differences, so what they are given is the next number below a bound.
    init(keys: ProfileNumber, values: ProfileNumber) { (self.keys, self.values) = (keys.value.nextDown, values.value.nextDown) }

    func appendRuns(_ frame: SideFrame, _ plan: LayerPlan.Side, to runs: inout [SymbolRun]) {
        plan.appendRuns(frame, style: .centred, to: &runs) { _ in 256 }
    }

    func encode(_ frame: SideFrame, _ plan: inout LayerPlan.Side, _ scratch: BlockScratch) {
        for head in 0..<frame.heads {
            let shape = frame.shape(head)
            let count = scratch.set.predict(
                scratch.planes, shape, bound: frame.side == .keys ? keys : values, into: &scratch.symbols, at: scratch.symbolCount,
                exact: &scratch.exact, at: 0)
            scratch.statistics.append(varint: count)
            for index in 0..<count { scratch.statistics.append(short: scratch.exact[index]) }
            scratch.symbolCount += shape.count
        }
    }

    func decode(
        _ frame: SideFrame, _ plan: LayerPlan.Side, _ scratch: BlockScratch, from statistics: inout ByteCursor
    ) throws(KeyValueBlockError) {
        for head in 0..<frame.heads {
            let shape = frame.shape(head)
            let count = try statistics.varint()
            guard count <= shape.count else {
                throw KeyValueBlockError("\(count) exact elements of a head; at most \(shape.count) were expected")
            }
            let place = try statistics.take(2 * count)
            for index in 0..<count {
                scratch.exact[index] = UInt16(statistics.bytes[place + 2 * index]) | UInt16(statistics.bytes[place + 2 * index + 1]) << 8
            }
            let isSound = scratch.set.unpredict(
                scratch.symbols, at: scratch.symbolCount, bound: frame.side == .keys ? keys : values, exact: scratch.exact, at: 0,
                count: count,
                into: &scratch.planes, shape)
            guard isSound else {
                throw KeyValueBlockError("the symbols of head \(head) ask for another number of exact elements than \(count)")
            }
            scratch.symbolCount += shape.count
        }
    }
}

/// Steps around zero, for entropy coding.
///
/// What is beyond 7 steps has a second symbol behind the planes of its side: (magnitude - 8) * 2, plus 1 below zero; 255 and more are 255,
/// and how much more is in the statistics.
struct DeadzoneQuantiser: BlockQuantiser {
    private let rounding: Float
    private let pull: Float
    private static let reach = 7
    private static let most = 32767

    init(_ deadzone: Quantiser.Deadzone) {
        rounding = deadzone.rounding.value
        pull = deadzone.pull.value
    }

    func appendRuns(_ frame: SideFrame, _ plan: LayerPlan.Side, to runs: inout [SymbolRun]) {
        plan.appendRuns(frame, style: .deadzone, to: &runs) { _ in 16 }
        runs.append(SymbolRun(alphabet: 256, style: .centred, count: plan.wide))
    }

    func encode(_ frame: SideFrame, _ plan: inout LayerPlan.Side, _ scratch: BlockScratch) {
        var numbers = scratch.takeNumbers()
        defer { scratch.numbers = numbers }
        plan.wide = 0
        for head in 0..<frame.heads {
            let shape = frame.shape(head)
            for row in 0..<shape.rows { numbers.factors[row] = 1 / plan.steps[head] }
            plan.wide += scratch.set.deadzone(
                scratch.planes, shape, factors: numbers.factors, at: 0, rounding: rounding, into: &scratch.symbols, at: scratch.symbolCount,
                wide: &scratch.wide, at: plan.wide)
            scratch.symbolCount += shape.count
        }
        scratch.checkRoom(plan.wide)
        for index in 0..<plan.wide {
            let value = Int(scratch.wide[index])
            let code = (abs(value) - Self.reach - 1) << 1 | (value < 0 ? 1 : 0)
            scratch.symbols[scratch.symbolCount + index] = UInt8(min(code, 255))
            if code >= 255 { scratch.statistics.append(varint: code - 255) }
        }
        scratch.symbolCount += plan.wide
    }

    func decode(
        _ frame: SideFrame, _ plan: LayerPlan.Side, _ scratch: BlockScratch, from statistics: inout ByteCursor
    ) throws(KeyValueBlockError) {
        var numbers = scratch.takeNumbers()
        defer { scratch.numbers = numbers }
        let wide = scratch.symbolCount + frame.heads * frame.rows * frame.dimension
        for index in 0..<plan.wide {
            var code = Int(scratch.symbols[wide + index])
            if code == 255 { code += try statistics.varint() }
            let magnitude = code >> 1 + Self.reach + 1
            guard magnitude <= Self.most else {
                throw KeyValueBlockError("a wide symbol of \(magnitude); at most \(Self.most) was expected")
            }
            scratch.wide[index] = Int16(code & 1 == 0 ? magnitude : -magnitude)
        }
        var taken = 0
        for head in 0..<frame.heads {
            let shape = frame.shape(head)
            for row in 0..<shape.rows { numbers.biases[row] = plan.steps[head] }
            // As many as the head's symbols ask for; a wrong sum shows with the last head.
            let count = min(scratch.symbolsEqual(15, scratch.symbolCount..<scratch.symbolCount + shape.count), plan.wide - taken)
            let isSound = scratch.set.undeadzone(
                scratch.symbols, at: scratch.symbolCount, steps: numbers.biases, at: 0, pull: pull, wide: scratch.wide, at: taken,
                count: count,
                into: &scratch.planes, shape)
            guard isSound else { throw KeyValueBlockError("the symbols of head \(head) ask for other wide ones than \(plan.wide)") }
            taken += count
            scratch.symbolCount += shape.count
        }
        guard taken == plan.wide else { throw KeyValueBlockError("\(plan.wide) wide symbols; \(taken) were expected") }
        scratch.symbolCount += plan.wide
    }

    /// The steps of a block whose profile has them in units of its root mean square; bf16 in any case, as the block carries them.
    func settle(_ plan: inout LayerPlan.Side, _ frame: SideFrame, isRelative: Bool, _ scratch: BlockScratch) {
        var numbers = scratch.takeNumbers()
        defer { scratch.numbers = numbers }
        var unit: Float = 1
        if isRelative {
            var energy: Float = 0
            for head in 0..<frame.heads {
                scratch.set.energy(scratch.planes, frame.shape(head), into: &numbers.greatest, at: 0)
                for row in 0..<frame.rows { energy = (energy + numbers.greatest[row].bounded).bounded }
            }
            unit = (energy / Float(max(frame.heads * frame.rows * frame.dimension, 1))).squareRoot()
        }
        // Below the least step, every number of bf16's normal range would still come out within 16 bits.
        for head in 0..<frame.heads { plan.steps[head] = max(plan.steps[head] * unit, 1e-30).bfloatAbove }
    }
}
