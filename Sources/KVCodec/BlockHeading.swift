import Kernels

/// What stands at the front of a block, behind its version and before its sections; KVFormat.md has the bytes.
enum BlockHeading {
    static let version: UInt8 = 2

    /// Adds version, profile, geometry and place.
    static func write(
        _ block: KeyValueBlock, _ profile: KeyValueProfile, _ profileBytes: [UInt8], _ geometry: KeyValueGeometry, to bytes: inout [UInt8]
    ) {
        bytes.append(version)
        bytes.append(UInt8(profileBytes.count))
        bytes.append(contentsOf: profileBytes)
        let coded = block.coded(profile)
        for value in [
            geometry.layers, geometry.heads, geometry.dimension, block.layer, block.firstToken, block.tokens, coded.lowerBound,
            coded.upperBound,
        ] { bytes.append(varint: value) }
    }

    /// The place of the profile's bytes.
    static func profile(_ header: inout ByteCursor) throws(KeyValueBlockError) -> Range<Int> {
        let version = try header.byte()
        guard version == Self.version else { throw KeyValueBlockError("a block of version \(version); \(Self.version) was expected") }
        let count = Int(try header.byte())
        let place = try header.take(count)
        return place..<place + count
    }

    /// Compares geometry and place with what is expected.
    static func check(
        _ block: KeyValueBlock, _ profile: KeyValueProfile, _ geometry: KeyValueGeometry, _ header: inout ByteCursor
    ) throws(KeyValueBlockError) {
        let coded = block.coded(profile)
        let expected = [
            ("layers", geometry.layers), ("heads", geometry.heads), ("dimensions of a head", geometry.dimension),
            ("as its layer", block.layer),
            ("as its first token", block.firstToken), ("tokens", block.tokens), ("first tokens exact", coded.lowerBound),
            ("as the end of its coded tokens", coded.upperBound),
        ]
        for (name, value) in expected {
            let found = try header.varint()
            guard found == value else { throw KeyValueBlockError("a block with \(found) \(name); \(value) was expected") }
        }
    }
}
