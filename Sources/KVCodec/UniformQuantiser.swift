import Kernels

/// Levels at equal distances over the range of a channel, a token or a tensor, or of groups within them.
struct UniformQuantiser: BlockQuantiser {
    private let uniform: Quantiser.Uniform
    private let isEntropyCoded: Bool

    init(_ uniform: Quantiser.Uniform, isEntropyCoded: Bool) {
        self.uniform = uniform
        // Wide scales and those of two levels are whole bytes by definition.
        self.isEntropyCoded = isEntropyCoded && uniform.scales == .narrow
    }

    private func axis(_ side: KeyValueSide) -> Quantiser.Axis { (side == .keys ? uniform.keys : uniform.values).axis }

    // MARK: Parts

    /// A part of a head's plane that has parameters of its own, for each row or each column.
    private struct Part {
        var shape: PlaneShape
        var axis: InstructionSet.Axis
        /// Its parameters' place.
        var first: Int
    }

    /// Where the parameters of a side stand: group by group of the plan.
    private func parameters(_ frame: SideFrame, heads: Int) -> Int {
        switch axis(frame.side) {
        case .tensor: 1
        case .channel: heads * slices(frame.rows) * frame.dimension
        case .token: uniform.group == 0 ? frame.rows : heads * slices(frame.dimension) * frame.rows
        }
    }

    private func slices(_ count: Int) -> Int { uniform.group == 0 ? 1 : (count + uniform.group - 1) / uniform.group }

    private func parameters(_ frame: SideFrame, _ plan: LayerPlan.Side) -> Int {
        plan.groups.reduce(0) { $0 + parameters(frame, heads: $1.heads.count) }
    }

    /// The parts of all heads, in the order of symbols and parameters.
    private func forEachPart(
        _ frame: SideFrame, _ plan: LayerPlan.Side, _ body: (_ part: Part, _ group: LayerPlan.Group, _ isFirstOfGroup: Bool) -> Void
    ) {
        var first = 0
        for group in plan.groups {
            let perHead = parameters(frame, heads: group.heads.count) / max(group.heads.count, 1)
            for (index, head) in group.heads.enumerated() {
                let shape = frame.shape(head)
                let isFirst = index == 0
                switch axis(frame.side) {
                case .tensor: body(Part(shape: shape, axis: .rows, first: first), group, isFirst)
                case .token where uniform.group == 0: body(Part(shape: shape, axis: .rows, first: first), group, isFirst)
                case .token:
                    for slice in 0..<slices(frame.dimension) {
                        let columns = slice * uniform.group..<min((slice + 1) * uniform.group, frame.dimension)
                        body(
                            Part(shape: shape.columns(columns), axis: .rows, first: first + index * perHead + slice * frame.rows), group,
                            true)
                    }
                case .channel:
                    for slice in 0..<slices(frame.rows) {
                        let rows =
                            uniform.group == 0 ? 0..<frame.rows : slice * uniform.group..<min((slice + 1) * uniform.group, frame.rows)
                        body(
                            Part(shape: shape.rows(rows), axis: .columns, first: first + index * perHead + slice * frame.dimension), group,
                            true)
                    }
                }
            }
            first += parameters(frame, heads: group.heads.count)
        }
    }

    func appendRuns(_ frame: SideFrame, _ plan: LayerPlan.Side, to runs: inout [SymbolRun]) {
        let count = parameters(frame, plan)
        ScaleCode.appendRuns(count, isEntropyCoded, to: &runs)
        if !uniform.isSymmetric { ScaleCode.appendRuns(count, isEntropyCoded, to: &runs) }
        let start = runs.count
        plan.appendRuns(frame, style: .centred, to: &runs) { $0.levels }
        if axis(frame.side) == .token, uniform.group > 0 { for index in start..<runs.count { runs[index].width = uniform.group } }
    }

    // MARK: Encoding

