internal import Platform

/// The directory at the front of a safetensors file: 8 bytes of little-endian length, that much JSON, then the data.
///
/// Everything is checked before anything is used: after `init` every range lies inside the file, no two overlap, and
/// each has the size that its shape and type ask for.
package struct SafetensorsHeader: Sendable, Equatable {
    package struct Tensor: Sendable, Equatable {
        package let name: String
        package let type: StoredType
        package let shape: [Int]
        /// Byte offsets from the start of the file.
        package let range: Range<Int>
    }

    /// In the order of their bytes.
    package let tensors: [Tensor]
    /// The file's `__metadata__`, sorted by key.
    package let metadata: [String: String]
    /// Where the data starts.
    package let dataOffset: Int

    /// The format's own bound on the JSON part. Beyond: refused.
    package static let largestHeader = 100_000_000
    /// Dimensions of a tensor. Beyond: refused.
    package static let mostDimensions = 16

    /// Parses the header of a file of `fileBytes` bytes, of which `bytes` holds at least the header.
    /// Never traps, whatever the bytes. `file` is for errors. O(header + tensors · log tensors).
    package init(parsing bytes: RawSpan, fileBytes: Int, file: String) throws(CheckpointError) {
        func failure(_ reason: String) -> CheckpointError { CheckpointError(file: file, reason: reason) }
        var reader = ByteReader(bytes)
        guard fileBytes >= 8, let length = try? reader.read(UInt64.self) else {
            throw failure("\(fileBytes) bytes are too few for a safetensors file; at least 8 were expected")
        }
        guard length <= UInt64(Self.largestHeader) else {
            throw failure(
                "its header claims \(length) bytes; at most \(Self.largestHeader) were expected. Is it a safetensors file?")
        }
        guard Int(length) <= fileBytes - 8, Int(length) <= reader.remaining else {
            throw failure(
                "its header claims \(length) bytes, the file has \(fileBytes): it is truncated, or not a safetensors file")
        }
        dataOffset = 8 + Int(length)
        let text = Span<UInt8>(_bytes: bytes.extracting(8..<dataOffset))
        let root: JSON
        do throws(JSONError) {
            root = try JSON(parsing: text, limits: JSONLimits(depth: 8, values: JSONLimits.file.values))
        } catch {
            throw failure("its header is not valid: \(error)")
        }
        guard let members = root.object?.members else { throw failure("its header is \(root.kind); an object was expected") }

        var metadata: [String: String] = [:]
        var tensors: [Tensor] = []
        tensors.reserveCapacity(members.count)
        let dataBytes = fileBytes - dataOffset
        for (name, value) in members {
            if name == "__metadata__" {
                metadata = try Self.metadata(value, file: file)
            } else {
                tensors.append(try Self.tensor(name, value, dataOffset: dataOffset, dataBytes: dataBytes, file: file))
            }
        }
        tensors.sort { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }
        for (former, latter) in zip(tensors, tensors.dropFirst()) where latter.range.lowerBound < former.range.upperBound {
            throw CheckpointError(file: file, tensor: latter.name, reason: "its bytes overlap those of \(former.name)")
        }
        self.metadata = metadata
        self.tensors = tensors
    }

    private static func metadata(_ value: JSON, file: String) throws(CheckpointError) -> [String: String] {
        guard let members = value.object?.members else {
            throw CheckpointError(file: file, reason: "__metadata__ is \(value.kind); an object was expected")
        }
        var metadata: [String: String] = [:]
        for (key, value) in members {
            guard let text = value.string else {
                throw CheckpointError(file: file, reason: "__metadata__.\(key) is \(value.kind); a string was expected")
            }
            metadata[key] = text
        }
        return metadata
    }

    private static func tensor(
        _ name: String, _ value: JSON, dataOffset: Int, dataBytes: Int, file: String
    ) throws(CheckpointError) -> Tensor {
        func failure(_ reason: String) -> CheckpointError { CheckpointError(file: file, tensor: name, reason: reason) }
        guard let typeName = value["dtype"]?.string else { throw failure("dtype is missing; a string was expected") }
        guard let dimensions = value["shape"]?.array, dimensions.count <= mostDimensions else {
            throw failure("shape is missing or has more than \(mostDimensions) dimensions; an array was expected")
        }
        guard let offsets = value["data_offsets"]?.array, offsets.count == 2,
            let begin = offsets[0].integer, let end = offsets[1].integer
        else { throw failure("data_offsets is missing or not two integers") }
        guard begin >= 0, begin <= end, end <= dataBytes else {
            throw failure("its bytes \(begin)..<\(end) lie outside the file's \(dataBytes) bytes of data: is the file truncated?")
        }
        var shape: [Int] = []
        var elements = 1
        for dimension in dimensions {
            guard let size = dimension.integer, size >= 0 else { throw failure("a dimension is not a whole number") }
            let (product, overflow) = elements.multipliedReportingOverflow(by: size)
            guard !overflow else { throw failure("its shape overflows") }
            elements = product
            shape.append(size)
        }
        let type = StoredType(name: typeName)
        if let size = type.bytes {
            let (expected, overflow) = elements.multipliedReportingOverflow(by: size)
            guard !overflow, expected == end - begin else {
                throw failure("shape \(shape) of \(type) does not fit its \(end - begin) bytes")
            }
        }
        return Tensor(name: name, type: type, shape: shape, range: (dataOffset + begin)..<(dataOffset + end))
    }
}
