package import Kernels
internal import Platform

/// What a model's tensors take, and what they could take.
package enum Inspection {
    /// Bytes of a packed tensor that are decoded at a time, where its blocks are not greater.
    private static let waveBytes = 16 << 20

    /// The figures of all tensors, file by file, in their order. Every byte is read and every digest checked; of packed tensors a few blocks
    /// are decoded at a time.
    ///
    /// - Throws: when a tensor is damaged, or the system refuses the memory.
    package static func figures(
        of checkpoint: Checkpoint, team: ThreadTeam, progress: (WeightProgress) -> Void = { _ in }
    ) throws(CheckpointError) -> [TensorFigures] {
        let total = checkpoint.files.reduce(0) { $0 + $1.tensors.reduce(0) { $0 + $1.byteCount } }
        var figures: [TensorFigures] = []
        var done = 0
        for file in checkpoint.files {
            for tensor in file.tensors {
                figures.append(TensorFigures(tensor, entropyBytes: try entropyBytes(of: tensor, in: file, team)))
                done += tensor.byteCount
                progress(WeightProgress(doneBytes: done, totalBytes: total))
            }
        }
        return figures
    }

    private static func entropyBytes(of tensor: StoredTensor, in file: Checkpoint.File, _ team: ThreadTeam) throws(CheckpointError) -> Double {
        guard let type = tensor.type.sourceType else {
            if case .plain(let range, let digest) = tensor.form {
                try tensor.verify(file.mapping.bytes.extracting(range), digest, file: file.name)
            }
            return Double(tensor.byteCount)
        }
        var histogram = ExponentHistogram(type: type)
        switch tensor.form {
        case .plain(let range, let digest):
            let bytes = file.mapping.bytes.extracting(range)
            try tensor.verify(bytes, digest, file: file.name)
            histogram.add(bytes, on: team.instructionSet)
        case .packed(let packed):
            try forEachWave(of: packed, in: file.mapping.bytes, team) { histogram.add($0, on: team.instructionSet) }
        }
        return histogram.entropyBits * Double(histogram.elements) / 8
    }

    /// Decodes a few blocks after another, calls `body` with their elements, and checks the digest of all.
    private static func forEachWave(
        of packed: PackedTensor, in bytes: RawSpan, _ team: ThreadTeam, _ body: (RawSpan) -> Void
    ) throws(CheckpointError) {
        let table = try BlockTable(of: packed, in: bytes)
        let most = min(table.count, max(team.threads, waveBytes / packed.byteCount(of: 0..<1)))
        var memory: Slab
        do throws(FileError) {
            memory = try Slab(bytes: packed.byteCount(of: 0..<most), purpose: "blocks of \(packed.name)")
        } catch {
            throw CheckpointError(error)
        }
        var stream = DigestStream()
        for first in stride(from: 0, to: table.count, by: most) {
            let blocks = first..<min(table.count, first + most)
            var elements = memory.first(packed.byteCount(of: blocks))
            try packed.decode(blocks, of: table, in: bytes, into: &elements, on: team)
            stream.append(elements.bytes)
            body(elements.bytes)
        }
        try packed.verify(stream.digest)
    }
}
