package import Platform

/// The digest of a checkpoint's tensors, and the memory of it that spares reading gigabytes at each start: as long as every
/// file has the stamp it had when its digest was taken, the digest is believed.
///
/// A packed file has the digest of the plain one: its tensors' digests stand in it and are checked when they are decoded.
package struct SourceDigest: Sendable, Equatable {
    package let value: Digest
    /// False: believed from the stamps.
    package let wasRead: Bool

    /// The digest of all tensors of `checkpoint`, remembered in `folder`. A memory that cannot be read or written is no error.
    package init(of checkpoint: Checkpoint, rememberedIn folder: CacheFolder?) {
        let memory = folder.map { "\($0.path)/stamps/\(Digest(of: Folder.canonical(checkpoint.directory))).json" }
        let stamps = checkpoint.files.map { Stamped(name: $0.name, stamp: $0.stamp, digest: nil) }
        if let memory, let known = Self.recall(memory), known.map(\.withoutDigest) == stamps {
            value = Self.joined(known)
            wasRead = false
            return
        }
        let read = checkpoint.files.map { Stamped(name: $0.name, stamp: $0.stamp, digest: Self.digest(of: $0)) }
        value = Self.joined(read)
        wasRead = true
        // A file that changed while it was read has no digest worth remembering.
        let isSettled = checkpoint.files.allSatisfy {
            (try? FileStamp(ofFileAt: checkpoint.directory + "/" + $0.name)) == $0.stamp
        }
        if let memory, isSettled { try? Self.remember(read, at: memory) }
    }

    struct Stamped: Equatable {
        var name: String
        var stamp: FileStamp
        var digest: Digest?

        var withoutDigest: Stamped { Stamped(name: name, stamp: stamp, digest: nil) }
    }

    private static func joined(_ files: [Stamped]) -> Digest {
        Digest(of: files.map { "\($0.name) \($0.digest?.description ?? "")\n" }.joined())
    }

    /// Of what the tensors are once decoded, wherever they stand in the file.
    private static func digest(of file: Checkpoint.File) -> Digest {
        let unknown = file.tensors.filter { if case .plain(_, digest: nil) = $0.form { true } else { false } }
        let ahead = ReadAhead(ReadAheadPlan(unknown.map { [.init(file: 0, range: $0.range)] }), of: [file.mapping])
        var step = 0
        func read(_ range: Range<Int>) -> Digest {
            ahead.begin(step)
            step += 1
            return Digest(of: file.mapping.bytes.extracting(range))
        }
        let lines = file.tensors.map { tensor in
            let digest =
                switch tensor.form {
                case .packed(let packed): packed.digest
                case .plain(_, digest: let digest?): digest
                case .plain(let range, digest: nil): read(range)
                }
            return "\(tensor.name) \(tensor.type) \(tensor.shape) \(digest)\n"
        }
        return Digest(of: lines.sorted().joined())
    }

    private static let version = 3

    private static func recall(_ path: String) -> [Stamped]? {
        guard FileStamp.isReadable(path), let mapping = try? MappedFile(path: path) else { return nil }
        return parse(mapping.bytes)
    }

    /// The remembered files, nil for anything that is not exactly what `remember` writes. Never traps, whatever the bytes.
    package static func canParse(_ bytes: RawSpan) -> Bool { parse(bytes) != nil }

    private static func parse(_ bytes: RawSpan) -> [Stamped]? {
        guard let root = try? JSON(parsing: Span<UInt8>(_bytes: bytes)), root["version"]?.integer == version,
            let files = root["files"]?.array
        else { return nil }
        var stamped: [Stamped] = []
        for file in files {
            guard let name = file["name"]?.string, let size = file["size"]?.integer, let modified = file["mtime_ns"]?.integer,
                let changed = file["ctime_ns"]?.integer, let inode = file["inode"]?.string.flatMap({ UInt64($0) }),
                let device = file["device"]?.string.flatMap({ UInt64($0) }),
                let digest = file["digest"]?.string.flatMap({ Digest($0) })
            else { return nil }
            let stamp = FileStamp(
                size: Int64(size), modifiedNanoseconds: Int64(modified), changedNanoseconds: Int64(changed), inode: inode,
                device: device)
            stamped.append(Stamped(name: name, stamp: stamp, digest: digest))
        }
        return root["check"]?.string == check(stamped) ? stamped : nil
    }

    /// Tells a memory that was damaged from one that was written.
    private static func check(_ files: [Stamped]) -> String { 
        Digest(
            of: files.map {
                "\($0.name) \($0.stamp.size) \($0.stamp.modifiedNanoseconds) \($0.stamp.changedNanoseconds) \($0.stamp.inode) "
                    + "\($0.stamp.device) \($0.digest?.description ?? "")\n"
            }.joined()
        ).description
    }

    private static func remember(_ files: [Stamped], at path: String) throws(FileError) {
        var writer = JSONWriter(capacity: 1024)
        writer.beginObject()
        writer.field("version", version)
        writer.key("files")
        writer.beginArray()
        for file in files {
            writer.beginObject()
            writer.field("name", file.name)
            writer.field("size", file.stamp.size)
            writer.field("mtime_ns", file.stamp.modifiedNanoseconds)
            writer.field("ctime_ns", file.stamp.changedNanoseconds)
            // Beyond 2^63 on some file systems: as text.
            writer.field("inode", String(file.stamp.inode))
            writer.field("device", String(file.stamp.device))
            writer.field("digest", file.digest?.description ?? "")
            writer.endObject()
        }
        writer.endArray()
        writer.field("check", check(files))
        writer.endObject()
        try Folder.create(Folder.parent(of: path))
        var draft = try FileDraft(path: path, bytes: writer.bytes.count)
        draft.replace(at: 0, with: writer.bytes.rawSpan)
        try draft.commit()
    }
}
