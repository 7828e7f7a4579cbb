package import Kernels
internal import Platform

/// Makes a model's directory again in another folder: its tensors packed or unpacked, all other files byte for byte.
package struct ModelConversion: Sendable {
    private let source: Checkpoint
    private let output: OutputFolder

    /// What came of it.
    package struct Outcome: Sendable, Equatable {
        /// Of the tensors, before and after.
        package var bytesBefore = 0
        package var bytesAfter = 0
        /// Sentences about what was left out.
        package var notes: [String] = []
    }

    package init(_ source: Checkpoint, to output: OutputFolder) {
        self.source = source
        self.output = output
    }

    /// Packs every file of tensors as `policy` asks for.
    ///
    /// - Throws: `CheckpointError` where the model cannot be read or is packed already, `FileError` where something cannot be written.
    package func pack(
        _ policy: PackingPolicy, codecs: CodecShelf = .standard, team: ThreadTeam, progress: (WeightProgress) -> Void = { _ in }
    ) throws -> Outcome {
        if let packed = source.files.first(where: \.isPacked) {
            throw CheckpointError(file: source.directory + "/" + packed.name, reason: "it is packed already; a plain file was expected")
        }
        var writer = PackedFileWriter(policy, codecs: codecs, team: team)
        let total = totalBytes
        return try convert { file, path, done in
            var done = done
            return try writer.pack(file, to: path) { more in
                done += more
                progress(WeightProgress(doneBytes: done, totalBytes: total))
            }
        }
    }

    /// Writes every file of tensors as it was before it was packed; plain ones are copied.
    ///
    /// - Throws: `CheckpointError` where the model is damaged or is not packed, `FileError` where something cannot be written.
    package func unpack(team: ThreadTeam, progress: (WeightProgress) -> Void = { _ in }) throws -> Outcome {
        guard source.isPacked else {
            throw CheckpointError(file: source.directory, reason: "none of its files is packed; a directory that ferry pack made was expected")
        }
        let total = totalBytes
        return try convert { file, path, done in
            var done = done
            func advance(_ more: Int) {
                done += more
                progress(WeightProgress(doneBytes: done, totalBytes: total))
            }
            if file.isPacked { return try PlainFileWriter.unpack(file, to: path, team: team, progress: advance) }
            try output.copy(source.directory + "/" + file.name, to: file.name)
            advance(Self.bytes(of: file))
            return file.mapping.count - file.header.dataOffset
        }
    }

    /// Of all tensors once decoded.
    private var totalBytes: Int { source.files.reduce(0) { $0 + Self.bytes(of: $1) } }

    private static func bytes(of file: Checkpoint.File) -> Int { file.tensors.reduce(0) { $0 + $1.byteCount } }

    /// Files that others need come first, those that make a model of the folder last: a folder that was not finished is not taken for one.
    ///
    /// - Parameter rewrite: writes a file of tensors to the path; it is told how many bytes were done before, and says how many it wrote.
    private func convert(_ rewrite: (Checkpoint.File, String, Int) throws -> Int) throws -> Outcome {
        var outcome = Outcome()
        let shards = source.files.map(\.name)
        let special = Set(shards + (source.isSharded ? [Checkpoint.indexName] : []) + [OutputFolder.recordName])
        let others = Folder.names(in: source.directory).filter { !special.contains($0) }.sorted()
        let copied = others.filter { Folder.holdsFile(source.directory + "/" + $0) }
        outcome.notes = others.filter { !copied.contains($0) }.map { "\(source.directory)/\($0) is no file and was left out" }
        try output.begin(copied + shards + (source.isSharded ? [Checkpoint.indexName] : []))
        for name in copied { try output.copy(source.directory + "/" + name, to: name) }

        outcome.bytesBefore = source.files.reduce(0) { $0 + $1.tensors.reduce(0) { $0 + $1.range.count } }
        var done = 0
        for file in source.files {
            FileDraft.removeAbandoned(beside: output.path(of: file.name))
            outcome.bytesAfter += try rewrite(file, output.path(of: file.name), done)
            done += Self.bytes(of: file)
        }
        if source.isSharded {
            let index = try MappedFile(path: source.directory + "/" + Checkpoint.indexName).copiedBytes()
            try output.write(ShardIndex.text(index, totalSize: outcome.bytesAfter), to: Checkpoint.indexName)
        }
        return outcome
    }
}
