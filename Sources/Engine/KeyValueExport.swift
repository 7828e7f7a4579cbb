internal import Inference
internal import KVCodec
internal import Kernels
internal import Platform
internal import Synchronization
internal import Wire

/// One offer: the pages of a prefill for another worker, and how far their content is ready.
///
/// What is ready is never written again, so it is read without stopping the engine. The order of the blocks is fixed by the steps in
/// which the prefill was computed: a broken pull finds it again.
final class KeyValueExport: Sendable {
    private let pages: [PageIndex]
    /// Of the whole prefill.
    private let tokens: Int
    private let layers: Int
    /// Nil: raw.
    private let ahead: CodingAhead?
    private let progress: Mutex<Progress>
    /// Held while a block is copied. True once the pages are taken back.
    private let isWithdrawn = Mutex(false)

    /// Pages that became ready together, layer by layer.
    private struct Stretch {
        var pages: Range<Int>
        /// How many layers are ready.
        var layers: Int
    }

    private struct Progress {
        var stretches: [Stretch] = []
        /// Whether layers of the last stretch are being computed.
        var isComputing = false
        var chosen: TokenID?
    }

    /// Where a block is, and how far the prefill is.
    struct Place {
        var layer: Int
        var pages: Range<Int>
        var isPrefilling: Bool
    }

    /// - Parameters:
    ///   - known: tokens, whole pages, whose KV is in the first pages already.
    ///   - ahead: codes the blocks; without it they are raw.
    init(pages: [PageIndex], known: Int, tokens: Int, layers: Int, ahead: CodingAhead?) {
        precondition(known % Page.tokens == 0 && known <= tokens && tokens <= pages.count * Page.tokens, "\(tokens) tokens in \(pages.count) pages")
        self.pages = pages
        self.tokens = tokens
        self.layers = layers
        self.ahead = ahead
        var progress = Progress()
        if known > 0 { progress.stretches.append(Stretch(pages: 0..<known / Page.tokens, layers: layers)) }
        self.progress = Mutex(progress)
    }

    // MARK: The engine's thread

    /// A step begins that computes up to `end`. Pages that it leaves partly filled count with the step that fills them, or the last.
    func advance(to end: Int) {
        progress.withLock {
            let start = $0.stretches.last?.pages.upperBound ?? 0
            let end = end >= tokens ? Page.count(forTokens: tokens) : end / Page.tokens
            $0.isComputing = end > start
            if end > start { $0.stretches.append(Stretch(pages: start..<end, layers: 0)) }
        }
    }

    func layerIsDone(_ layer: Int) {
        progress.withLock {
            if $0.isComputing { $0.stretches[$0.stretches.count - 1].layers = layer + 1 }
        }
    }

    func finish(chosen: TokenID) {
        progress.withLock {
            $0.isComputing = false
            $0.chosen = chosen
        }
    }

    /// Returns when no copy is under way, and none follows.
    func withdraw() { isWithdrawn.withLock { $0 = true } }

    // MARK: The reactor's thread

    func next(_ pull: inout Pull, into bytes: inout [UInt8], memory: KeyValueMemory, fingerprint: UInt64) -> PullProgress {
        guard pull.start >= 0, pull.start % Page.tokens == 0, pull.blocks >= 0 else { return .gone }
        if let ahead {
            return ahead.next(&pull, into: &bytes, export: self) { self.code($0, number: $1, memory, fingerprint, ahead, &$2) }
        }
        switch find(&pull) {
        case .failure(let ready): return ready.progress
        case .success(let place):
            guard copy(place, number: pull.blocks, into: &bytes, memory, fingerprint) else { return .gone }
            Self.pass(&pull)
            return .block(rawBytes: place.pages.count * memory.geometry.layerBytes, isPrefilling: place.isPrefilling)
        }
    }

    var isPrefilling: Bool { progress.withLock { $0.chosen == nil } }

    /// The block that `pull` comes to, if it can be read.
    func find(_ pull: inout Pull) -> Result<Place, Ready> {
        progress.withLock { progress in
            guard pull.stretch != 0 || pull.layer != 0 || pull.group != 0 || pull.blocks == 0 || Self.resume(&pull, progress.stretches, layers)
            else { return .failure(Ready(.gone)) }
            return place(&pull, progress)
        }
    }

    /// The block that was found is through.
    static func pass(_ pull: inout Pull) {
        pull.group += 1
        pull.blocks += 1
    }

    /// Says in place of a block why there is none.
    struct Ready: Error {
        let progress: PullProgress
        init(_ progress: PullProgress) { self.progress = progress }
    }

