package import Kernels
internal import Platform

/// Decodes blocks of any profile. Owned by one thread.
///
/// Believes nothing: a block says what it is, that is compared with what is expected, and every length is checked before anything is
/// written.
package final class KeyValueDecoder {
    package let geometry: KeyValueGeometry
    private let calibration: KeyValueCalibration?
    private let scratch: BlockScratch
    private let signs: HadamardSigns
    /// Of the profile that came last.
    private var current: (bytes: [UInt8], pipeline: BlockPipeline)?

    /// - Throws: when KV is not bf16 here.
    package init(geometry: KeyValueGeometry, calibration: KeyValueCalibration?, on set: InstructionSet) throws(KeyValueProfileError) {
        guard geometry.type == .bf16 else { throw KeyValueProfileError("", "KV is f32 here; bf16 was expected") }
        self.geometry = geometry
        self.calibration = calibration
        scratch = BlockScratch(geometry, on: set)
        signs = HadamardSigns(geometry)
    }

    /// Bytes of a block at most: no coder makes more of one.
    package static func mostBytes(for geometry: KeyValueGeometry) -> Int {
        16 * KeyValueBlock.tokens * geometry.heads * geometry.dimension + 65536
    }

    /// The profile of a block.
    package static func profile(of payload: RawSpan) throws(KeyValueBlockError) -> KeyValueProfile {
        var bytes: [UInt8] = []
        bytes.append(payload.extracting(first: min(payload.byteCount, KeyValueProfile.mostBytes + 2)))
        var header = ByteCursor("header", bytes, 0..<bytes.count)
        return try profile(bytes[BlockHeading.profile(&header)])
    }

    /// Writes the tokens of `block`, which is what `payload` must hold, and no others. `pages` are the block's, the first of which has its
    /// first token. What a block that throws has left in its tokens is of no use.
    package func decode(
        _ payload: RawSpan, as block: KeyValueBlock, pages: [Int32], into memory: KeyValueMemory
    ) throws(KeyValueBlockError) {
        precondition(
            memory.geometry == geometry && block.layer < geometry.layers && pages.count == block.pages, "\(block) in \(pages.count) pages")
        let most = Self.mostBytes(for: geometry)
        guard payload.byteCount <= most else {
            throw KeyValueBlockError("a block of \(payload.byteCount) bytes; at most \(most) were expected")
        }
        let slack = SymbolSlack.bytes
        scratch.input.removeAll(keepingCapacity: true)
        scratch.input.append(contentsOf: repeatElement(0, count: slack))
        scratch.input.append(payload)
        scratch.input.append(contentsOf: repeatElement(0, count: slack))
        var header = ByteCursor("header", scratch.input, slack..<slack + payload.byteCount)
        let pipeline = try self.pipeline(BlockHeading.profile(&header))
        try BlockHeading.check(block, pipeline.profile, geometry, &header)
        if pipeline.profile.transform.isCalibrated { try checkDigest(&header) }
        let plan = try self.plan(block, pipeline.profile, &header)
        let sections = try sections(&header)
        try pipeline.decode(block, plan, sections, pages: pages, into: memory)
    }

    private static func profile(_ bytes: ArraySlice<UInt8>) throws(KeyValueBlockError) -> KeyValueProfile {
        guard let profile = KeyValueProfile(bytes: bytes) else { throw KeyValueBlockError("\(bytes.count) bytes that name no profile") }
        return profile
    }

    private func pipeline(_ place: Range<Int>) throws(KeyValueBlockError) -> BlockPipeline {
        let bytes = scratch.input[place]
        if let current, current.bytes.elementsEqual(bytes) { return current.pipeline }
        let profile = try Self.profile(bytes)
        do throws(KeyValueProfileError) {
            let pipeline = try BlockPipeline(profile, scratch: scratch, signs: signs, calibration: calibration)
            current = (Array(bytes), pipeline)
            return pipeline
        } catch {
            throw KeyValueBlockError(error.description)
        }
    }

    private func checkDigest(_ header: inout ByteCursor) throws(KeyValueBlockError) {
        let place = try header.take(8)
        let found = (0..<8).reduce(UInt64(0)) { $0 | UInt64(header.bytes[place + $1]) << UInt64(8 * $1) }
        let expected = calibration?.digest ?? 0
        guard found == expected else { throw KeyValueBlockError("a block of calibration \(found); \(expected) was expected") }
    }

    private func plan(_ block: KeyValueBlock, _ profile: KeyValueProfile, _ header: inout ByteCursor) throws(KeyValueBlockError)
        -> LayerPlan
    {
        guard !block.coded(profile).isEmpty else {
            return LayerPlan(profile, layer: block.layer, geometry: geometry, isLow: [], calibration: nil)
        }
        return try LayerPlan(profile, layer: block.layer, geometry: geometry, from: &header)
    }

    /// The sections fill the payload.
    private func sections(_ header: inout ByteCursor) throws(KeyValueBlockError) -> BlockPipeline.Sections {
        var sizes = [0, 0, 0, 0]
        for index in 0..<4 { sizes[index] = try header.varint() }
        guard sizes.reduce(0, +) == header.remaining else {
            throw KeyValueBlockError("sections of \(sizes.reduce(0, +)) bytes in \(header.remaining)")
        }
        var place = header.place
        let ranges = sizes.map { size in
            defer { place += size }
            return place..<place + size
        }
        return .init(statistics: ranges[0], tables: ranges[1], symbols: ranges[2], exact: ranges[3])
    }
}
