internal import Kernels
internal import Platform

/// Codes tensors into a file, a few blocks of each at a time.
struct TensorPacker: ~Copyable {
    private let codecs: CodecShelf
    private let team: ThreadTeam
    /// Coded blocks, and what they decode to again.
    private var coded: Slab?
    private var decoded: Slab?

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
            try Self.forEachWave(elements, codec.blocks, team, &coded, &decoded) { (_, lengths, _, _) throws(FileError) in
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
        let blocks = codec.blocks.blocks(elements: elements.byteCount / type.byteCount)
        let head = BlockTable.headBytes(blocks: blocks)
        try output.appendZeros(head)
        var lengths: [Int] = []
        lengths.reserveCapacity(blocks)
        var before = DigestStream()
        var after = DigestStream()
        let isWhole = try Self.forEachWave(elements, codec.blocks, team, &coded, &decoded) { (wave, waveLengths, coded, decoded) throws(FileError) in
            before.append(wave)
            after.append(decoded)
            lengths += waveLengths
            try output.append(coded)
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

    /// Codes the blocks of `elements`, as many at a time as fit the wave, decodes them again, and calls `body` with the elements of the
    /// wave, its blocks' lengths, the blocks, and what they decoded to. Ends early when `body` says false; returns whether it did not.
    @discardableResult
    private static func forEachWave(
        _ elements: RawSpan, _ codec: any BlockCodec, _ team: ThreadTeam, _ coded: inout Slab?, _ decoded: inout Slab?,
        _ body: (RawSpan, [Int], RawSpan, RawSpan) throws(FileError) -> Bool
    ) throws(FileError) -> Bool {
        let blockBytes = codec.blockElements * codec.type.byteCount
        let blocks = codec.blocks(elements: elements.byteCount / codec.type.byteCount)
        let most = min(blocks, max(team.threads, waveBytes / blockBytes))
        try reserve(&coded, most * codec.slotBytes)
        try reserve(&decoded, min(elements.byteCount, most * blockBytes))
        for first in stride(from: 0, to: blocks, by: most) {
            let wave = elements.extracting(first * blockBytes..<min(elements.byteCount, (first + most) * blockBytes))
            var room = coded!.bytes
            let lengths = team.encode(wave, with: codec, into: &room)
            var offsets = [0]
            for length in lengths { offsets.append(offsets[offsets.count - 1] + length) }
            var again = decoded!.first(wave.byteCount)
            let failed = team.decode(room.bytes, at: offsets.span, with: codec, into: &again)
            precondition(failed == nil, "block \(first + (failed ?? 0)) cannot be decoded again")
            guard try body(wave, lengths, room.bytes.extracting(0..<offsets[lengths.count]), again.bytes) else { return false }
        }
        return true
    }

    private static func reserve(_ slab: inout Slab?, _ count: Int) throws(FileError) {
        if let size = slab?.count, size >= count { return }
        slab = nil
        slab = try Slab(bytes: count, purpose: "blocks that are coded")
    }
}
