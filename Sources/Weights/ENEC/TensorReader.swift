internal import Kernels
internal import Platform

/// Gives the bytes of stored tensors, one at a time: as they lie in the file, or decoded into memory that is kept for the next.
struct TensorReader: ~Copyable {
    private let team: ThreadTeam
    private var memory: Slab?

    init(on team: ThreadTeam) { self.team = team }

    /// Calls `body` with the bytes of `tensor`, which is one of `file`'s.
    ///
    /// - Throws: when the file is damaged, or the system refuses the memory.
    mutating func read<Result>(
        _ tensor: StoredTensor, of file: Checkpoint.File, _ body: (RawSpan) -> Result
    ) throws(CheckpointError) -> Result {
        switch tensor.form {
        case .plain(let range, let digest):
            let bytes = file.mapping.bytes.extracting(range)
            try tensor.verify(bytes, digest, file: file.name)
            return body(bytes)
        case .packed(let packed):
            try reserve(packed.byteCount, for: packed)
            let team = team
            var elements = memory!.first(packed.byteCount)
            try packed.decode(in: file.mapping.bytes, into: &elements, on: team)
            return body(elements.bytes)
        }
    }

    private mutating func reserve(_ count: Int, for tensor: PackedTensor) throws(CheckpointError) {
        if let size = memory?.count, size >= count { return }
        // The old memory goes first: never two tensors' worth.
        memory = nil
        do throws(FileError) {
            memory = try Slab(bytes: count, purpose: "tensor \(tensor.name)")
        } catch {
            throw CheckpointError(error)
        }
    }
}

extension StoredTensor {
    /// Checks the bytes of a plain tensor, where the file has a digest of them.
    func verify(_ bytes: RawSpan, _ digest: Digest?, file: String) throws(CheckpointError) {
        guard let digest else { return }
        let found = Digest(of: bytes)
        guard found == digest else {
            throw CheckpointError(
                file: file, tensor: name, reason: "the digest of its bytes is \(found), \(digest) was expected: the file is damaged")
        }
    }
}
