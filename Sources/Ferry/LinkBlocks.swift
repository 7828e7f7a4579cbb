internal import Platform
internal import Wire

/// KV blocks as a link carries them: cut out of a large area and checked at one end, put into place and checked at the other.
struct LinkBlocks {
    /// 128 tokens of one layer, K and V, of a model with 3 KV heads of 64 bf16 values (SmolLM2-135M).
    static let payload = 128 * 3 * 64 * 2 * 2
    static let frame = BlockHeader.byteCount + payload
    /// Larger than the caches, as the pages of a worker are.
    private static let areaBlocks = 2048

    private var area: [UInt8]
    private var next = 0

    init() {
        area = [UInt8](repeating: 0, count: Self.areaBlocks * Self.payload)
        for index in stride(from: 0, to: area.count, by: 61) { area[index] = UInt8(truncatingIfNeeded: index &* 131 >> 7) }
    }

    /// The next block: one copy out of the area, one digest over it, the header before it.
    mutating func take() -> [UInt8] {
        let start = (next % Self.areaBlocks) * Self.payload
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.frame)
        let digest = Digest(of: area.rawSpan.extracting(start..<(start + Self.payload)))
        BlockHeader(
            kind: .block, fingerprint: 1, layer: 0, firstToken: 0, tokens: 128, payloadBytes: Self.payload, rawBytes: Self.payload, number: next,
            checksum: digest.low
        ).write(to: &bytes)
        bytes.append(contentsOf: area[start..<(start + Self.payload)])
        next += 1
        return bytes
    }

    // MARK: The other end

    private var header: [UInt8] = []
    private var filled = 0
    private(set) var taken = 0

    /// Where the payload of the next block belongs.
    private var place: Int { (taken % Self.areaBlocks) * Self.payload }

    /// Takes any piece of the stream: each byte of a payload is copied once, and a block that is whole is checked.
    mutating func put(_ bytes: RawSpan) throws {
        var rest = bytes
        while rest.byteCount > 0 {
            if header.count < BlockHeader.byteCount {
                let part = min(BlockHeader.byteCount - header.count, rest.byteCount)
                unsafe rest.extracting(first: part).withUnsafeBytes { unsafe header.append(contentsOf: $0) }
                rest = rest.extracting(droppingFirst: part)
            } else {
                let part = min(Self.payload - filled, rest.byteCount)
                let target = place + filled
                unsafe area.withUnsafeMutableBytes { area in
                    unsafe rest.extracting(first: part).withUnsafeBytes { unsafe (area.baseAddress! + target).copyMemory(from: $0.baseAddress!, byteCount: part) }
                }
                filled += part
                rest = rest.extracting(droppingFirst: part)
                if filled == Self.payload { try finishBlock() }
            }
        }
    }

    /// For a receiver that reads into the place itself.
    mutating func putBlock(header bytes: [UInt8], read: (UnsafeMutableRawBufferPointer) throws -> Void) throws {
        header = bytes
        let target = place
        try unsafe area.withUnsafeMutableBytes { try unsafe read(UnsafeMutableRawBufferPointer(rebasing: $0[target..<(target + Self.payload)])) }
        try finishBlock()
    }

    private mutating func finishBlock() throws {
        let header = try BlockHeader(header.rawSpan)
        let digest = Digest(of: area.rawSpan.extracting(place..<(place + Self.payload)))
        guard header.number == taken, header.checksum == digest.low else {
            throw CommandFailure("block \(taken) came damaged over the link")
        }
        self.header.removeAll(keepingCapacity: true)
        filled = 0
        taken += 1
    }
}
