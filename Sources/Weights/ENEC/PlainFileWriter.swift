package import Kernels
internal import Platform

/// Writes packed files as they were before.
package enum PlainFileWriter {
    /// Writes `file` to `path` as a plain safetensors file: every tensor decoded and checked, in the order that they had.
    ///
    /// - Parameter progress: told how many more bytes are done.
    /// - Returns: bytes of the tensors.
    /// - Throws: when the file is damaged, `CheckpointError`; when the new one cannot be written, `FileError`.
    package static func unpack(_ file: Checkpoint.File, to path: String, team: ThreadTeam, progress: (Int) -> Void) throws -> Int {
        var metadata = file.header.metadata
        metadata[PackedDescription.key] = nil
        let bytes = file.tensors.reduce(0) { $0 + $1.byteCount }
        // As the reference implementation pads it.
        let placed = { (start: Int) in place(file.tensors, from: start) }
        let text = SafetensorsHeader.text(of: placed(0), metadata: metadata, dataOffset: 0).count
        let dataOffset = 8 + (text + 7) / 8 * 8
        let tensors = placed(dataOffset)
        var draft = try FileDraft(path: path, bytes: dataOffset + bytes)
        draft.replace(at: 0, with: SafetensorsHeader.front(of: tensors, metadata: metadata, dataOffset: dataOffset).rawSpan)
        for (stored, plain) in zip(file.tensors, tensors) {
            switch stored.form {
            case .plain(let range, let digest):
                let source = file.mapping.bytes.extracting(range)
                try stored.verify(source, digest, file: file.name)
                draft.replace(at: plain.range.lowerBound, with: source)
            case .packed(let packed):
                try draft.change(plain.range) { (elements) throws(CheckpointError) in
                    try packed.decode(in: file.mapping.bytes, into: &elements, on: team)
                }
            }
            progress(plain.range.count)
        }
        try draft.commit()
        return bytes
    }

    /// One behind another.
    private static func place(_ tensors: [StoredTensor], from start: Int) -> [SafetensorsHeader.Tensor] {
        var end = start
        return tensors.map { tensor in
            defer { end += tensor.byteCount }
            return SafetensorsHeader.Tensor(name: tensor.name, type: tensor.type, shape: tensor.shape, range: end..<end + tensor.byteCount)
        }
    }
}
