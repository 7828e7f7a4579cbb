internal import Kernels
internal import Platform

/// What a packed file says of its tensors: the JSON text under one key of its `__metadata__` (ENECFormat.md).
struct PackedDescription {
    static let key = "ferry.enec"
    static let version = 1

    /// In the order that they had before they were packed.
    let tensors: [StoredTensor]

    init(_ tensors: [StoredTensor]) { self.tensors = tensors }

    /// The description in a file's header; nil where the file is not packed. `file` is for errors.
    ///
    /// Never traps, whatever the text. Afterwards every tensor of the file is described once, every blob is aligned, has room for its table,
    /// and is not too small for what it is said to hold.
    init?(in header: SafetensorsHeader, file: String, codecs: CodecShelf) throws(CheckpointError) {
        guard let text = header.metadata[Self.key] else { return nil }
        func failure(_ reason: String, tensor: String? = nil) -> CheckpointError {
            CheckpointError(file: file, tensor: tensor, reason: reason)
        }
        let root: JSON
        do throws(JSONError) {
            root = try JSON(parsing: text, limits: JSONLimits(depth: 8, values: JSONLimits.file.values))
        } catch {
            throw failure("\(Self.key) is not valid: \(error)")
        }
        guard let version = root["version"]?.integer else { throw failure("\(Self.key).version is missing; \(Self.version) was expected") }
        guard version == Self.version else { throw failure("\(Self.key).version is \(version); \(Self.version) was expected") }
        guard let entries = root["tensors"]?.array else { throw failure("\(Self.key).tensors is missing; an array was expected") }
        guard entries.count == header.tensors.count else {
            throw failure("\(Self.key) describes \(entries.count) tensors, the file holds \(header.tensors.count)")
        }
        var places: [ExactText: Int] = [:]
        for (place, tensor) in header.tensors.enumerated() { places[ExactText(tensor.name)] = place }
        var tensors: [StoredTensor] = []
        tensors.reserveCapacity(entries.count)
        for (index, entry) in entries.enumerated() {
            guard let name = entry["name"]?.string else { throw failure("\(Self.key).tensors[\(index)] has no name") }
            // What was found is taken away, so that a second entry finds nothing.
            guard let place = places.removeValue(forKey: ExactText(name)) else {
                throw failure("it is described twice, or the file does not hold it", tensor: name)
            }
            tensors.append(try Self.tensor(PackedEntry(entry, file: file, stored: header.tensors[place]), codecs))
        }
        self.tensors = tensors
    }

    private static func tensor(_ entry: PackedEntry, _ codecs: CodecShelf) throws(CheckpointError) -> StoredTensor {
        let stored = entry.stored
        guard try entry.text("codec") != CodecShelf.raw else {
            return StoredTensor(
                name: stored.name, type: stored.type, shape: stored.shape, form: .plain(stored.range, digest: try entry.digest("digest")))
        }
        let packed = try entry.packed(codecs)
        return StoredTensor(name: stored.name, type: StoredType(packed.type), shape: packed.shape, form: .packed(packed))
    }

    /// As it stands in the metadata.
    var text: String {
        var writer = JSONWriter(capacity: 256 * tensors.count)
        writer.beginObject()
        writer.field("version", Self.version)
        writer.key("tensors")
        writer.beginArray()
        for tensor in tensors {
            writer.beginObject()
            writer.field("name", tensor.name)
            switch tensor.form {
            case .plain(_, let digest):
                writer.field("codec", CodecShelf.raw)
                if let digest { writer.field("digest", digest.description) }
            case .packed(let packed): Self.write(packed, to: &writer)
            }
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    private static func write(_ packed: PackedTensor, to writer: inout JSONWriter) {
        writer.field("codec", packed.codec.family)
        if !packed.codec.parameters.isEmpty { writer.field("parameters", .object(packed.codec.parameters)) }
        writer.field("dtype", StoredType(packed.type).description)
        writer.key("shape")
        writer.beginArray()
        for size in packed.shape { writer.integer(size) }
        writer.endArray()
        writer.field("block_elements", packed.codec.blocks.blockElements)
        writer.field("blocks", packed.blocks)
        writer.field("digest", packed.digest.description)
        writer.field("blob_digest", packed.blobDigest.description)
    }
}
