import Kernels

/// Groups of ten tokens: the first one, the anchor, is coded with eight bits in each head; the others become differences to it as a reader
/// has it (CacheGen, arXiv 2310.07240, §5.1).
struct AnchorDelta: BlockTransform {
    static let group = 10
    private static let levels = 256

    func rows(of tokens: Int) -> Int { tokens - Self.anchors(of: tokens) }

    private static func anchors(of tokens: Int) -> Int { (tokens + group - 1) / group }

    func apply(to frame: inout SideFrame, _ scratch: BlockScratch) {
        var numbers = scratch.takeNumbers()
        defer { scratch.numbers = numbers }
        let (count, dimension) = (Self.anchors(of: frame.tokens), frame.dimension)
        for head in 0..<frame.heads {
            let shape = frame.shape(head)
            let anchors = Self.shape(head, count, dimension)
            for group in 0..<count {
                shape.rows(Self.row(group)).copy(of: scratch.planes, to: &scratch.anchors, anchors.rows(group..<group + 1))
            }
            scratch.set.range(scratch.anchors, anchors, of: .rows, least: &numbers.least, greatest: &numbers.greatest, at: 0)
            for group in 0..<count {
                let least = numbers.least[group].bounded.bfloatBelow
                let step = ((numbers.greatest[group].bounded - least) / Float(Self.levels - 1)).bfloatAbove
                (numbers.least[group], numbers.greatest[group]) = (least, step)
                numbers.factors[group] = step > 0 ? 1 / step : 0
                numbers.biases[group] = step > 0 ? -least / step : 0
                scratch.statistics.append(bfloat: least)
                scratch.statistics.append(bfloat: step)
            }
            let place = head * count * dimension
            scratch.set.quantise(
                scratch.anchors, anchors, by: .rows, factors: numbers.factors, biases: numbers.biases, at: 0, top: Self.levels - 1,
                into: &scratch.anchorSymbols, at: place)
            scratch.statistics.append(contentsOf: scratch.anchorSymbols[place..<place + count * dimension])
            scratch.set.dequantise(
                scratch.anchorSymbols, at: place, by: .rows, steps: numbers.greatest, offsets: numbers.least, at: 0, into: &scratch.anchors,
                anchors)
            // The planes close up, group by group, towards the front.
            for group in 0..<count {
                let others = shape.rows(Self.others(group, frame.tokens))
                shiftRows(scratch, &numbers, anchors.rows(group..<group + 1), others, factor: -1)
                let target = PlaneShape(
                    offset: shape.offset + (Self.group - 1) * group * shape.stride, rows: others.rows, columns: dimension,
                    stride: shape.stride)
                others.copy(of: scratch.planes, to: &scratch.spare, target)
            }
        }
        swap(&scratch.planes, &scratch.spare)
        frame.rows = rows(of: frame.tokens)
    }

    func read(_ frame: inout SideFrame, _ scratch: BlockScratch, from statistics: inout ByteCursor) throws(KeyValueBlockError) {
        var numbers = scratch.takeNumbers()
        defer { scratch.numbers = numbers }
        let (count, dimension) = (Self.anchors(of: frame.tokens), frame.dimension)
        for head in 0..<frame.heads {
            for group in 0..<count { (numbers.least[group], numbers.greatest[group]) = (try statistics.bfloat(), try statistics.bfloat()) }
            let place = try statistics.take(count * dimension)
            for index in 0..<count * dimension { scratch.anchorSymbols[index] = statistics.bytes[place + index] }
            scratch.set.dequantise(
                scratch.anchorSymbols, at: 0, by: .rows, steps: numbers.greatest, offsets: numbers.least, at: 0, into: &scratch.anchors,
                Self.shape(head, count, dimension))
        }
    }

    func revert(_ frame: inout SideFrame, _ scratch: BlockScratch) {
        var numbers = scratch.takeNumbers()
        defer { scratch.numbers = numbers }
        let (count, dimension) = (Self.anchors(of: frame.tokens), frame.dimension)
        frame.rows = frame.tokens
        for head in 0..<frame.heads {
            let shape = frame.shape(head)
            let anchors = Self.shape(head, count, dimension)
            for group in 0..<count {
                let others = shape.rows(Self.others(group, frame.tokens))
                let source = PlaneShape(
                    offset: shape.offset + (Self.group - 1) * group * shape.stride, rows: others.rows, columns: dimension,
                    stride: shape.stride)
                shiftRows(scratch, &numbers, anchors.rows(group..<group + 1), source, factor: 1)
                source.copy(of: scratch.planes, to: &scratch.spare, others)
                anchors.rows(group..<group + 1).copy(of: scratch.anchors, to: &scratch.spare, shape.rows(Self.row(group)))
            }
        }
        swap(&scratch.planes, &scratch.spare)
    }

    /// Adds the anchor, or takes it off.
    private func shiftRows(
        _ scratch: BlockScratch, _ numbers: inout Parameters, _ anchor: PlaneShape, _ rows: PlaneShape, factor: Float
    ) {
        for column in 0..<anchor.columns { numbers.biases[column] = factor * scratch.anchors[anchor.offset + column] }
        scratch.set.affineColumns(&scratch.planes, rows, factors: scratch.ones, terms: numbers.biases)
    }

    private static func shape(_ head: Int, _ count: Int, _ dimension: Int) -> PlaneShape {
        PlaneShape(offset: head * count * dimension, rows: count, columns: dimension, stride: dimension)
    }

    private static func row(_ group: Int) -> Range<Int> { group * Self.group..<group * Self.group + 1 }

    private static func others(_ group: Int, _ tokens: Int) -> Range<Int> {
        min(group * Self.group + 1, tokens)..<min((group + 1) * Self.group, tokens)
    }
}
