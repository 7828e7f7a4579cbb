internal import Platform
internal import Wire

/// Names of transfers one after the other, 16 bytes each: the bodies of lease and release.
enum TransferNames {
    static let byteCount = 16
    /// At most so many in one request; they come a few a second.
    static let limit = 4096

    static func encode(_ transfers: [TransferID]) -> [UInt8] {
        var writer = ByteWriter(capacity: transfers.count * byteCount)
        for transfer in transfers {
            writer.write(transfer.high)
            writer.write(transfer.low)
        }
        return writer.bytes
    }

    /// Nil when the bytes are no whole number of names.
    static func decode(_ bytes: [UInt8]) -> [TransferID]? {
        guard bytes.count % byteCount == 0 else { return nil }
        var transfers: [TransferID] = []
        var reader = ByteReader(bytes.rawSpan)
        while let high = try? reader.read(UInt64.self), let low = try? reader.read(UInt64.self) {
            transfers.append(TransferID(high: high, low: low))
        }
        return transfers
    }
}
