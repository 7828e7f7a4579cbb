import Kernels

/// The components of a profile, and the order in which they work on a block.
///
/// One thread at a time: everything works in one scratch memory.
final class BlockPipeline {
    let profile: KeyValueProfile
    let scratch: BlockScratch
    private let transform: any BlockTransform
    /// Nil when the profile is lossless; then all elements go to `elements`.
    private let quantiser: (any BlockQuantiser)?
    private let symbols: any SymbolCoder
    private let elements: any ElementCoder
    private let exact = CascadeElements()

    /// - Throws: what the profile lacks here.
    init(
        _ profile: KeyValueProfile, scratch: BlockScratch, signs: HadamardSigns, calibration: KeyValueCalibration?
    ) throws(KeyValueProfileError) {
        let geometry = scratch.geometry
        self.profile = profile
        self.scratch = scratch
        if let calibration,
            calibration.geometry.layers != geometry.layers || calibration.geometry.heads != geometry.heads
                || calibration.geometry.dimension != geometry.dimension
        {
            throw KeyValueProfileError(profile.text, "the calibration is of \(calibration.geometry); \(geometry) was expected")
        }
        switch profile.transform {
        case .none: transform = NoTransform()
        case .hadamard: transform = HadamardTransform(signs: signs)
        case .scaledHadamard: transform = ScaledHadamard(signs: signs)
        case .anchors: transform = AnchorDelta()
        case .principal:
            guard let calibration, calibration.has.contains(.bases) else {
                throw KeyValueProfileError(profile.text, "it needs a calibration with \(CalibrationNeeds.bases)")
            }
            transform = PrincipalTransform(calibration)
        case .joint:
            guard let calibration, calibration.has.contains(.jointBases) else {
                throw KeyValueProfileError(profile.text, "it needs a calibration with \(CalibrationNeeds.jointBases)")
            }
            scratch.widen()
            transform = JointTransform(calibration)
        }
        let isEntropyCoded = profile.coder == .rans || profile.coder == .channelRans
        switch profile.quantiser {
        case .none: quantiser = nil
        case .uniform(let uniform): quantiser = UniformQuantiser(uniform, isEntropyCoded: isEntropyCoded)
        case .fp8: quantiser = NarrowFloatQuantiser()
        case .bounded(let keys, let values): quantiser = BoundedQuantiser(keys: keys, values: values)
        case .codebook(let codebook): quantiser = CodebookQuantiser(codebook, isEntropyCoded: isEntropyCoded)
        case .deadzone(let deadzone): quantiser = DeadzoneQuantiser(deadzone)
        }
        switch profile.coder {
        case .raw: (symbols, elements) = (RawSymbols(), RawElements())
        case .pack: (symbols, elements) = (PackedSymbols(), RawElements())
        case .lz4: (symbols, elements) = (LZ4Symbols(), LZ4Elements(order: .elements))
        case .bitPlanes: (symbols, elements) = (BitPlaneSymbols(), LZ4Elements(order: .bits))
        case .bytePlanes: (symbols, elements) = (LZ4Symbols(), LZ4Elements(order: .bytes))
        case .rans, .channelRans:
            let coder = RansSymbols(perChannel: profile.coder == .channelRans, geometry: geometry)
            (symbols, elements) = (coder, RansElements(coder: coder))
        case .enec: (symbols, elements) = (RawSymbols(), CascadeElements())
        }
    }

    /// The places of exact tokens: those before and those behind the coded ones.
    private func exactTokens(_ block: KeyValueBlock, _ coded: Range<Int>) -> [Range<Int>] {
        [0..<coded.lowerBound, coded.upperBound..<block.tokens].filter { !$0.isEmpty }
    }

    // MARK: Encoding

    /// From pages to the sections of the scratch. `plan` gets the steps that the block comes to.
    func encode(_ block: KeyValueBlock, _ plan: inout LayerPlan, pages: [Int32], of memory: KeyValueMemory) {
        scratch.begin()
        let coded = quantiser == nil ? 0..<0 : block.coded(profile)
        let exactTokens = self.exactTokens(block, coded)
        let count = unpack(block, exactTokens, pages: pages, of: memory)
        guard let quantiser else { return elements.encode(count, scratch) }
        if count > 0 {
            exact.encode(count, scratch)
            SymbolPlanes.copy(scratch.coded, 0..<scratch.codedCount, to: &scratch.exactBytes, at: 0)
            (scratch.exactCount, scratch.codedCount) = (scratch.codedCount, 0)
        }
        guard !coded.isEmpty else { return }
        for side in KeyValueSide.allCases {
            var frame = self.frame(side, block, coded)
            for head in 0..<frame.heads {
                memory.load(place(frame, head, block, coded), pages: pages, into: &scratch.planes, frame.shape(head), on: scratch.set)
            }
            guard transform.layout == .joint else {
                transform.apply(to: &frame, scratch)
                quantise(frame, quantiser, &plan[side])
                continue
            }
            guard side == .values else { continue }
            transform.apply(to: &frame, scratch)
            for each in KeyValueSide.allCases { quantise(self.frame(each, block, coded), quantiser, &plan[each]) }
        }
        precondition(
            scratch.plannedSymbols == scratch.symbolCount, "\(scratch.symbolCount) symbols; \(scratch.plannedSymbols) were planned")
        symbols.encode(scratch)
    }

