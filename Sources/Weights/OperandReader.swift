internal import Kernels
internal import Platform

/// Gives the numbers of operands, out of the stored tensors they are made of. Both must have been checked to be there.
struct OperandReader: ~Copyable {
    private let checkpoint: Checkpoint
    private let team: ThreadTeam
    private var reader: TensorReader
    /// Rows of several tensors, or of other numbers than bf16; kept for the next operand.
    private var stack: Slab?

    init(of checkpoint: Checkpoint, on team: ThreadTeam) {
        self.checkpoint = checkpoint
        self.team = team
        reader = TensorReader(on: team)
    }

    /// Calls `body` with the bytes of one stored tensor and what its numbers are.
    ///
    /// - Throws: when the file is damaged, or the system refuses the memory.
    mutating func read<Result>(
        _ source: WeightPlan.Source, _ body: (RawSpan, SourceType) -> Result
    ) throws(CheckpointError) -> Result {
        guard let (file, entry) = checkpoint.tensor(source.tensor), let type = entry.type.sourceType else {
            preconditionFailure("\(source.tensor) was not checked")
        }
        return try reader.read(entry, of: file) { body($0, type) }
    }

    /// Calls `body` with all rows of an operand, one below the other, as bf16: at most one operand and one tensor are held in memory.
    ///
    /// - Throws: when the file is damaged, or the system refuses the memory.
    mutating func read<Result>(_ operand: WeightPlan.Operand, _ body: (RawSpan) -> Result) throws(CheckpointError) -> Result {
        if operand.sources.count == 1, checkpoint.tensor(operand.sources[0].tensor)?.entry.type == .bf16 {
            return try read(operand.sources[0]) { bytes, _ in body(bytes) }
        }
        let rowBytes = operand.columns * 2
        try reserve(operand.rows * rowBytes, for: operand.name)
        var row = 0
        for source in operand.sources {
            let (offset, team) = (row * rowBytes, team)
            var stack = self.stack.take()!
            try read(source) { bytes, type in
                var rows = stack.bytes
                team.roundToBF16(bytes, as: type, into: &rows, at: offset)
            }
            self.stack = consume stack
            row += source.rows
        }
        let rows = stack!.first(operand.rows * rowBytes)
        return body(rows.bytes)
    }

    private mutating func reserve(_ count: Int, for name: String) throws(CheckpointError) {
        if let size = stack?.count, size >= count { return }
        stack = nil
        do throws(FileError) { stack = try Slab(bytes: count, purpose: "the rows of \(name)") } catch { throw CheckpointError(error) }
    }
}
