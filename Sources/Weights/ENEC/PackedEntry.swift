internal import Kernels
internal import Platform

/// One tensor's entry in the description of a packed file, beside what the file's own directory says of it.
struct PackedEntry {
    private let entry: JSON
    private let file: String
    let stored: SafetensorsHeader.Tensor

    init(_ entry: JSON, file: String, stored: SafetensorsHeader.Tensor) {
        self.entry = entry
        self.file = file
        self.stored = stored
    }

    func text(_ key: String) throws(CheckpointError) -> String {
        guard let value = entry[key]?.string else { throw failure("\(key) is missing; a string was expected") }
        return value
    }

    func digest(_ key: String) throws(CheckpointError) -> Digest {
        guard let digest = Digest(try text(key)) else { throw failure("\(key) is no digest; 32 hexadecimal digits were expected") }
        return digest
    }

    /// The coded tensor that it describes.
    func packed(_ codecs: CodecShelf) throws(CheckpointError) -> PackedTensor {
        let name = try text("codec")
        guard let family = codecs[name] else { throw failure("its codec is \"\(name)\"; one of \(codecs.names) was expected") }
        try checkBlob()
        guard let type = StoredType(name: try text("dtype")).sourceType else {
            throw failure("its dtype is \(try text("dtype")); BF16, F16 or F32 was expected")
        }
        let (shape, elements) = try shape(bytes: type.byteCount)
        let parameters = entry["parameters"]?.object ?? JSONObject()
        guard JSON.object(parameters).text.utf8.count <= TensorCodec.mostParameterBytes,
            let codec = family.described(by: parameters, type: type, shape: shape)
        else {
            throw failure("\(name) has no parameters \(JSON.object(parameters).text) for \(StoredType(type)) of shape \(shape)")
        }
        let packed = PackedTensor(
            file: file, name: stored.name, type: type, shape: shape, codec: codec, digest: try digest("digest"), blob: stored.range,
            blobDigest: try digest("blob_digest"))
        try require("block_elements", codec.blocks.blockElements)
        try require("blocks", codec.blocks.blocks(elements: elements))
        guard packed.blocks <= stored.range.count / 4, BlockTable.blobBytes(blocks: packed.blocks, coded: packed.blocks) <= stored.range.count
        else { throw failure("\(packed.blocks) blocks do not fit its blob of \(stored.range.count) bytes") }
        return packed
    }

    private func checkBlob() throws(CheckpointError) {
        guard stored.type == PackedTensor.storedType, stored.shape.count == 1 else {
            throw failure("\(stored.type) of shape \(stored.shape) was found; U8 of one dimension was expected, since it is coded")
        }
        guard stored.range.lowerBound % BlockTable.alignment == 0, stored.range.count % BlockTable.alignment == 0 else {
            throw failure(
                "its blob of \(stored.range.count) bytes begins at byte \(stored.range.lowerBound) of the file; multiples of "
                    + "\(BlockTable.alignment) were expected. Was the file written again by another program?")
        }
    }

    /// The shape, and how many elements it has: at least one, and not more than the blob can stand for.
    private func shape(bytes: Int) throws(CheckpointError) -> (sizes: [Int], elements: Int) {
        guard let dimensions = entry["shape"]?.array, dimensions.count <= SafetensorsHeader.mostDimensions else {
            throw failure("shape is missing or has more than \(SafetensorsHeader.mostDimensions) dimensions; an array was expected")
        }
        let most = stored.range.count * PackedTensor.mostExpansion / bytes
        var sizes: [Int] = []
        var elements = 1
        for dimension in dimensions {
            guard let size = dimension.integer, size > 0 else { throw failure("a dimension of its shape is not a positive whole number") }
            // Both stay below 2^63: neither was more than the file's bytes before.
            guard size <= most, elements <= most / size else {
                throw failure("its shape has more elements than a blob of \(stored.range.count) bytes can hold")
            }
            elements *= size
            sizes.append(size)
        }
        guard elements <= most else { throw failure("its shape has more elements than a blob of \(stored.range.count) bytes can hold") }
        return (sizes, elements)
    }

    private func require(_ key: String, _ expected: Int) throws(CheckpointError) {
        guard let found = entry[key]?.integer else { throw failure("\(key) is missing; \(expected) was expected") }
        guard found == expected else { throw failure("\(key) is \(found); \(expected) was expected") }
    }

    private func failure(_ reason: String) -> CheckpointError { CheckpointError(file: file, tensor: stored.name, reason: reason) }
}
