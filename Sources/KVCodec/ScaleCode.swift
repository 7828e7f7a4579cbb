import Kernels

/// Spans and centres of ranges in a byte each.
///
/// A span is top * 2^(-code / 16), rounded up; `top`, bf16, is the greatest of the side. A centre is a whole number of units that follow
/// from the span. Codes go to the statistics as they are, or, where symbols are entropy coded, as two symbols of four bits: the high
/// halves, then the low ones, of what is above a base.
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
    static func writeSpans(_ count: Int, _ isEntropyCoded: Bool, _ numbers: inout Parameters, _ scratch: BlockScratch) {
        var top = least
        for span in numbers.greatest[..<count] where span > top { top = span }
        top = min(top, 2e38).bfloatAbove
        scratch.statistics.append(bfloat: top)
        code(top, count, &numbers.greatest, &numbers.scaleCodes)
        emit(numbers.scaleCodes, count, isEntropyCoded, scratch)
    }

    private static func code(_ top: Float, _ count: Int, _ spans: inout [Float], _ scaleCodes: inout [UInt8]) {
        var spans = spans.mutableSpan
        var scaleCodes = scaleCodes.mutableSpan
        let (factors, codes) = (Self.factors.span, Self.codes.span)
        let lowest = factors[255]
        for index in 0..<count {
            let ratio = min(max(spans[index], least) / top, 1)
            // 1 - 16 octaves: what is below comes out as the last code.
            var code = 255
            if ratio > lowest {
                let octave = 127 - Int(ratio.bitPattern >> 23)
                code = min(255, max(0, octave * 16 - 16 + Int(codes[Int(ratio.bitPattern >> 16 & 127)])))
                while code > 0, factors[code] < ratio { code -= 1 }
            }
            scaleCodes[index] = UInt8(code)
            spans[index] = top * factors[code]
        }
    }

    static func readSpans(
        _ count: Int, _ isEntropyCoded: Bool, _ numbers: inout Parameters, _ scratch: BlockScratch, from statistics: inout ByteCursor
    ) throws(KeyValueBlockError) {
        let factors = Self.factors
        let top = try statistics.bfloat()
        guard top >= 0, top.isFinite else { throw KeyValueBlockError("the greatest span is \(top); a finite one was expected") }
        try collect(&numbers.scaleCodes, count, isEntropyCoded, scratch, from: &statistics)
        for index in 0..<count { numbers.greatest[index] = top * factors[Int(numbers.scaleCodes[index])] }
    }

    // MARK: Centres

    /// Of `levels` levels over a span, centres come in steps of unit.
    static func unit(span: Float, levels: Int) -> Float { span / Float(max(32, 2 * (levels - 1))) }

    /// A centre may be this many spans away from 0; where it would be more, the span is raised.
    static let reach: Float = 1000

    /// Parameters whose ranges have the same number of levels, up to `end`.
    typealias Stretch = (end: Int, levels: Int)

    /// Codes the centres in `least` against the spans in `greatest`, and replaces them with what a reader will have.
    static func writeCentres(_ stretches: [Stretch], _ isEntropyCoded: Bool, _ numbers: inout Parameters, _ scratch: BlockScratch) {
        let isWide = code(stretches, &numbers.least, numbers.greatest, &numbers.centreCodes)
        let count = stretches.last?.end ?? 0
        scratch.statistics.append(isWide ? 1 : 0)
        if isWide { for index in 0..<count { scratch.statistics.append(UInt8(truncatingIfNeeded: Int32(numbers.least[index]) >> 8)) } }
        scale(stretches, &numbers.least, numbers.greatest)
        emit(numbers.centreCodes, count, isEntropyCoded, scratch)
    }

    /// From centres to whole numbers of units; whether one of them takes more than a byte.
    private static func code(
        _ stretches: [Stretch], _ centres: inout [Float], _ spans: [Float], _ centreCodes: inout [UInt8]
    ) -> Bool {
        var centres = centres.mutableSpan
        var centreCodes = centreCodes.mutableSpan
        let spans = spans.span
        var isWide = false
        var index = 0
        for stretch in stretches {
            let divisor = unit(span: 1, levels: stretch.levels)
            while index < stretch.end {
                let units = min(max(centres[index] / (spans[index] * divisor), -32768), 32767)
                let code = Int32(units + (units < 0 ? -0.5 : 0.5))
                isWide = isWide || code < -128 || code > 127
                centres[index] = Float(code)
                centreCodes[index] = UInt8(truncatingIfNeeded: code)
                index += 1
            }
        }
        return isWide
    }

    static func readCentres(
        _ stretches: [Stretch], _ isEntropyCoded: Bool, _ numbers: inout Parameters, _ scratch: BlockScratch,
        from statistics: inout ByteCursor
    ) throws(KeyValueBlockError) {
        let count = stretches.last?.end ?? 0
        let isWide = try statistics.byte()
        guard isWide < 2 else { throw KeyValueBlockError("centres of form \(isWide); 0 or 1 was expected") }
        let upper = isWide == 1 ? try statistics.take(count) : 0
        try collect(&numbers.centreCodes, count, isEntropyCoded, scratch, from: &statistics)
        for index in 0..<count {
            let low = numbers.centreCodes[index]
            let code =
                isWide == 1 ? Int16(bitPattern: UInt16(statistics.bytes[upper + index]) << 8 | UInt16(low)) : Int16(Int8(bitPattern: low))
            numbers.least[index] = Float(code)
        }
        scale(stretches, &numbers.least, numbers.greatest)
    }

    /// From whole numbers of units to centres.
    private static func scale(_ stretches: [Stretch], _ centres: inout [Float], _ spans: [Float]) {
        var centres = centres.mutableSpan
        let spans = spans.span
        var index = 0
        for stretch in stretches {
            let divisor = unit(span: 1, levels: stretch.levels)
            while index < stretch.end {
                centres[index] *= spans[index] * divisor
                index += 1
            }
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
        scratch.checkRoom(2 * count)
        split(codes, count, base, to: &scratch.symbols, at: scratch.symbolCount)
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
        join(scratch.symbols, at: scratch.symbolCount, base, to: &codes, count)
        scratch.symbolCount += 2 * count
    }

    private static func split(_ codes: [UInt8], _ count: Int, _ base: UInt8, to symbols: inout [UInt8], at place: Int) {
        var symbols = symbols.mutableSpan
        let codes = codes.span
        for index in 0..<count {
            let code = codes[index] &- base
            symbols[place + index] = code >> 4
            symbols[place + count + index] = code & 15
        }
    }

    private static func join(_ symbols: [UInt8], at place: Int, _ base: UInt8, to codes: inout [UInt8], _ count: Int) {
        let symbols = symbols.span
        var codes = codes.mutableSpan
        for index in 0..<count { codes[index] = (symbols[place + index] << 4 | symbols[place + count + index] & 15) &+ base }
    }

    /// The least code where all are within sixteen, else eight below their mean: so that the high halves are nearly always the same. Codes
    /// are taken with a sign, around the first one.
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
