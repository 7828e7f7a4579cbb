internal import Platform

extension SafetensorsHeader {
    /// The front of a file: length, JSON text, and the spaces that make data begin `dataOffset` bytes into the file.
    ///
    /// The text is as the reference implementation writes it. Ranges of `tensors` count from the start of the file. The text is known to fit.
    static func front(of tensors: [Tensor], metadata: [String: String], dataOffset: Int) -> [UInt8] {
        let text = text(of: tensors, metadata: metadata, dataOffset: dataOffset)
        precondition(text.count <= dataOffset - 8, "a header of \(text.count) bytes before data at \(dataOffset)")
        var writer = ByteWriter(capacity: dataOffset)
        writer.write(UInt64(dataOffset - 8))
        writer.write(text)
        return writer.bytes + [UInt8](repeating: UInt8(ascii: " "), count: dataOffset - writer.bytes.count)
    }

    /// The JSON text alone.
    static func text(of tensors: [Tensor], metadata: [String: String], dataOffset: Int) -> [UInt8] {
        var writer = JSONWriter(capacity: 128 * (tensors.count + 1))
        writer.beginObject()
        if !metadata.isEmpty {
            writer.key("__metadata__")
            writer.beginObject()
            for (key, value) in metadata.sorted(by: { $0.key < $1.key }) { writer.field(key, value) }
            writer.endObject()
        }
        for tensor in tensors {
            writer.key(tensor.name)
            writer.beginObject()
            writer.field("dtype", tensor.type.description)
            writer.key("shape")
            write(tensor.shape, to: &writer)
            writer.key("data_offsets")
            write([tensor.range.lowerBound - dataOffset, tensor.range.upperBound - dataOffset], to: &writer)
            writer.endObject()
        }
        writer.endObject()
        return writer.bytes
    }

    private static func write(_ numbers: [Int], to writer: inout JSONWriter) {
        writer.beginArray()
        for number in numbers { writer.integer(number) }
        writer.endArray()
    }
}
