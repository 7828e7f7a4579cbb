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

    /// Bytes of an operand in memory.
    static func byteCount(_ operand: WeightPlan.Operand, form: WeightForm) -> Int {
        switch operand.form {
        case .panels: PanelMatrix.byteCount(rows: operand.rows, columns: operand.columns, form: form)
        case .table: operand.rows * operand.columns * form.elementType.byteCount
        case .vector: operand.rows * operand.columns * 4
        }
    }

    /// Fills the zeroed `draft` with the image that `header` describes. `check()` has passed. Packed tensors are decoded on `team`, one at
    /// a time.
    ///
    /// - Throws: when a packed tensor is damaged.
    func fill(
        _ draft: inout FileDraft, header: WeightImageHeader, team: ThreadTeam, progress: (WeightProgress) -> Void
    ) throws(CheckpointError) {
        var header = header
        var reader = TensorReader(on: team)
        for (index, operand) in plan.operands.enumerated() {
            let range = header.entries[index].range
            var row = 0
            for source in operand.sources {
                guard let (file, entry) = checkpoint.tensor(source.tensor), let type = entry.type.sourceType else {
                    preconditionFailure("\(source.tensor) was not checked")
                }
                try reader.read(entry, of: file) { place($0, as: type, rows: source.rows, first: row, of: operand, at: range, in: &draft) }
                row += source.rows
            }
            header.entries[index].digest = draft.digest(of: range)
            progress(WeightProgress(doneBytes: range.upperBound, totalBytes: header.imageBytes))
        }
        draft.replace(at: 0, with: header.encoded().rawSpan)
    }

    /// Puts one source's rows behind those of the sources before it.
    private func place(
        _ stored: RawSpan, as type: SourceType, rows: Int, first: Int, of operand: WeightPlan.Operand, at range: Range<Int>,
        in draft: inout FileDraft
    ) {
        switch operand.form {
        case .panels:
            draft.change(range) {
                PanelMatrix.pack(stored, as: type, columns: operand.columns, first: first, form: form, into: &$0)
            }
        case .table:
            let offset = range.lowerBound + first * operand.columns * form.elementType.byteCount
            Self.convert(stored, as: type, to: form.elementType, columns: operand.columns, into: &draft, at: offset)
        case .vector:
            Self.convert(stored, as: type, to: .f32, columns: rows, into: &draft, at: range.lowerBound + first * 4)
        }
    }

    /// Copies rows of `columns` numbers, converted. Values that `type` can hold stay as they are.
    private static func convert(
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

/// How far the building of an image is.
package struct WeightProgress: Sendable, Equatable {
    package var doneBytes: Int
    package var totalBytes: Int
}
