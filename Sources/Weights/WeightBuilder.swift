internal import Kernels
internal import Platform

/// Turns stored tensors into an image: packs, rounds or widens, and digests every part.
struct WeightBuilder {
    let checkpoint: Checkpoint
    let plan: WeightPlan
    let form: WeightForm

    /// Checks that every source exists with the shape and a type that the plan needs, before any of them is read.
    func check() throws(CheckpointError) {
        for operand in plan.operands {
            if operand.form == .panels, let most = form.mostColumns, operand.columns > most {
                throw CheckpointError(
                    file: checkpoint.directory, tensor: operand.sources.first?.tensor,
                    reason: "it has \(operand.columns) columns; at most \(most) are possible with weights of \(form)")
            }
            for source in operand.sources {
                guard let (file, entry) = checkpoint.tensor(source.tensor) else {
                    let place = checkpoint.files.count == 1 ? checkpoint.files[0].name : Checkpoint.indexName
                    throw CheckpointError(file: place, tensor: source.tensor, reason: "it is missing")
                }
                let expected = operand.form == .vector ? [source.rows] : [source.rows, operand.columns]
                guard entry.shape == expected else {
                    throw CheckpointError(
                        file: file.name, tensor: source.tensor, reason: "shape \(entry.shape) was found, \(expected) was expected"
                    )
                }
                guard entry.type.sourceType != nil else {
                    throw CheckpointError(
                        file: file.name, tensor: source.tensor,
                        reason: "type \(entry.type) was found; BF16, F16 or F32 was expected")
                }
            }
        }
    }

    /// How many tensors of each stored type lose precision in this image.
    var rounded: [(type: StoredType, count: Int)] {
        guard form != .f32 else { return [] }
        var counts: [StoredType: Int] = [:]
        for operand in plan.operands where operand.form != .vector {
            let exact: StoredType? = operand.form == .panels && form.isBytes ? nil : .bf16
            for source in operand.sources {
                if let type = checkpoint.tensor(source.tensor)?.entry.type, type != exact { counts[type, default: 0] += 1 }
            }
        }
        return counts.map { ($0.key, $0.value) }.sorted { $0.type.description < $1.type.description }
    }

    /// How an operand is kept in weights of `form`. Of enec that depends on the numbers: those that do not shrink stay bf16.
    static func element(of operand: WeightPlan.Operand, in form: WeightForm) -> WeightForm {
        switch operand.form {
        case .panels: form
        case .table: form == .enec ? .enec : WeightForm(form.elementType)
        case .vector: .f32
        }
    }

    /// Bytes of an operand whose elements are kept as `element`, which is not enec.
    static func byteCount(_ operand: WeightPlan.Operand, as element: WeightForm) -> Int {
        switch operand.form {
        case .panels: PanelMatrix.byteCount(rows: operand.rows, columns: operand.columns, form: element)
        case .table, .vector: operand.rows * operand.columns * element.byteCount
        }
    }

    /// Whether an image of `form` may keep an operand so.
    static func mayKeep(_ operand: WeightPlan.Operand, as element: WeightForm, bytes: Int, in form: WeightForm) -> Bool {
        let expected = Self.element(of: operand, in: form)
        if element == .enec { return expected == .enec }
        return (element == expected || (expected == .enec && element == .bf16)) && bytes == byteCount(operand, as: element)
    }

    /// Where the operands will lie, and where the panels of those that are kept as enec: for that these are read. `check()` has passed.
    ///
    /// - Throws: when a packed tensor is damaged, or the system refuses the memory.
    func layout(
        _ key: WeightImageHeader.Key, team: ThreadTeam, progress: (WeightProgress) -> Void = { _ in }
    ) throws(CheckpointError) -> Layout {
        var offsets: [Int: PanelOffsets] = [:]
        var parts: [(element: WeightForm, bytes: Int)] = []
        let measured = plan.operands.indices.filter { Self.element(of: plan.operands[$0], in: form) == .enec }
        var reader = OperandReader(of: checkpoint, on: team)
        var steps = self.steps(measured)
        for (index, operand) in plan.operands.enumerated() {
            var element = Self.element(of: operand, in: form)
            if element == .enec {
                steps.begin(operand)
                offsets[index] = try reader.read(operand) { team.measurePanels($0, columns: operand.columns) }
                element = offsets[index] == nil ? .bf16 : .enec
                progress(steps.end(operand))
            }
            parts.append((element, offsets[index]?.end ?? Self.byteCount(operand, as: element)))
        }
        return Layout(header: WeightImageHeader(placing: plan, key: key, parts: parts), offsets: offsets, before: steps)
    }

