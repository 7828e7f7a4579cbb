internal import Kernels
internal import Platform

// Packed models whose tensors are coded in the order of the kernels are computed on where they lie: nothing is decoded, copied or cached, and
// all processes share the pages of the files.
extension WeightStore {
    /// The store whose panels are those of the packed files; nil where these do not serve. What is not coded so (norms, small matrices) is
    /// made in this process's memory.
    static func mapped(
        _ builder: WeightBuilder, _ key: WeightImageHeader.Key, team: ThreadTeam, progress: (WeightProgress) -> Void
    ) throws(CheckpointError) -> WeightStore? {
        guard builder.form == .enec, builder.checkpoint.isPacked else { return nil }
        var rest = WeightPlan()
        var coded: [(operand: WeightPlan.Operand, tensors: [PackedTensor], file: Checkpoint.File)] = []
        var (codedBytes, restBytes) = (0, 0)
        for operand in builder.plan.operands {
            if let (tensors, file) = packed(operand, in: builder.checkpoint) {
                coded.append((operand, tensors, file))
                codedBytes += tensors.reduce(0) { $0 + $1.byteCount }
            } else {
                rest.append(operand)
                restBytes += operand.rows * operand.columns * 2
            }
        }
        guard restBytes * mostRest <= codedBytes else { return nil }
        var parts: [String: Part] = [:]
        var (done, read) = (0, 0)
        let places = Dictionary(uniqueKeysWithValues: builder.checkpoint.files.enumerated().map { ($1.name, $0) })
        let ahead = ReadAhead(
            ReadAheadPlan(coded.map { step in step.tensors.map { .init(file: places[step.file.name] ?? 0, range: $0.blob) } }),
            of: builder.checkpoint.files.map(\.mapping))
        for (step, (operand, tensors, file)) in coded.enumerated() {
            ahead.begin(step)
            var panels: [Range<Int>] = []
            for tensor in tensors {
                panels += try check(tensor, in: file, rows: tensor.shape[0], columns: operand.columns, team: team)
                done += tensor.byteCount
                read += tensor.blob.count
                progress(WeightProgress(stage: .reading, doneBytes: done, totalBytes: codedBytes + restBytes, readBytes: read))
            }
            guard let offsets = PanelOffsets(panels: panels) else { return nil }
            parts[operand.name] = Part(
                file: file.mapping, range: 0..<file.mapping.count, form: operand.form, element: .enec, rows: operand.rows,
                columns: operand.columns, offsets: offsets)
        }
        if !rest.operands.isEmpty {
            let small = WeightBuilder(checkpoint: builder.checkpoint, plan: rest, form: .enec)
            let image = try inMemory(small, key, team: team, progress: { _ in }).store
            parts.merge(image.parts) { first, _ in first }
        }
        return WeightStore(key, parts: parts)
    }

    /// What is not computed on where it lies is at most this part of the rest: each process has its own copy of it.
    private static let mostRest = 16

    /// The tensors of an operand, if their panels can be read as those of one matrix: all in one file, and each but the last of whole
    /// panels.
    private static func packed(
        _ operand: WeightPlan.Operand, in checkpoint: Checkpoint
    ) -> (tensors: [PackedTensor], file: Checkpoint.File)? {
        guard operand.form != .vector else { return nil }
        var tensors: [PackedTensor] = []
        var file: Checkpoint.File? = nil
        for (index, source) in operand.sources.enumerated() {
            guard let (found, entry) = checkpoint.tensor(source.tensor), case .packed(let tensor) = entry.form,
                tensor.codec.blocks as? Planes3Codec == Planes3Codec(columns: operand.columns),
                file == nil || file?.name == found.name, source.rows % 64 == 0 || index == operand.sources.count - 1
            else { return nil }
            file = found
            tensors.append(tensor)
        }
        return file.map { (tensors, $0) }
    }

    /// Checks the digest of a tensor's blob, and that its panels are such; returns where these lie in the file.
    private static func check(
        _ tensor: PackedTensor, in file: Checkpoint.File, rows: Int, columns: Int, team: ThreadTeam
    ) throws(CheckpointError) -> [Range<Int>] {
        try tensor.verifyBlob(in: file.mapping.bytes)
        let table = try BlockTable(of: tensor, in: file.mapping.bytes)
        let ranges = (0..<table.count).map { table[$0] }
        guard ranges.allSatisfy({ $0.lowerBound % 64 == 0 && $0.upperBound % 64 == 0 }), let offsets = PanelOffsets(panels: ranges),
            team.checkPanels(file.mapping.bytes, at: offsets, rows: rows, columns: columns)
        else { throw CheckpointError(file: file.name, tensor: tensor.name, reason: "its blocks are no panels of planes3: the file is damaged") }
        return ranges
    }
}

extension Checkpoint {
    /// Whether tensors are coded in the order of the kernels.
    package var isForComputing: Bool {
        files.contains { file in
            file.tensors.contains { tensor in
                if case .packed(let packed) = tensor.form { packed.codec.blocks is Planes3Codec } else { false }
            }
        }
    }
}
