package import Kernels
package import Platform

/// Writes files of tensors again: coded, or as they were before.
package struct PackedFileWriter: ~Copyable {
    private let policy: PackingPolicy
    private let team: ThreadTeam
    private var packer: TensorPacker

    /// Data of packed files begin at a multiple of it, a page.
    static let dataAlignment = 4096

    package init(_ policy: PackingPolicy, codecs: CodecShelf = .standard, team: ThreadTeam) {
        self.policy = policy
        self.team = team
        packer = TensorPacker(codecs, on: team)
    }

    /// Writes the plain `file` to `path`, its tensors coded as the policy asks for.
    ///
    /// Equal files give equal bytes. What is coded, and plain tensors of a multiple of 64 bytes, keep their order; other plain tensors follow,
    /// those with the greatest elements first, so that there are no holes, as the safetensors format wants it, and all are aligned.
    /// - Parameter progress: told how many more bytes are done.
    /// - Returns: bytes of the tensors as they stand in the new file.
    package mutating func pack(_ file: Checkpoint.File, to path: String, progress: (Int) -> Void) throws(FileError) -> Int {
        precondition(!file.isPacked, "\(file.name) is packed already")
        let dataOffset = reserve(for: file)
        var output = try FileAppender(path: path)
        try output.appendZeros(dataOffset)
        var written = [StoredTensor?](repeating: nil, count: file.tensors.count)
        var late: [Int] = []
        for (index, tensor) in file.tensors.enumerated() {
            let bytes = file.mapping.bytes.extracting(tensor.range)
            if let packed = try packer.pack(tensor, bytes, rounds: policy.rounds(for: tensor), to: &output) {
                written[index] = StoredTensor(name: tensor.name, type: tensor.type, shape: tensor.shape, form: .packed(packed))
            } else if bytes.byteCount % BlockTable.alignment == 0 {
                written[index] = try Self.copy(tensor, bytes, to: &output)
            } else {
                late.append(index)
                continue
            }
            progress(bytes.byteCount)
        }
        late.sort { (-(file.tensors[$0].type.bytes ?? 0), $0) < (-(file.tensors[$1].type.bytes ?? 0), $1) }
        for index in late {
            let tensor = file.tensors[index]
            written[index] = try Self.copy(tensor, file.mapping.bytes.extracting(tensor.range), to: &output)
            progress(tensor.byteCount)
        }
        let bytes = output.count - dataOffset
        let front = Self.front(written.compactMap { $0 }, metadata: file.header.metadata, dataOffset: dataOffset)
        try output.replace(at: 0, with: front.rawSpan)
        try output.commit()
        return bytes
    }

    private static func copy(_ tensor: StoredTensor, _ bytes: RawSpan, to output: inout FileAppender) throws(FileError) -> StoredTensor {
        let start = output.count
        try output.append(bytes)
        return StoredTensor(
            name: tensor.name, type: tensor.type, shape: tensor.shape, form: .plain(start..<output.count, digest: Digest(of: bytes)))
    }

    /// The header of a packed file: tensors in the order of their bytes, described in the order they had.
    private static func front(_ tensors: [StoredTensor], metadata: [String: String], dataOffset: Int) -> [UInt8] {
        var metadata = metadata
        metadata[PackedDescription.key] = PackedDescription(tensors).text
        let listed = tensors.map(\.listed).sorted { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }
        return SafetensorsHeader.front(of: listed, metadata: metadata, dataOffset: dataOffset)
    }

    /// Where data will begin: behind any header that coding `file` can lead to.
    private func reserve(for file: Checkpoint.File) -> Int {
        let none = Digest(high: 0, low: 0)
        // Nothing gets greater, so that no offset does.
        let end = file.tensors.reduce(0) { $0 + $1.byteCount }
        let plain = file.tensors.map { StoredTensor(name: $0.name, type: $0.type, shape: $0.shape, form: .plain(end..<end, digest: none)) }
        var metadata = file.header.metadata
        metadata[PackedDescription.key] = PackedDescription(plain).text
        let text = SafetensorsHeader.text(of: plain.map(\.listed), metadata: metadata, dataOffset: 0).count
        let shapes = file.tensors.reduce(0) { $0 + "\($1.shape)".utf8.count }
        let coded = file.tensors.reduce(0) { $0 + (policy.rounds(for: $1).isEmpty ? 0 : Self.mostDescriptionBytes) }
        return (8 + text + shapes + coded + Self.dataAlignment - 1) / Self.dataAlignment * Self.dataAlignment
    }

    /// What one coded tensor adds to the header of a plain one, beside its shape, at most. Quotes stand with a backslash: keys, `dtype` and the
    /// blob's digest below 160; two numbers of 20 digits, and the blob's length in the file's own directory; a codec's name; its parameters.
    private static let mostDescriptionBytes = 160 + 3 * 20 + 16 + 2 * TensorCodec.mostParameterBytes
}
