internal import Platform

/// The operands of a plan one after another: what is read ahead, what is done with, and how far that is.
struct BuildSteps {
    private let checkpoint: Checkpoint
    private let ahead: ReadAhead
    private let stage: WeightProgress.Stage
    private var next = 0
    private(set) var doneBytes: Int
    private(set) var readBytes: Int
    private let totalBytes: Int

    /// - Parameters:
    ///   - operands: those that will be read, in order.
    ///   - all: those that are read altogether.
    ///   - before: what was read of them before.
    init(_ operands: [WeightPlan.Operand], of checkpoint: Checkpoint, all: [WeightPlan.Operand], after before: BuildSteps?) {
        self.checkpoint = checkpoint
        doneBytes = before?.doneBytes ?? 0
        readBytes = before?.readBytes ?? 0
        totalBytes = all.reduce(0) { $0 + Self.bytes($1) }
        stage = checkpoint.isPacked ? .decoding : .repacking
        let places = Dictionary(uniqueKeysWithValues: checkpoint.files.enumerated().map { ($1.name, $0) })
        let steps = operands.map { operand in
            operand.sources.compactMap { checkpoint.tensor($0.tensor) }
                .map { ReadAheadPlan.Piece(file: places[$0.file.name] ?? 0, range: $0.entry.range) }
        }
        ahead = ReadAhead(ReadAheadPlan(steps), of: checkpoint.files.map(\.mapping))
    }

    private static func bytes(_ operand: WeightPlan.Operand) -> Int { operand.rows * operand.columns }

    mutating func begin(_ operand: WeightPlan.Operand) {
        ahead.begin(next)
        next += 1
    }

    /// The operand's tensors need not stay in memory.
    mutating func end(_ operand: WeightPlan.Operand) -> WeightProgress {
        for source in operand.sources {
            guard let (file, entry) = checkpoint.tensor(source.tensor) else { continue }
            file.mapping.adviseDone(entry.range)
            readBytes += entry.range.count
        }
        doneBytes += Self.bytes(operand)
        return WeightProgress(stage: stage, doneBytes: doneBytes, totalBytes: totalBytes, readBytes: readBytes)
    }
}
