import Kernels

/// Turns the planes of a side into symbols. Symbols stand group by group of the plan, head by head; rows of a plane follow one another.
protocol BlockQuantiser {
    /// The runs that a side of a block comes to, in the order of their symbols.
    func appendRuns(_ frame: SideFrame, _ plan: LayerPlan.Side, to runs: inout [SymbolRun])

    /// Adds symbols, and what the way back needs to the statistics. The planes may hold anything afterwards.
    func encode(_ frame: SideFrame, _ plan: LayerPlan.Side, _ scratch: BlockScratch)

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
            books[levels] = NormalCodebook(levels: levels)
        }
        self.books = books
        self.isEntropyCoded = isEntropyCoded
    }

    func appendRuns(_ frame: SideFrame, _ plan: LayerPlan.Side, to runs: inout [SymbolRun]) {
        ScaleCode.appendRuns(frame.heads * frame.rows, isEntropyCoded, to: &runs)
        plan.appendRuns(frame, style: .centred, to: &runs) { $0.levels }
    }

    func encode(_ frame: SideFrame, _ plan: LayerPlan.Side, _ scratch: BlockScratch) {
        let count = frame.heads * frame.rows
        for head in 0..<frame.heads { scratch.set.energy(scratch.planes, frame.shape(head), into: &scratch.greatest, at: head * frame.rows) }
        for index in 0..<count {
            scratch.greatest[index] = (scratch.greatest[index].bounded / Float(frame.dimension)).squareRoot()
            scratch.least[index] = 0
        }
        ScaleCode.writeSpans(count, isEntropyCoded, scratch)
        for index in 0..<count { scratch.factors[index] = 1 / scratch.greatest[index] }
        eachHead(frame, plan) { head, book in
            let shape = frame.shape(head)
            scratch.set.lookDown(
                scratch.planes, shape, factors: scratch.factors, at: head * frame.rows, thresholds: book.thresholds, into: &scratch.symbols,
                at: scratch.symbolCount)
            scratch.symbolCount += shape.count
        }
    }

    func decode(
        _ frame: SideFrame, _ plan: LayerPlan.Side, _ scratch: BlockScratch, from statistics: inout ByteCursor
    ) throws(KeyValueBlockError) {
        try ScaleCode.readSpans(frame.heads * frame.rows, isEntropyCoded, scratch, from: &statistics)
        eachHead(frame, plan) { head, book in
            let shape = frame.shape(head)
            scratch.set.lookUp(
                scratch.symbols, at: scratch.symbolCount, levels: book.values, steps: scratch.greatest, at: head * frame.rows,
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

/// FP8 E4M3 with a power of two for each token and each channel of a head. Exponents are signed bytes of the statistics: channels, then tokens.
struct NarrowFloatQuantiser: BlockQuantiser {
    /// Numbers of a row are brought below 2^8; the format's greatest is 448.
    private static let top = 7
    private static let most = 120

    func appendRuns(_ frame: SideFrame, _ plan: LayerPlan.Side, to runs: inout [SymbolRun]) {
        plan.appendRuns(frame, style: .centred, to: &runs) { _ in 256 }
    }

    func encode(_ frame: SideFrame, _ plan: LayerPlan.Side, _ scratch: BlockScratch) {
        for head in 0..<frame.heads {
            let shape = frame.shape(head)
            for axis in [InstructionSet.Axis.columns, .rows] {
                scratch.set.range(scratch.planes, shape, of: axis, least: &scratch.least, greatest: &scratch.greatest, at: 0)
                for index in 0..<shape.parameters(axis) {
                    let peak = max(-scratch.least[index].bounded, scratch.greatest[index].bounded)
                    var exponent = peak > 0 ? min(max(Int(peak.exponent), -Self.most), Self.most) : 0
                    if axis == .rows { exponent -= Self.top }
                    scratch.statistics.append(UInt8(bitPattern: Int8(exponent)))
                    let factor = Float(sign: .plus, exponent: -exponent, significand: 1)
                    if axis == .columns { scratch.factors[index] = factor } else { scratch.biases[index] = factor }
                }
                if axis == .columns { scratch.set.affineColumns(&scratch.planes, shape, factors: scratch.factors, terms: scratch.zeros) }
            }
            scratch.set.narrow(
                scratch.planes, shape, rows: scratch.biases, columns: scratch.ones, into: &scratch.symbols, at: scratch.symbolCount)
            scratch.symbolCount += shape.count
        }
    }

    func decode(
        _ frame: SideFrame, _ plan: LayerPlan.Side, _ scratch: BlockScratch, from statistics: inout ByteCursor
    ) throws(KeyValueBlockError) {
        for head in 0..<frame.heads {
            let shape = frame.shape(head)
            for channel in 0..<shape.columns { scratch.factors[channel] = Self.power(try statistics.byte()) }
            for row in 0..<shape.rows { scratch.biases[row] = Self.power(try statistics.byte()) }
            scratch.set.widen(
                scratch.symbols, at: scratch.symbolCount, rows: scratch.biases, columns: scratch.factors, into: &scratch.planes, shape)
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

    func encode(_ frame: SideFrame, _ plan: LayerPlan.Side, _ scratch: BlockScratch) {
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
            guard count <= shape.count else { throw KeyValueBlockError("\(count) exact elements of a head; at most \(shape.count) were expected") }
            let place = try statistics.take(2 * count)
            for index in 0..<count {
                scratch.exact[index] = UInt16(statistics.bytes[place + 2 * index]) | UInt16(statistics.bytes[place + 2 * index + 1]) << 8
            }
            let isSound = scratch.set.unpredict(
                scratch.symbols, at: scratch.symbolCount, bound: frame.side == .keys ? keys : values, exact: scratch.exact, at: 0, count: count,
                into: &scratch.planes, shape)
            guard isSound else { throw KeyValueBlockError("the symbols of head \(head) ask for another number of exact elements than \(count)") }
            scratch.symbolCount += shape.count
        }
    }
}

/// Steps around zero, for entropy coding. What is beyond 7 steps is listed in the statistics: how many, then each as a number with its sign in the
/// lowest bit.
struct DeadzoneQuantiser: BlockQuantiser {
    let rounding: Float
    let pull: Float

    init(_ deadzone: Quantiser.Deadzone) {
        rounding = deadzone.rounding.value
        pull = deadzone.pull.value
    }

    func appendRuns(_ frame: SideFrame, _ plan: LayerPlan.Side, to runs: inout [SymbolRun]) {
        plan.appendRuns(frame, style: .deadzone, to: &runs) { _ in 16 }
    }

    func encode(_ frame: SideFrame, _ plan: LayerPlan.Side, _ scratch: BlockScratch) {
        for head in 0..<frame.heads {
            let shape = frame.shape(head)
            for row in 0..<shape.rows { scratch.factors[row] = 1 / plan.steps[head] }
            let count = scratch.set.deadzone(
                scratch.planes, shape, factors: scratch.factors, at: 0, rounding: rounding, into: &scratch.symbols, at: scratch.symbolCount,
                wide: &scratch.wide, at: 0)
            scratch.statistics.append(varint: count)
            for index in 0..<count {
                let value = Int(scratch.wide[index])
                scratch.statistics.append(varint: (abs(value) - 8) << 1 | (value < 0 ? 1 : 0))
            }
            scratch.symbolCount += shape.count
        }
    }

    func decode(
        _ frame: SideFrame, _ plan: LayerPlan.Side, _ scratch: BlockScratch, from statistics: inout ByteCursor
    ) throws(KeyValueBlockError) {
        for head in 0..<frame.heads {
            let shape = frame.shape(head)
            let count = try statistics.varint()
            guard count <= shape.count else { throw KeyValueBlockError("\(count) wide symbols of a head; at most \(shape.count) were expected") }
            for index in 0..<count {
                let code = try statistics.varint()
                guard code >> 1 <= 32767 - 8 else { throw KeyValueBlockError("a wide symbol of \(code); at most \((32767 - 8) << 1 | 1) was expected") }
                let value = Int16(code >> 1 + 8)
                scratch.wide[index] = code & 1 == 0 ? value : -value
            }
            for row in 0..<shape.rows { scratch.biases[row] = plan.steps[head] }
            let isSound = scratch.set.undeadzone(
                scratch.symbols, at: scratch.symbolCount, steps: scratch.biases, at: 0, pull: pull, wide: scratch.wide, at: 0, count: count,
                into: &scratch.planes, shape)
            guard isSound else { throw KeyValueBlockError("the symbols of head \(head) ask for another number of wide ones than \(count)") }
            scratch.symbolCount += shape.count
        }
    }

    /// The steps of a block whose profile has them in units of its root mean square; bf16 in any case, as the block carries them.
    func settle(_ plan: inout LayerPlan.Side, _ frame: SideFrame, isRelative: Bool, _ scratch: BlockScratch) {
        var unit: Float = 1
        if isRelative {
            var energy: Float = 0
            for head in 0..<frame.heads {
                scratch.set.energy(scratch.planes, frame.shape(head), into: &scratch.greatest, at: 0)
                for row in 0..<frame.rows { energy = (energy + scratch.greatest[row].bounded).bounded }
            }
            unit = (energy / Float(max(frame.heads * frame.rows * frame.dimension, 1))).squareRoot()
        }
        // Below the least step, every number of bf16's normal range would still come out within 16 bits.
        for head in 0..<frame.heads { plan.steps[head] = max(plan.steps[head] * unit, 1e-30).bfloatAbove }
    }
}
