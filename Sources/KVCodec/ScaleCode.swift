import Kernels

/// Spans and centres of ranges in a byte each.
///
/// A span is top * 2^(-code / 16), rounded up; `top`, bf16, is the greatest of the side. A centre is a whole number of units that follow from the
/// span. Codes go to the statistics as they are, or, where symbols are entropy coded, as two symbols of four bits: the high halves, then the low ones,
/// of what is above a base.
enum ScaleCode {
    /// 2^(-i / 16). Square roots and products only, so that every machine has the same.
    static let factors: [Float] = {
        let root = 0.5.squareRoot().squareRoot().squareRoot().squareRoot()
        var (result, factor) = ([Double](), 1.0)
        for index in 0..<256 {
            if index % 16 == 0 { factor = Double(sign: .plus, exponent: -index / 16, significand: 1) }
            result.append(factor)
            factor *= root
        }
        return result.map { Float($0) }
    }()

    /// The least code of a magnitude in [1, 2) by its upper seven bits: how many factors below 2 are still above it.
    private static let codes: [UInt8] = (0..<128).map { index in
        let least = Float(1) + Float(index) / 128
        return UInt8((0...16).last { 2 * factors[$0] >= least } ?? 0)
    }

    /// No span is taken for less.
    private static let least: Float = 1e-30

    static func appendRuns(_ count: Int, _ isEntropyCoded: Bool, to runs: inout [SymbolRun]) {
        guard isEntropyCoded else { return }
        for _ in 0..<2 { runs.append(SymbolRun(alphabet: 16, style: .centred, count: count)) }
    }

    // MARK: Spans

    /// Codes the first `count` of `greatest` and replaces them with what a reader will have: the same or more.
    static func writeSpans(_ count: Int, _ isEntropyCoded: Bool, _ scratch: BlockScratch) {
        var top = least
        for index in 0..<count { top = max(top, scratch.greatest[index]) }
        top = min(top, 2e38).bfloatAbove
        scratch.statistics.append(bfloat: top)
        for index in 0..<count {
            let ratio = min(max(scratch.greatest[index], least) / top, 1)
            // 1 - 16 octaves: what is below comes out as the last code.
            var code = 255
            if ratio > factors[255] {
                let octave = -Int(ratio.exponent)
                code = min(255, max(0, octave * 16 - 16 + Int(codes[Int(ratio.significandBitPattern >> 16)])))
                while code > 0, factors[code] < ratio { code -= 1 }
            }
            scratch.scaleCodes[index] = UInt8(code)
            scratch.greatest[index] = top * factors[code]
        }
        emit(scratch.scaleCodes, count, isEntropyCoded, scratch)
    }

    static func readSpans(
        _ count: Int, _ isEntropyCoded: Bool, _ scratch: BlockScratch, from statistics: inout ByteCursor
    ) throws(KeyValueBlockError) {
        let top = try statistics.bfloat()
        guard top >= 0, top.isFinite else { throw KeyValueBlockError("the greatest span is \(top); a finite one was expected") }
        try collect(&scratch.scaleCodes, count, isEntropyCoded, scratch, from: &statistics)
        for index in 0..<count { scratch.greatest[index] = top * factors[Int(scratch.scaleCodes[index])] }
    }

    // MARK: Centres

    /// Of `levels` levels over a span, centres come in steps of unit.
    static func unit(span: Float, levels: Int) -> Float { span / Float(max(32, 2 * (levels - 1))) }

    /// A centre may be this many spans away from 0; where it would be more, the span is raised.
    static let reach: Float = 1000

    /// Codes the first `count` of `least` against the spans in `greatest`, and replaces them with what a reader will have.
    static func writeCentres(_ count: Int, _ levels: (Int) -> Int, _ isEntropyCoded: Bool, _ scratch: BlockScratch) {
        var isWide = false
        for index in 0..<count {
            let unit = unit(span: scratch.greatest[index], levels: levels(index))
            let code = min(max((scratch.least[index] / unit).rounded(), -32768), 32767)
            isWide = isWide || code < -128 || code > 127
            scratch.least[index] = code
        }
        scratch.statistics.append(isWide ? 1 : 0)
        for index in 0..<count {
            let code = Int(scratch.least[index])
            scratch.centreCodes[index] = UInt8(truncatingIfNeeded: code)
            if isWide { scratch.statistics.append(UInt8(truncatingIfNeeded: code >> 8)) }
            scratch.least[index] = Float(code) * unit(span: scratch.greatest[index], levels: levels(index))
        }
        emit(scratch.centreCodes, count, isEntropyCoded, scratch)
    }

    static func readCentres(
        _ count: Int, _ levels: (Int) -> Int, _ isEntropyCoded: Bool, _ scratch: BlockScratch, from statistics: inout ByteCursor
    ) throws(KeyValueBlockError) {
        let isWide = try statistics.byte()
        guard isWide < 2 else { throw KeyValueBlockError("centres of form \(isWide); 0 or 1 was expected") }
        let upper = isWide == 1 ? try statistics.take(count) : 0
        try collect(&scratch.centreCodes, count, isEntropyCoded, scratch, from: &statistics)
        for index in 0..<count {
            let low = scratch.centreCodes[index]
            let code = isWide == 1 ? Int(Int16(truncatingIfNeeded: Int(statistics.bytes[upper + index]) << 8 | Int(low))) : Int(Int8(bitPattern: low))
            scratch.least[index] = Float(code) * unit(span: scratch.greatest[index], levels: levels(index))
        }
    }

    // MARK: Bytes

    private static func emit(_ codes: [UInt8], _ count: Int, _ isEntropyCoded: Bool, _ scratch: BlockScratch) {
        guard isEntropyCoded else {
            scratch.statistics.append(contentsOf: codes[..<count])
            return
        }
        let base = base(codes, count)
        scratch.statistics.append(base)
        let place = scratch.symbolCount
        scratch.checkRoom(2 * count)
        for index in 0..<count {
            let code = codes[index] &- base
            scratch.symbols[place + index] = code >> 4
            scratch.symbols[place + count + index] = code & 15
        }
        scratch.symbolCount += 2 * count
    }

    private static func collect(
        _ codes: inout [UInt8], _ count: Int, _ isEntropyCoded: Bool, _ scratch: BlockScratch, from statistics: inout ByteCursor
    ) throws(KeyValueBlockError) {
        guard isEntropyCoded else {
            let place = try statistics.take(count)
            for index in 0..<count { codes[index] = statistics.bytes[place + index] }
            return
        }
        let base = try statistics.byte()
        let place = scratch.symbolCount
        for index in 0..<count {
            codes[index] = (scratch.symbols[place + index] << 4 | scratch.symbols[place + count + index] & 15) &+ base
        }
        scratch.symbolCount += 2 * count
    }

    /// The least code where all are within sixteen, else eight below their mean: so that the high halves are nearly always the same. Codes are taken
    /// with a sign, around the first one.
    private static func base(_ codes: [UInt8], _ count: Int) -> UInt8 {
        guard count > 0 else { return 0 }
        let first = codes[0]
        var (least, greatest, sum) = (0, 0, 0)
        for index in 0..<count {
            let distance = Int(Int8(bitPattern: codes[index] &- first))
            least = min(least, distance)
            greatest = max(greatest, distance)
            sum += distance
        }
        return UInt8(truncatingIfNeeded: Int(first) + (greatest - least < 16 ? least : sum / count - 8))
    }
}
