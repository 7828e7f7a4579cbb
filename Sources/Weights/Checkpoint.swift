package import Platform

/// A model's stored tensors: one `model.safetensors`, or the shards that `model.safetensors.index.json` names.
/// Plain or packed (ENECFormat.md), file by file. Mapped, never read whole.
package struct Checkpoint: Sendable {
    /// One file of tensors, mapped.
    package struct File: Sendable {
        /// Name inside the directory.
        package let name: String
        package let mapping: MappedFile
        package let header: SafetensorsHeader
        /// Taken before the file was mapped.
        package let stamp: FileStamp
        /// As they are once decoded: of a plain file in the order of their bytes, of a packed one in the order that they had before.
        package let tensors: [StoredTensor]
        package let isPacked: Bool
    }

    package let directory: String
    package let files: [File]
    /// Whether an index names the files.
    package let isSharded: Bool
    private let positions: [String: (file: Int, tensor: Int)]

    /// Shards of a model. Beyond: refused.
    package static let mostShards = 4096
    /// Bytes of an index file. Beyond: refused.
    package static let largestIndex = 64 << 20

    package static let singleName = "model.safetensors"
    package static let indexName = "model.safetensors.index.json"

    /// Opens the tensors of the model in `directory`. Where both forms exist, the single file counts, as it does elsewhere.
    /// `codecs` are those that packed files may name.
    package init(directory: String, codecs: CodecShelf = .standard) throws(CheckpointError) {
        var weightMap: [(tensor: String, file: String)]? = nil
        var names = [Self.singleName]
        if !FileStamp.isReadable(directory + "/" + Self.singleName) {
            guard FileStamp.isReadable(directory + "/" + Self.indexName) else {
                throw CheckpointError(
                    file: directory,
                    reason: "neither \(Self.singleName) nor \(Self.indexName) can be read there; one of them was expected")
            }
            let map = try Self.weightMap(ofIndexAt: directory + "/" + Self.indexName)
            names = Array(Set(map.map(\.file))).sorted()
            weightMap = map
            guard names.count <= Self.mostShards else {
                throw CheckpointError(
                    file: Self.indexName, reason: "\(names.count) shards; at most \(Self.mostShards) were expected")
            }
        }
        try self.init(names, in: directory, isSharded: weightMap != nil, codecs: codecs)
        for (tensor, file) in weightMap ?? [] {
            guard let position = positions[tensor], names[position.file] == file else {
                throw CheckpointError(file: Self.indexName, tensor: tensor, reason: "\(file) does not hold it")
            }
        }
    }

    /// Opens one file of tensors, whatever lies beside it.
    package init(file path: String, codecs: CodecShelf = .standard) throws(CheckpointError) {
        let name = path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
        try self.init([name], in: Folder.parent(of: path), isSharded: false, codecs: codecs)
    }

    private init(_ names: [String], in directory: String, isSharded: Bool, codecs: CodecShelf) throws(CheckpointError) {
        var files: [File] = []
        var positions: [String: (file: Int, tensor: Int)] = [:]
        for name in names {
            let file = try Self.open(name, in: directory, codecs)
            for (position, tensor) in file.tensors.enumerated() {
                if let former = positions.updateValue((files.count, position), forKey: tensor.name) {
                    throw CheckpointError(
                        file: name, tensor: tensor.name, reason: "\(names[former.file]) has a tensor of that name too")
                }
            }
            files.append(file)
        }
        self.directory = directory
        self.files = files
        self.isSharded = isSharded
        self.positions = positions
    }

    /// The file and entry of tensor `name`; nil when the model has none of that name.
    package func tensor(_ name: String) -> (file: File, entry: StoredTensor)? {
        positions[name].map { (files[$0.file], files[$0.file].tensors[$0.tensor]) }
    }

    /// Whether any of its files is packed.
    package var isPacked: Bool { files.contains { $0.isPacked } }

    private static func open(_ name: String, in directory: String, _ codecs: CodecShelf) throws(CheckpointError) -> File {
        let path = directory + "/" + name
        let stamp: FileStamp
        let mapping: MappedFile
        do throws(FileError) {
            stamp = try FileStamp(ofFileAt: path)
            mapping = try MappedFile(path: path)
        } catch {
            throw CheckpointError(error)
        }
        let header = try SafetensorsHeader(parsing: mapping.bytes, fileBytes: mapping.count, file: name)
        let description = try PackedDescription(in: header, file: name, codecs: codecs)
        let plain = { header.tensors.map { StoredTensor(name: $0.name, type: $0.type, shape: $0.shape, form: .plain($0.range, digest: nil)) } }
        return File(
            name: name, mapping: mapping, header: header, stamp: stamp, tensors: description?.tensors ?? plain(), isPacked: description != nil)
    }

    private static func weightMap(ofIndexAt path: String) throws(CheckpointError) -> [(tensor: String, file: String)] {
        let mapping: MappedFile
        do throws(FileError) { mapping = try MappedFile(path: path) } catch { throw CheckpointError(error) }
        return try parseIndex(mapping.bytes)
    }

    /// The `weight_map` of an index file: which shard holds each tensor. Never traps, whatever the bytes.
    package static func parseIndex(_ bytes: RawSpan) throws(CheckpointError) -> [(tensor: String, file: String)] {
        func failure(_ reason: String) -> CheckpointError { CheckpointError(file: indexName, reason: reason) }
        guard bytes.byteCount <= largestIndex else { throw failure("more than \(largestIndex) bytes") }
        let root: JSON
        do throws(JSONError) {
            root = try JSON(parsing: Span<UInt8>(_bytes: bytes), limits: .file)
        } catch {
            throw failure("\(error)")
        }
        guard let map = root["weight_map"]?.object else { throw failure("weight_map is missing; an object was expected") }
        var result: [(tensor: String, file: String)] = []
        result.reserveCapacity(map.count)
        for (tensor, value) in map.members {
            guard let file = value.string else {
                throw failure("weight_map.\(tensor) is \(value.kind); a file name was expected")
            }
            guard isPlainName(file) else {
                throw failure(
                    "weight_map.\(tensor) is \"\(file)\"; the name of a .safetensors file in the same folder was expected")
            }
            result.append((tensor, file))
        }
        return result
    }

    /// Whether `name` can only mean a safetensors file of the folder itself.
    private static func isPlainName(_ name: String) -> Bool {
        name.hasSuffix(".safetensors") && !name.hasPrefix(".") && name.utf8.count <= 255
            && !name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") || $0 < 0x20 }
    }
}