    func encode(_ frame: SideFrame, _ plan: inout LayerPlan.Side, _ scratch: BlockScratch) {
        var numbers = scratch.takeNumbers()
        defer { scratch.numbers = numbers }
        let isTensor = axis(frame.side) == .tensor
        let room = scratch.parameterRoom
        forEachPart(frame, plan) { part, _, isFirst in
            let count = isTensor ? frame.rows : part.shape.parameters(part.axis)
            let place = isFirst && !isTensor ? part.first : room
            scratch.set.range(scratch.planes, part.shape, of: part.axis, least: &numbers.least, greatest: &numbers.greatest, at: place)
            if isTensor {
                if isFirst { (numbers.least[part.first], numbers.greatest[part.first]) = (numbers.least[room], numbers.greatest[room]) }
                for row in 0..<count {
                    numbers.least[part.first] = min(numbers.least[part.first], numbers.least[room + row])
                    numbers.greatest[part.first] = max(numbers.greatest[part.first], numbers.greatest[room + row])
                }
            } else if !isFirst {
                for index in 0..<count {
                    numbers.least[part.first + index] = min(numbers.least[part.first + index], numbers.least[room + index])
                    numbers.greatest[part.first + index] = max(numbers.greatest[part.first + index], numbers.greatest[room + index])
                }
            }
        }
        let count = parameters(frame, plan)
        write(count, frame, plan, &numbers, scratch)
        Self.invert(count, steps: numbers.greatest, offsets: numbers.least, &numbers.factors, &numbers.biases)
        forEachPart(frame, plan) { part, group, _ in
            var first = part.first
            if isTensor {
                first = room
                for row in 0..<frame.rows {
                    numbers.factors[room + row] = numbers.factors[part.first]
                    numbers.biases[room + row] = numbers.biases[part.first]
                }
            }
            scratch.set.quantise(
                scratch.planes, part.shape, by: part.axis, factors: numbers.factors, biases: numbers.biases, at: first,
                top: group.levels - 1,
                into: &scratch.symbols, at: scratch.symbolCount)
            scratch.symbolCount += part.shape.count
        }
    }

    /// From steps and offsets to what quantisers multiply by and add.
    private static func invert(
        _ count: Int, steps: [Float], offsets: [Float], _ factors: inout [Float], _ biases: inout [Float]
    ) {
        let (steps, offsets) = (steps.span, offsets.span)
        var factors = factors.mutableSpan
        var biases = biases.mutableSpan
        for index in 0..<count {
            let step = steps[index]
            factors[index] = step > 0 ? 1 / step : 0
            biases[index] = step > 0 ? -offsets[index] / step : 0
        }
    }

    func decode(
        _ frame: SideFrame, _ plan: LayerPlan.Side, _ scratch: BlockScratch, from statistics: inout ByteCursor
    ) throws(KeyValueBlockError) {
        var numbers = scratch.takeNumbers()
        defer { scratch.numbers = numbers }
        let isTensor = axis(frame.side) == .tensor
        let room = scratch.parameterRoom
        try read(parameters(frame, plan), frame, plan, &numbers, scratch, from: &statistics)
        forEachPart(frame, plan) { part, _, _ in
            var first = part.first
            if isTensor {
                first = room
                for row in 0..<frame.rows {
                    numbers.greatest[room + row] = numbers.greatest[part.first]
                    numbers.least[room + row] = numbers.least[part.first]
                }
            }
            scratch.set.dequantise(
                scratch.symbols, at: scratch.symbolCount, by: part.axis, steps: numbers.greatest, offsets: numbers.least, at: first,
                into: &scratch.planes, part.shape)
            scratch.symbolCount += part.shape.count
        }
    }

    // MARK: Parameters
    // From ranges in (least, greatest) to offsets and steps there, as a reader will have them.

    private func write(_ count: Int, _ frame: SideFrame, _ plan: LayerPlan.Side, _ numbers: inout Parameters, _ scratch: BlockScratch) {
        Self.bound(count, isSymmetric: uniform.isSymmetric, &numbers.least, &numbers.greatest)
        switch uniform.scales {
        case .narrow: writeNarrow(count, frame, plan, &numbers, scratch)
        case .wide:
            var bytes: [UInt8] = []
            swap(&bytes, &scratch.statistics)
            defer { swap(&bytes, &scratch.statistics) }
            forEachParameter(frame, plan, count) { index, levels in
                if uniform.isSymmetric {
                    let step = (numbers.greatest[index] / Float((levels - 1) / 2)).bfloatAbove
                    bytes.append(bfloat: step)
                    (numbers.least[index], numbers.greatest[index]) = (-step * Float((levels - 1) / 2), step)
                } else {
                    let low = numbers.least[index].bfloatBelow
                    let step = ((numbers.greatest[index] - low) / Float(levels - 1)).bfloatAbove
                    bytes.append(bfloat: low)
                    bytes.append(bfloat: step)
                    (numbers.least[index], numbers.greatest[index]) = (low, step)
                }
            }
        case .twoLevel: writeTwoLevels(frame, plan, &numbers, scratch)
        }
    }