    private func quantise(_ frame: SideFrame, _ quantiser: any BlockQuantiser, _ plan: inout LayerPlan.Side) {
        if let deadzone = quantiser as? DeadzoneQuantiser, case .deadzone(let settings) = profile.quantiser {
            deadzone.settle(&plan, frame, isRelative: settings.isRelative, scratch)
        }
        guard frame.rows > 0 else { return }
        quantiser.encode(frame, &plan, scratch)
        quantiser.appendRuns(frame, plan, to: &scratch.runs)
    }

    private func unpack(_ block: KeyValueBlock, _ ranges: [Range<Int>], pages: [Int32], of memory: KeyValueMemory) -> Int {
        var count = 0
        for range in ranges {
            forEachHead(block, range) { place in
                memory.unpack(place, pages: pages, into: &scratch.elements, at: count, on: scratch.set)
                count += range.count * scratch.geometry.dimension
            }
        }
        return count
    }

    // MARK: Decoding

    struct Sections {
        var statistics: Range<Int>
        var tables: Range<Int>
        var symbols: Range<Int>
        var exact: Range<Int>
    }

    /// From sections of `scratch.input` to pages. Whatever the bytes are, only the block's tokens are written.
    func decode(
        _ block: KeyValueBlock, _ plan: LayerPlan, _ sections: Sections, pages: [Int32], into memory: KeyValueMemory
    ) throws(KeyValueBlockError) {
        scratch.begin()
        let coded = quantiser == nil ? 0..<0 : block.coded(profile)
        let exactTokens = self.exactTokens(block, coded)
        let count = exactTokens.reduce(0) { $0 + $1.count } * 2 * scratch.geometry.heads * scratch.geometry.dimension
        var statistics = ByteCursor("statistics", scratch.input, sections.statistics)
        var tables = ByteCursor("tables", scratch.input, sections.tables)
        if quantiser == nil {
            try elements.decode(scratch, tables: &tables, sections.symbols, count)
        } else if count > 0 {
            try exact.decode(scratch, tables: &tables, sections.exact, count)
        }
        if quantiser == nil || count == 0, !sections.exact.isEmpty {
            throw KeyValueBlockError("\(sections.exact.count) bytes of exact tokens; none were expected")
        }
        pack(block, exactTokens, pages: pages, into: memory)
        if let quantiser, !coded.isEmpty {
            try decode(block, coded, plan, quantiser, &statistics, &tables, sections.symbols, pages: pages, into: memory)
        } else if quantiser != nil, !sections.symbols.isEmpty {
            throw KeyValueBlockError("\(sections.symbols.count) bytes of symbols; none were expected")
        }
        try statistics.finish()
        try tables.finish()
    }

    private func decode(
        _ block: KeyValueBlock, _ coded: Range<Int>, _ plan: LayerPlan, _ quantiser: any BlockQuantiser, _ statistics: inout ByteCursor,
        _ tables: inout ByteCursor, _ bytes: Range<Int>, pages: [Int32], into memory: KeyValueMemory
    ) throws(KeyValueBlockError) {
        for side in KeyValueSide.allCases {
            var frame = self.frame(side, block, coded)
            frame.rows = transform.rows(of: frame.tokens)
            if frame.rows > 0 { quantiser.appendRuns(frame, plan[side], to: &scratch.runs) }
        }
        try symbols.decode(scratch, tables: &tables, bytes)
        for side in KeyValueSide.allCases {
            var frame = self.frame(side, block, coded)
            frame.rows = transform.rows(of: frame.tokens)
            try transform.read(&frame, scratch, from: &statistics)
            if frame.rows > 0 { try quantiser.decode(frame, plan[side], scratch, from: &statistics) }
            guard transform.layout == .joint else {
                transform.revert(&frame, scratch)
                store(frame, block, coded, pages: pages, into: memory)
                continue
            }
            guard side == .values else { continue }
            transform.revert(&frame, scratch)
            for each in KeyValueSide.allCases { store(self.frame(each, block, coded), block, coded, pages: pages, into: memory) }
        }
    }

    private func store(_ frame: SideFrame, _ block: KeyValueBlock, _ coded: Range<Int>, pages: [Int32], into memory: KeyValueMemory) {
        for head in 0..<frame.heads {
            memory.store(scratch.planes, frame.shape(head), to: place(frame, head, block, coded), pages: pages, on: scratch.set)
        }
    }

    private func pack(_ block: KeyValueBlock, _ ranges: [Range<Int>], pages: [Int32], into memory: KeyValueMemory) {
        var count = 0
        for range in ranges {
            forEachHead(block, range) { place in
                memory.pack(scratch.elements, at: count, to: place, pages: pages, on: scratch.set)
                count += range.count * scratch.geometry.dimension
            }
        }
    }

    // MARK: Places

    private func frame(_ side: KeyValueSide, _ block: KeyValueBlock, _ coded: Range<Int>) -> SideFrame {
        var frame = SideFrame(
            side, of: block.layer, position: block.firstToken + coded.lowerBound, tokens: coded.count, geometry: scratch.geometry)
        frame.layout = transform.layout
        return frame
    }

    private func place(_ frame: SideFrame, _ head: Int, _ block: KeyValueBlock, _ coded: Range<Int>) -> KeyValuePlace {
        let first = block.firstInPage + coded.lowerBound
        return KeyValuePlace(layer: block.layer, side: frame.side, head: head, tokens: first..<first + coded.count)
    }

    private func forEachHead(_ block: KeyValueBlock, _ range: Range<Int>, _ body: (KeyValuePlace) -> Void) {
        let first = block.firstInPage + range.lowerBound
        for side in KeyValueSide.allCases {
            for head in 0..<scratch.geometry.heads {
                body(KeyValuePlace(layer: block.layer, side: side, head: head, tokens: first..<first + range.count))
            }
        }
    }
}
