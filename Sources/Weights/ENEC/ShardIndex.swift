internal import Platform

/// The file that says which shard holds a tensor.
enum ShardIndex {
    /// The text of an index with another `metadata.total_size`, where it has one. All else stays as it stands there, byte for byte, where
    /// the number can be told from all other text.
    static func text(_ original: [UInt8], totalSize: Int) -> [UInt8] {
        guard var root = (try? JSON(parsing: original, limits: .file))?.object, var metadata = root["metadata"]?.object,
            metadata["total_size"] != nil
        else { return original }
        metadata["total_size"] = .integer(Int64(totalSize))
        root["metadata"] = .object(metadata)
        let text = String(decoding: original, as: UTF8.self)
        if let number = number(behind: "\"total_size\"", in: text) {
            let changed = Array((text[..<number.lowerBound] + String(totalSize) + text[number.upperBound...]).utf8)
            if (try? JSON(parsing: changed, limits: .file)) == .object(root) { return changed }
        }
        return Array(JSON.object(root).text.utf8)
    }

    /// The digits behind the only occurrence of a key.
    private static func number(behind key: String, in text: String) -> Range<String.Index>? {
        let places = text.ranges(of: key)
        guard places.count == 1 else { return nil }
        let start = text[places[0].upperBound...].firstIndex { !$0.isWhitespace && $0 != ":" } ?? text.endIndex
        let end = text[start...].firstIndex { !($0.isASCII && $0.isNumber) } ?? text.endIndex
        return start < end ? start..<end : nil
    }
}