    private static func bound(_ count: Int, isSymmetric: Bool, _ least: inout [Float], _ greatest: inout [Float]) {
        var least = least.mutableSpan
        var greatest = greatest.mutableSpan
        for index in 0..<count {
            let (low, high) = (least[index].bounded, greatest[index].bounded)
            let peak = max(-low, high)
            least[index] = isSymmetric ? -peak : low
            greatest[index] = isSymmetric ? peak : high
        }
    }

    private func read(
        _ count: Int, _ frame: SideFrame, _ plan: LayerPlan.Side, _ numbers: inout Parameters, _ scratch: BlockScratch,
        from statistics: inout ByteCursor
    ) throws(KeyValueBlockError) {
        switch uniform.scales {
        case .narrow:
            try ScaleCode.readSpans(count, isEntropyCoded, &numbers, scratch, from: &statistics)
            let stretches = stretches(frame, plan)
            if uniform.isSymmetric {
                for index in 0..<count { numbers.least[index] = 0 }
            } else {
                try ScaleCode.readCentres(stretches, isEntropyCoded, &numbers, scratch, from: &statistics)
            }
            Self.settle(stretches, &numbers.least, &numbers.greatest)
        case .wide:
            let place = try statistics.take(count * (uniform.isSymmetric ? 2 : 4))
            let bytes = statistics.bytes
            func number(_ index: Int) -> Float {
                Float(bitPattern: UInt32(bytes[place + 2 * index]) << 16 | UInt32(bytes[place + 2 * index + 1]) << 24)
            }
            forEachParameter(frame, plan, count) { index, levels in
                if uniform.isSymmetric {
                    let step = number(index)
                    (numbers.least[index], numbers.greatest[index]) = (-step * Float((levels - 1) / 2), step)
                } else {
                    (numbers.least[index], numbers.greatest[index]) = (number(2 * index), number(2 * index + 1))
                }
            }
        case .twoLevel: try readTwoLevels(frame, plan, &numbers, from: &statistics)
        }
    }

    private func writeNarrow(_ count: Int, _ frame: SideFrame, _ plan: LayerPlan.Side, _ numbers: inout Parameters, _ scratch: BlockScratch)
    {
        Self.centre(count, &numbers.least, &numbers.greatest)
        ScaleCode.writeSpans(count, isEntropyCoded, &numbers, scratch)
        let stretches = stretches(frame, plan)
        if !uniform.isSymmetric { ScaleCode.writeCentres(stretches, isEntropyCoded, &numbers, scratch) }
        Self.settle(stretches, &numbers.least, &numbers.greatest)
    }

    /// From ends of ranges to centres and spans.
    private static func centre(_ count: Int, _ least: inout [Float], _ greatest: inout [Float]) {
        var least = least.mutableSpan
        var greatest = greatest.mutableSpan
        for index in 0..<count {
            let (low, high) = (least[index], greatest[index])
            let centre = low * 0.5 + high * 0.5
            least[index] = centre
            greatest[index] = max(high - low, abs(centre) / ScaleCode.reach)
        }
    }

    /// From centres and spans to offsets and steps.
    private static func settle(_ stretches: [ScaleCode.Stretch], _ least: inout [Float], _ greatest: inout [Float]) {
        var least = least.mutableSpan
        var greatest = greatest.mutableSpan
        var index = 0
        for stretch in stretches {
            let part = 1 / Float(stretch.levels - 1)
            while index < stretch.end {
                let span = greatest[index]
                least[index] -= span * 0.5
                greatest[index] = span * part
                index += 1
            }
        }
    }

    /// The levels of all parameters.
    private func stretches(_ frame: SideFrame, _ plan: LayerPlan.Side) -> [ScaleCode.Stretch] {
        var end = 0
        return plan.groups.map { group in
            end += parameters(frame, heads: group.heads.count)
            return (end, group.levels)
        }
    }

    private func forEachParameter(_ frame: SideFrame, _ plan: LayerPlan.Side, _ count: Int, _ body: (_ index: Int, _ levels: Int) -> Void) {
        var index = 0
        for group in plan.groups {
            let end = min(count, index + parameters(frame, heads: group.heads.count))
            while index < end {
                body(index, group.levels)
                index += 1
            }
        }
    }

