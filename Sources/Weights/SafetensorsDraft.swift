package import Platform

/// A safetensors file being made: invisible until it is whole. Its tensors stand in the order that they are given in.
package struct SafetensorsDraft: ~Copyable {
    private var draft: FileDraft
    private let ranges: [String: Range<Int>]

    /// A file of zeros that `commit` will place at `path`.
    ///
    /// - Parameter tensors: of types with whole bytes; names differ.
    /// - Throws: `FileError` when the folder refuses the file or the disk has no room for it.
    package init(path: String, tensors: [(name: String, type: StoredType, shape: [Int])], metadata: [String: String]) throws(FileError) {
        var (entries, end) = ([SafetensorsHeader.Tensor](), 0)
        for (name, type, shape) in tensors {
            guard let size = type.bytes else { preconditionFailure("tensor \(name) of \(type)") }
            let count = shape.reduce(size, *)
            entries.append(.init(name: name, type: type, shape: shape, range: end..<end + count))
            end += count
        }
        let text = SafetensorsHeader.text(of: entries, metadata: metadata, dataOffset: 0)
        let offset = (8 + text.count + 63) / 64 * 64
        let placed = entries.map { entry in
            let range = entry.range.lowerBound + offset..<entry.range.upperBound + offset
            return SafetensorsHeader.Tensor(name: entry.name, type: entry.type, shape: entry.shape, range: range)
        }
        ranges = Dictionary(uniqueKeysWithValues: placed.map { ($0.name, $0.range) })
        draft = try FileDraft(path: path, bytes: offset + end)
        draft.replace(at: 0, with: SafetensorsHeader.front(of: placed, metadata: metadata, dataOffset: offset).rawSpan)
    }

    /// Lets `body` write the bytes of a tensor that was announced.
    package mutating func change<Result, Failure: Error>(
        _ name: String, _ body: (inout MutableRawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        guard let range = ranges[name] else { preconditionFailure("no tensor \(name) was announced") }
        return try draft.change(range, body)
    }

    /// Writes everything to the disk and gives the file its name, replacing what had it.
    package consuming func commit() throws(FileError) { try draft.commit() }
}
