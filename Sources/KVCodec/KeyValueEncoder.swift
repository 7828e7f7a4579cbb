package import Kernels

/// Codes the blocks of one worker with one profile. Owned by one thread. Memory for the greatest block is taken once; beside it a block
/// takes a few short lists.
package final class KeyValueEncoder {
    package let profile: KeyValueProfile
    package let geometry: KeyValueGeometry
    private let pipeline: BlockPipeline
    private let profileBytes: [UInt8]
    private let calibration: KeyValueCalibration?
    /// Of each layer, made once.
    private let plans: [LayerPlan]
    /// [layer][head], where the profile splits heads.
    private let isLow: [Bool]
    private var header: [UInt8] = []

    /// - Throws: what the profile lacks here: a calibration or a part of it, KV in bf16.
    package init(
        _ profile: KeyValueProfile, geometry: KeyValueGeometry, calibration: KeyValueCalibration?, on set: InstructionSet
    ) throws(KeyValueProfileError) {
        guard geometry.type == .bf16 else { throw KeyValueProfileError(profile.text, "KV is f32 here; bf16 was expected") }
        try profile.check(calibration)
        self.profile = profile
        self.geometry = geometry
        self.calibration = calibration
        profileBytes = profile.bytes
        pipeline = try BlockPipeline(
            profile, scratch: BlockScratch(geometry, on: set), signs: HadamardSigns(geometry), calibration: calibration)
        let share = profile.quantiser.headShare
        let isLow = share.flatMap { calibration?.isLow(share: $0) } ?? []
        self.isLow = isLow
        plans = (0..<geometry.layers).map { layer in
            LayerPlan(
                profile, layer: layer, geometry: geometry,
                isLow: isLow.isEmpty ? [] : Array(isLow[layer * geometry.heads..<(layer + 1) * geometry.heads]), calibration: calibration)
        }
    }

    /// Appends a block of the tokens in `pages`, the first of which holds the block's first token.
    @discardableResult
    package func encode(_ block: KeyValueBlock, pages: [Int32], of memory: KeyValueMemory, into bytes: inout [UInt8]) -> KeyValueBlockSizes
    {
        precondition(
            memory.geometry == geometry && block.layer < geometry.layers && pages.count == block.pages, "\(block) in \(pages.count) pages")
        var plan = plans[block.layer]
        pipeline.encode(block, &plan, pages: pages, of: memory)
        let scratch = pipeline.scratch
        header.removeAll(keepingCapacity: true)
        BlockHeading.write(block, profile, profileBytes, geometry, to: &header)
        if profile.transform.isCalibrated, let calibration {
            for shift in 0..<8 { header.append(UInt8(truncatingIfNeeded: calibration.digest >> (8 * UInt64(shift)))) }
        }
        if !block.coded(profile).isEmpty {
            plan.write(
                profile, heads: geometry.heads,
                isLow: isLow.isEmpty ? [] : Array(isLow[block.layer * geometry.heads..<(block.layer + 1) * geometry.heads]), to: &header)
        }
        var sizes = KeyValueBlockSizes()
        sizes.statistics = scratch.statistics.count
        sizes.tables = scratch.tables.count
        sizes.symbols = scratch.codedCount
        sizes.exact = scratch.exactCount
        for size in [sizes.statistics, sizes.tables, sizes.symbols, sizes.exact] { header.append(varint: size) }
        sizes.header = header.count
        // Never by a block's bytes only: an array that takes many blocks would be copied for each.
        let needed = bytes.count + sizes.total
        if bytes.capacity < needed { bytes.reserveCapacity(max(needed, 2 * bytes.capacity)) }
        bytes.append(contentsOf: header)
        bytes.append(contentsOf: scratch.statistics)
        bytes.append(contentsOf: scratch.tables)
        bytes.append(contentsOf: scratch.coded[..<scratch.codedCount])
        bytes.append(contentsOf: scratch.exactBytes[..<scratch.exactCount])
        return sizes
    }
}

extension Quantiser {
    /// The share of heads that get low levels.
    var headShare: ProfileNumber? {
        switch self {
        case .uniform(let uniform): uniform.headShare
        case .codebook(let codebook): codebook.headShare
        case .none, .fp8, .bounded, .deadzone: nil
        }
    }
}