    // MARK: Two levels
    // For each head, for each channel (or token): the greatest step of its groups and the greatest centre, bf16. Then for each group, for
    // each channel (or token): a step in 255ths and a centre in signed 127ths of them.

    private func forEachRow<Failure: Error>(
        _ frame: SideFrame, _ plan: LayerPlan.Side,
        _ body: (_ first: Int, _ rows: Int, _ slices: Int, _ levels: Int) throws(Failure) -> Void
    ) throws(Failure) {
        let isChannel = axis(frame.side) == .channel
        let (rows, slices) = isChannel ? (frame.dimension, slices(frame.rows)) : (frame.rows, slices(frame.dimension))
        var first = 0
        for group in plan.groups {
            for _ in group.heads {
                try body(first, rows, slices, group.levels)
                first += rows * slices
            }
        }
    }

    private func writeTwoLevels(_ frame: SideFrame, _ plan: LayerPlan.Side, _ numbers: inout Parameters, _ scratch: BlockScratch) {
        forEachRow(frame, plan) { first, rows, slices, levels in
            let places = scratch.statistics.count
            for row in 0..<rows {
                var farthest: Float = 0
                for slice in 0..<slices {
                    let index = first + slice * rows + row
                    farthest = max(farthest, abs(numbers.least[index] * 0.5 + numbers.greatest[index] * 0.5))
                }
                let centres = farthest.bfloatAbove
                var steps: Float = 0
                for slice in 0..<slices {
                    let index = first + slice * rows + row
                    let code = centres > 0 ? ((numbers.least[index] * 0.5 + numbers.greatest[index] * 0.5) / centres * 127).rounded() : 0
                    let centre = centres * (code / 127)
                    let half = max(numbers.greatest[index] - centre, centre - numbers.least[index])
                    // Until the steps are known: the centre's code, and the step that is needed.
                    (numbers.least[index], numbers.greatest[index]) = (code, 2 * half / Float(levels - 1))
                    steps = max(steps, numbers.greatest[index])
                }
                scratch.statistics.append(bfloat: min(steps, 2e38).bfloatAbove)
                scratch.statistics.append(bfloat: centres)
            }
            for slice in 0..<slices {
                for row in 0..<rows {
                    let index = first + slice * rows + row
                    let (steps, centres) = (
                        Self.number(scratch.statistics, places + 4 * row), Self.number(scratch.statistics, places + 4 * row + 2)
                    )
                    let code = steps > 0 ? min(max((numbers.greatest[index] / steps * 255).rounded(.up), 1), 255) : 0
                    scratch.statistics.append(UInt8(code))
                    scratch.statistics.append(UInt8(bitPattern: Int8(numbers.least[index])))
                    Self.settle(index, steps, centres, UInt8(code), Int8(numbers.least[index]), levels, &numbers)
                }
            }
        }
    }

    private func readTwoLevels(
        _ frame: SideFrame, _ plan: LayerPlan.Side, _ numbers: inout Parameters, from statistics: inout ByteCursor
    ) throws(KeyValueBlockError) {
        let bytes = statistics.bytes
        var cursor = statistics
        try forEachRow(frame, plan) { first, rows, slices, levels throws(KeyValueBlockError) in
            let places = try cursor.take(4 * rows)
            let codes = try cursor.take(2 * rows * slices)
            for slice in 0..<slices {
                for row in 0..<rows {
                    let place = codes + 2 * (slice * rows + row)
                    Self.settle(
                        first + slice * rows + row, Self.number(bytes, places + 4 * row), Self.number(bytes, places + 4 * row + 2),
                        bytes[place],
                        Int8(bitPattern: bytes[place + 1]), levels, &numbers)
                }
            }
        }
        statistics = cursor
    }

    private static func settle(
        _ index: Int, _ steps: Float, _ centres: Float, _ code: UInt8, _ centre: Int8, _ levels: Int, _ numbers: inout Parameters
    ) {
        let step = steps * (Float(code) / 255)
        numbers.greatest[index] = step
        numbers.least[index] = centres * (Float(centre) / 127) - step * (Float(levels - 1) * 0.5)
    }

    /// A bf16 number.
    private static func number(_ bytes: [UInt8], _ place: Int) -> Float {
        Float(bitPattern: UInt32(bytes[place]) << 16 | UInt32(bytes[place + 1]) << 24)
    }
}
