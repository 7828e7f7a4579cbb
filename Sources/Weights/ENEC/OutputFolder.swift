internal import Platform

/// A folder that a conversion fills. It holds a record of the names that were made there, so that what is somebody else's is told from what may
/// be replaced.
package struct OutputFolder: Sendable {
    package let path: String

    /// The record's name: a hidden file, one JSON object.
    package static let recordName = ".ferry-output"
    /// Bytes of a record. Beyond, it is none.
    static let largestRecord = 1 << 20

    /// Looks at the folder, which need not exist yet, and changes nothing.
    ///
    /// - Parameters:
    ///   - source: where the conversion reads: never a place to write to.
    ///   - force: whether the folder may hold other files, which then stay, unless they have the names of new ones.
    /// - Throws: when the folder is not one to write to.
    package init(path: String, source: String, force: Bool) throws(CheckpointError) {
        let (target, origin) = (Folder.canonical(path), Folder.canonical(source))
        guard target != origin, !target.hasPrefix(origin == "/" ? "/" : origin + "/") else {
            throw CheckpointError(file: path, reason: "it lies in the source \(source); another folder was expected")
        }
        if Folder.exists(path) {
            let strangers = Set(Folder.names(in: path)).subtracting(Self.recorded(in: path) ?? []).subtracting([Self.recordName])
            guard force || strangers.isEmpty else {
                throw CheckpointError(
                    file: path,
                    reason: "it holds \(strangers.sorted()[0]), which was not made here; an empty folder was expected, or --force")
            }
        } else if FileStamp.isReadable(path) {
            throw CheckpointError(file: path, reason: "it is a file; a folder was expected")
        }
        self.path = path
    }

    /// Makes the folder, takes away what an earlier conversion made and this one will not, and records the names of what it will.
    ///
    /// - Throws: `FileError`, or `CheckpointError` where a file that stays would hide the new ones.
    func begin(_ names: [String]) throws {
        try Folder.create(path, readableByAll: true)
        for name in Self.recorded(in: path) ?? [] where !names.contains(name) { try Folder.removeFile(path + "/" + name) }
        guard names.contains(Checkpoint.singleName) || !FileStamp.isReadable(path + "/" + Checkpoint.singleName) else {
            throw CheckpointError(
                file: path, reason: "it holds \(Checkpoint.singleName), which would be read instead of the shards; remove it")
        }
        let record: JSON = ["files": .array(names.map { .string($0) })]
        try write(Array((record.text + "\n").utf8), to: Self.recordName)
    }

    func path(of name: String) -> String { path + "/" + name }

    func write(_ bytes: [UInt8], to name: String) throws(FileError) {
        FileDraft.removeAbandoned(beside: path(of: name))
        var file = try FileAppender(path: path(of: name))
        try file.append(bytes.rawSpan)
        try file.commit()
    }

    /// Copies the file at `source` byte for byte.
    func copy(_ source: String, to name: String) throws(FileError) {
        let mapping = try MappedFile(path: source)
        var file = try FileAppender(path: path(of: name))
        try file.append(mapping.bytes)
        try file.commit()
    }

    /// The names in the record of the folder at `path`; nil where there is no sound one.
    private static func recorded(in path: String) -> Set<String>? {
        guard let mapping = try? MappedFile(path: path + "/" + recordName), mapping.count <= largestRecord,
            let root = try? JSON(parsing: mapping.copiedBytes()), let files = root["files"]?.array
        else { return nil }
        let names = files.compactMap(\.string)
        guard names.count == files.count, names.allSatisfy({ !$0.isEmpty && !$0.contains("/") && $0 != "." && $0 != ".." }) else { return nil }
        return Set(names)
    }
}