    struct Layout {
        var header: WeightImageHeader
        /// By the places of operands.
        var offsets: [Int: PanelOffsets]
        /// What was read for it.
        var before: BuildSteps
    }

    /// The reading of some operands, of those of the whole plan: what is kept as enec is read twice.
    private func steps(_ operands: [Int], after before: BuildSteps? = nil) -> BuildSteps {
        let twice = plan.operands.filter { Self.element(of: $0, in: form) == .enec }
        return BuildSteps(operands.map { plan.operands[$0] }, of: checkpoint, all: plan.operands + twice, after: before)
    }

    /// Bytes of the image, about: those of enec depend on the numbers.
    var expectedBytes: Int {
        plan.operands.reduce(0) { sum, operand in
            let element = Self.element(of: operand, in: form)
            return sum + (element == .enec ? Self.byteCount(operand, as: .bf16) * 45 / 64 : Self.byteCount(operand, as: element))
        }
    }

    /// Fills the zeroed `draft` with the image that `layout` describes. `check()` has passed. Packed tensors are decoded on `team`, one at
    /// a time, while the next ones are read.
    ///
    /// - Parameter digesting: whether the image says what its parts' digests are: somebody else will read it.
    /// - Throws: when a packed tensor is damaged.
    func fill(
        _ draft: inout FileDraft, _ layout: Layout, digesting: Bool = true, team: ThreadTeam, progress: (WeightProgress) -> Void
    ) throws(CheckpointError) {
        var header = layout.header
        var reader = OperandReader(of: checkpoint, on: team)
        var steps = self.steps(Array(plan.operands.indices), after: layout.before)
        for (index, operand) in plan.operands.enumerated() {
            let entry = header.entries[index]
            steps.begin(operand)
            if let offsets = layout.offsets[index] {
                try reader.read(operand) { rows in
                    draft.change(entry.range) { team.codePanels(rows, columns: operand.columns, at: offsets, into: &$0) }
                }
            } else {
                var row = 0
                for source in operand.sources {
                    try reader.read(source) { place($0, as: $1, rows: source.rows, first: row, of: operand, at: entry, in: &draft, team) }
                    row += source.rows
                }
            }
            if digesting { header.entries[index].digest = draft.change(entry.range) { team.digest(ofPiecesOf: $0.bytes) } }
            progress(steps.end(operand))
        }
        draft.replace(at: 0, with: header.encoded().rawSpan)
    }

    /// Puts one source's rows behind those of the sources before it.
    private func place(
        _ stored: RawSpan, as type: SourceType, rows: Int, first: Int, of operand: WeightPlan.Operand,
        at entry: WeightImageHeader.Entry, in draft: inout FileDraft, _ team: ThreadTeam
    ) {
        let element = entry.element
        switch operand.form {
        case .panels:
            draft.change(entry.range) {
                team.packPanels(stored, as: type, columns: operand.columns, first: first, form: element, into: &$0)
            }
        case .table:
            let offset = first * operand.columns * element.byteCount
            if element == .bf16 { return draft.change(entry.range) { team.roundToBF16(stored, as: type, into: &$0, at: offset) } }
            Self.convert(stored, as: type, to: element.elementType, columns: operand.columns, into: &draft, at: entry.range.lowerBound + offset)
        case .vector:
            Self.convert(stored, as: type, to: .f32, columns: rows, into: &draft, at: entry.range.lowerBound + first * 4)
        }
    }

    /// Copies rows of `columns` numbers, converted. Values that `type` can hold stay as they are.
    static func convert(
        _ source: RawSpan, as sourceType: SourceType, to type: ElementType, columns: Int, into draft: inout FileDraft,
        at offset: Int
    ) {
        let target: SourceType = type == .bf16 ? .bf16 : .f32
        guard sourceType != target else { return draft.replace(at: offset, with: source) }
        var floats = [Float](repeating: 0, count: columns)
        let rowBytes = columns * sourceType.byteCount
        for row in 0..<(source.byteCount / rowBytes) {
            let place = offset + row * columns * type.byteCount
            var span = floats.mutableSpan
            InstructionSet.scalar.convert(source.extracting((row * rowBytes)..<((row + 1) * rowBytes)), as: sourceType, to: &span)
            draft.change(place..<(place + columns * type.byteCount)) {
                InstructionSet.scalar.convert(floats.span, to: target, into: &$0)
            }
        }
    }
}
