internal import Kernels
internal import Platform

/// Codes tensors into a file, a few blocks of each at a time.
struct TensorPacker: ~Copyable {
    private let codecs: CodecShelf
    private let team: ThreadTeam
    /// Coded blocks.
    private var coded: Slab?

    /// Bytes of a tensor that are coded at a time, where its blocks are not greater.
    private static let waveBytes = 16 << 20

    init(_ codecs: CodecShelf, on team: ThreadTeam) {
        self.codecs = codecs
        self.team = team
    }

    /// Appends `tensor`, of which `elements` are the bytes, to `output`, coded as the first of `rounds` in which something shrinks it asks
    /// for; nil, and nothing appended, where none does.
    ///
    /// - Throws: `FileError` when it cannot be written.
    mutating func pack(
        _ tensor: StoredTensor, _ elements: RawSpan, rounds: [[String]], to output: inout FileAppender
    ) throws(FileError) -> PackedTensor? {
        guard let type = tensor.type.sourceType else { return nil }
        for round in rounds {
            let fitted = round.compactMap { codecs[$0]?.fitted(to: elements, type: type, shape: tensor.shape, on: team) }
                // The table has 32 bits for a length.
                .filter { $0.blocks.bound(elements: $0.blocks.blockElements) <= Int(UInt32.max) }
            guard let codec = try smallest(fitted, elements) else { continue }
            if let packed = try append(tensor, elements, type, codec, to: &output) { return packed }
        }
        return nil
    }

    /// The codec whose blob is the smallest; without a look at the elements where there is no choice.
    private mutating func smallest(_ codecs: [TensorCodec], _ elements: RawSpan) throws(FileError) -> TensorCodec? {
        guard codecs.count > 1 else { return codecs.first }
        var best: (codec: TensorCodec, bytes: Int)? = nil
        for codec in codecs {
            var (blocks, bytes) = (0, 0)
            try Self.forEachWave(elements, codec.blocks, team, &coded) { (_, lengths, _) throws(FileError) in
                blocks += lengths.count
                bytes += lengths.reduce(0, +)
                return true
            }
            let size = BlockTable.blobBytes(blocks: blocks, coded: bytes)
            if size < best?.bytes ?? .max { best = (codec, size) }
        }
        return best?.codec
    }

    /// Nil where the blob would not be smaller than the elements.
    private mutating func append(
        _ tensor: StoredTensor, _ elements: RawSpan, _ type: SourceType, _ codec: TensorCodec, to output: inout FileAppender
    ) throws(FileError) -> PackedTensor? {
        let start = output.count
        let blockBytes = codec.blocks.blockElements * type.byteCount
        let blocks = codec.blocks.blocks(elements: elements.byteCount / type.byteCount)
        let head = BlockTable.headBytes(blocks: blocks)
        try output.appendZeros(head)
        var lengths: [Int] = []
        lengths.reserveCapacity(blocks)
        var before = DigestStream()
        var after = DigestStream()
        var again = try Slab(bytes: min(elements.byteCount, Self.waveBlocks(codec.blocks, team) * blockBytes), purpose: "decoded blocks")
        let isWhole = try Self.forEachWave(elements, codec.blocks, team, &coded) { (wave, waveLengths, coded) throws(FileError) in
            before.append(wave)
            var decoded = again.first(wave.byteCount)
            Self.decode(coded, waveLengths, codec.blocks, team, into: &decoded)
            after.append(decoded.bytes)
            lengths += waveLengths
            try output.append(coded.extracting(0..<waveLengths.reduce(0, +)))
            return output.count - start < elements.byteCount
        }
        let size = BlockTable.blobBytes(blocks: blocks, coded: output.count - start - head)
        guard isWhole, size < elements.byteCount else {
            try output.rewind(to: start)
            return nil
        }
        let digest = before.digest
        precondition(after.digest == digest, "\(codec.family) does not give back \(tensor.name) of \(tensor.type), shape \(tensor.shape)")
        try output.appendZeros(start + size - output.count)
        try output.replace(at: start, with: BlockTable.encoded(lengths).rawSpan)
        return PackedTensor(
            file: output.path, name: tensor.name, type: type, shape: tensor.shape, codec: codec, digest: digest, blob: start..<output.count,
            blobDigest: try output.digest(of: start..<output.count))
    }

    /// Codes the blocks of `elements`, some at a time, and calls `body` with the elements of each wave, its blocks' lengths, and memory that
    /// begins with the blocks. Ends early when `body` says false; returns whether it did not.
    @discardableResult
    private static func forEachWave(
        _ elements: RawSpan, _ codec: any BlockCodec, _ team: ThreadTeam, _ coded: inout Slab?,
        _ body: (RawSpan, [Int], RawSpan) throws(FileError) -> Bool
    ) throws(FileError) -> Bool {
        let blockBytes = codec.blockElements * codec.type.byteCount
        let blocks = codec.blocks(elements: elements.byteCount / codec.type.byteCount)
        let most = min(blocks, waveBlocks(codec, team))
        if coded?.count ?? 0 < most * codec.slotBytes {
            coded = nil
            coded = try Slab(bytes: most * codec.slotBytes, purpose: "coded blocks")
        }
        for first in stride(from: 0, to: blocks, by: most) {
            let wave = elements.extracting(first * blockBytes..<min(elements.byteCount, (first + most) * blockBytes))
            var room = coded!.bytes
            let lengths = team.encode(wave, with: codec, into: &room)
            guard try body(wave, lengths, room.bytes) else { return false }
        }
        return true
    }

    /// Blocks that are coded at a time, at most: all threads have one.
    private static func waveBlocks(_ codec: any BlockCodec, _ team: ThreadTeam) -> Int {
        max(team.threads, waveBytes / (codec.blockElements * codec.type.byteCount))
    }

    /// Decodes what was just coded: blocks of these lengths at the front of `coded`.
    private static func decode(
        _ coded: RawSpan, _ lengths: [Int], _ codec: any BlockCodec, _ team: ThreadTeam, into elements: inout MutableRawSpan
    ) {
        var offsets = [0]
        for length in lengths { offsets.append(offsets[offsets.count - 1] + length) }
        let failed = team.decode(coded, at: offsets.span, with: codec, into: &elements)
        precondition(failed == nil, "a block of \(codec) that was just coded cannot be decoded")
    }
}