    /// The first block at or behind the place where `pull` stands.
    private func place(_ pull: inout Pull, _ progress: Progress) -> Result<Place, Ready> {
        while pull.stretch >= 0, pull.stretch < progress.stretches.count {
            let stretch = progress.stretches[pull.stretch]
            let wanted = Self.wanted(stretch.pages, from: pull.start)
            if pull.group >= Self.groups(wanted) {
                pull.group = 0
                pull.layer += 1
            }
            guard pull.layer < layers, !wanted.isEmpty else {
                (pull.stretch, pull.layer, pull.group) = (pull.stretch + 1, 0, 0)
                continue
            }
            guard pull.layer < stretch.layers else { return .failure(Ready(.wait)) }
            let first = wanted.lowerBound + pull.group * Self.groupPages
            return .success(
                Place(layer: pull.layer, pages: first..<min(first + Self.groupPages, wanted.upperBound), isPrefilling: progress.chosen == nil))
        }
        guard let chosen = progress.chosen else { return .failure(Ready(.wait)) }
        return .failure(Ready(.end(tokens: tokens, chosen: chosen)))
    }

    /// Moves a new pull behind the blocks that its maker has; false where there never were so many.
    private static func resume(_ pull: inout Pull, _ stretches: [Stretch], _ layers: Int) -> Bool {
        var left = pull.blocks
        for (index, stretch) in stretches.enumerated() {
            let groups = Self.groups(Self.wanted(stretch.pages, from: pull.start))
            if left < groups * layers {
                (pull.stretch, pull.layer, pull.group) = (index, left / groups, left % groups)
                return true
            }
            left -= groups * layers
        }
        (pull.stretch, pull.layer, pull.group) = (stretches.count, 0, 0)
        return left == 0
    }

    private static let groupPages = BlockHeader.tokens / Page.tokens

    private static func groups(_ pages: Range<Int>) -> Int { (pages.count + groupPages - 1) / groupPages }

    /// The part of a stretch that a pull from `start` on is about.
    private static func wanted(_ pages: Range<Int>, from start: Int) -> Range<Int> {
        min(max(pages.lowerBound, start / Page.tokens), pages.upperBound)..<pages.upperBound
    }

    /// Appends a block; false, with nothing changed, where the pages were taken back.
    private func copy(_ place: Place, number: Int, into bytes: inout [UInt8], _ memory: KeyValueMemory, _ fingerprint: UInt64) -> Bool {
        let start = bytes.count
        let isCopied = isWithdrawn.withLock { isWithdrawn in
            if isWithdrawn { return false }
            let payload = place.pages.count * memory.geometry.layerBytes
            bytes.reserveCapacity(start + BlockHeader.byteCount + payload)
            bytes.append(contentsOf: repeatElement(0, count: BlockHeader.byteCount))
            for page in place.pages { memory.withLayer(place.layer, ofPage: pages[page]) { bytes.append($0) } }
            return true
        }
        guard isCopied else { return false }
        seal(&bytes, from: start, .raw, place, number, memory, fingerprint)
        return true
    }

    /// The whole frame of a block, coded; nil where the pages were taken back. On a codec thread.
    private func code(
        _ place: Place, number: Int, _ memory: KeyValueMemory, _ fingerprint: UInt64, _ ahead: CodingAhead, _ tools: inout CodingTools
    ) -> CodingAhead.Frame? {
        isWithdrawn.withLock { isWithdrawn in
            if isWithdrawn { return nil }
            let raw = place.pages.count * memory.geometry.layerBytes
            var bytes: [UInt8] = []
            bytes.reserveCapacity(BlockHeader.byteCount + raw)
            bytes.append(contentsOf: repeatElement(0, count: BlockHeader.byteCount))
            let block = KeyValueBlock(
                layer: place.layer, firstToken: place.pages.lowerBound * Page.tokens, tokens: tokenCount(of: place.pages), promptTokens: tokens)
            tools.encoder(ahead.profile, ahead.coding).encode(block, pages: place.pages.map { pages[$0] }, of: memory, into: &bytes)
            seal(&bytes, from: 0, .coded, place, number, memory, fingerprint)
            return CodingAhead.Frame(bytes: bytes, rawBytes: raw)
        }
    }

    /// Writes the header of a frame whose payload is there.
    private func seal(
        _ bytes: inout [UInt8], from start: Int, _ profile: BlockHeader.Profile, _ place: Place, _ number: Int, _ memory: KeyValueMemory,
        _ fingerprint: UInt64
    ) {
        let payload = start + BlockHeader.byteCount
        var header: [UInt8] = []
        BlockHeader(
            kind: .block, profile: profile, fingerprint: fingerprint, layer: place.layer, firstToken: place.pages.lowerBound * Page.tokens,
            tokens: tokenCount(of: place.pages), payloadBytes: bytes.count - payload, rawBytes: place.pages.count * memory.geometry.layerBytes,
            number: number, checksum: Digest(of: bytes.rawSpan.extracting(payload..<bytes.count)).low
        ).write(to: &header)
        bytes.replaceSubrange(start..<payload, with: header)
    }

    /// How many tokens count in these pages: all, but for the last page of all.
    private func tokenCount(of pages: Range<Int>) -> Int { min(pages.upperBound * Page.tokens, tokens) - pages.lowerBound * Page.tokens }
}
