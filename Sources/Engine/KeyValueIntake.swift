internal import Inference
internal import KVCodec
internal import Kernels
internal import Platform
internal import Synchronization
internal import Wire

/// One transfer on its receiving side: parses the stream and writes its blocks to the reserved pages.
///
/// Believes nothing: what a header says is compared with what is expected before a byte behind it is written, and a block counts only
/// when its checksum is right. Raw payloads go straight to their pages, coded ones are decoded there by other threads while more arrives;
/// what fails is overwritten by the next attempt, or never read.
final class KeyValueIntake: Sendable {
    /// What is expected, and where it goes.
    struct Expectation: Sendable {
        var pages: [PageIndex]
        /// Tokens, whole pages, that are there already; their pages are others' too.
        var known: Int
        /// All tokens.
        var tokens: Int
        var fingerprint: UInt64
        var vocabulary: Int
    }

    private let expected: Expectation
    private let memory: KeyValueMemory
    private let coding: KeyValueCoding?
    /// Called when what was waited for is decoded.
    private let wake: @Sendable () -> Void
    private let state: Mutex<State>
    /// Held while a block is decoded. True once the pages are others'.
    private let isClosed = Mutex(false)

    /// Blocks that wait for a thread at most; the next one is decoded by who receives it, which takes no more meanwhile.
    private static let mostPending = 8

    private enum Position {
        case header
        case payload(BlockHeader, done: Int)
        case end(BlockHeader)
        /// The end has come, and blocks are still being decoded.
        case settling(TransferEnd)
        /// The stream is not what it should be; a new one must begin.
        case broken(String)
        case complete
        case closed

        var isSettling: Bool { if case .settling = self { true } else { false } }

        /// Nothing will be taken any more.
        var isOver: Bool {
            switch self {
            case .complete, .closed: true
            case .header, .payload, .end, .settling, .broken: false
            }
        }
    }

    private struct State {
        var position = Position.header
        /// Of a header or an end frame that has not come whole.
        var partial: [UInt8] = []
        /// What has come of a coded payload.
        var payload: [UInt8] = []
        var blocks = 0
        /// Where the blocks are.
        var placed: [BlockHeader] = []
        /// Blocks that are being decoded.
        var pending = 0
        /// Of the first block.
        var profile: String?
        /// By layer, then page.
        var isPresent: [Bool]
        var missing: Int
    }

    /// - Parameter coding: without, only raw blocks are taken.
    init(_ expected: Expectation, memory: KeyValueMemory, coding: KeyValueCoding?, wake: @escaping @Sendable () -> Void) {
        precondition(
            expected.known % Page.tokens == 0 && expected.known < expected.tokens && expected.pages.count == Page.count(forTokens: expected.tokens),
            "\(expected.known) of \(expected.tokens) tokens in \(expected.pages.count) pages")
        self.expected = expected
        self.memory = memory
        self.coding = coding
        self.wake = wake
        let (pages, layers) = (expected.pages.count, memory.geometry.layers)
        state = Mutex(
            State(isPresent: Array(repeating: false, count: pages * layers), missing: (pages - expected.known / Page.tokens) * layers))
    }

    /// Returns when no byte is being written, and none follows.
    func close() {
        state.withLock { $0.position = .closed }
        isClosed.withLock { $0 = true }
    }

    func resumption() -> (start: Int, blocks: Int)? {
        state.withLock { state in
            switch state.position {
            case .closed, .complete: return nil
            case .header, .payload, .end, .settling, .broken:
                state.position = .header
                state.partial.removeAll()
                state.payload.removeAll()
                return (expected.known, state.blocks)
            }
        }
    }

    func receive(_ bytes: RawSpan) -> IntakeProgress {
        state.withLock { state in
            var offset = 0
            do throws(BlockFrameError) {
                repeat {
                    switch state.position {
                    case .header:
                        if fill(&state.partial, to: BlockHeader.byteCount, bytes, &offset) { try begin(&state) }
                    case .payload(let header, let done):
                        let taken = min(header.payloadBytes - done, bytes.byteCount - offset)
                        let piece = bytes.extracting(offset..<(offset + taken))
                        if header.profile == .raw { write(piece, of: header, at: done) } else { state.payload.append(piece) }
                        offset += taken
                        state.position = .payload(header, done: done + taken)
                        if done + taken == header.payloadBytes { try finish(header, &state) }
                    case .end(let header):
                        guard fill(&state.partial, to: TransferEnd.byteCount, bytes, &offset) else { break }
                        let end = try self.end(header, state)
                        guard offset == bytes.byteCount else { throw BlockFrameError("\(bytes.byteCount - offset) bytes follow the end") }
                        state.position = .settling(end)
                    case .settling(let end):
                        guard offset == bytes.byteCount else { throw BlockFrameError("\(bytes.byteCount - offset) bytes follow the end") }
                        guard state.pending == 0 else { return .settling }
                        state.position = .complete
                        return .complete(end, profile: state.profile ?? KeyValuePreset.raw)
                    case .broken(let reason): return .corrupt(reason)
                    case .complete, .closed: return .gone
                    }
                } while offset < bytes.byteCount || state.position.isSettling
            } catch {
                state.position = .broken(error.description)
                return .corrupt(error.description)
            }
            return .more(blocks: state.blocks)
        }
    }

    /// Takes bytes until `partial` has `count`; true when it has.
    private func fill(_ partial: inout [UInt8], to count: Int, _ bytes: RawSpan, _ offset: inout Int) -> Bool {
        let taken = min(count - partial.count, bytes.byteCount - offset)
        partial.append(bytes.extracting(offset..<(offset + taken)))
        offset += taken
        return partial.count == count
    }

    // MARK: Headers

    private func begin(_ state: inout State) throws(BlockFrameError) {
        let header = try BlockHeader(state.partial.rawSpan)
        state.partial.removeAll(keepingCapacity: true)
        guard header.fingerprint == expected.fingerprint else {
            throw BlockFrameError("a block of a model with fingerprint \(header.fingerprint), \(expected.fingerprint) was expected")
        }
        guard header.number == state.blocks else { throw BlockFrameError("block \(header.number), \(state.blocks) was expected") }
        switch header.kind {
        case .block:
            try check(header, state)
            // What comes may be cut short, so not before it has been found plausible; never more than a block can be.
            if header.profile != .raw { state.payload.reserveCapacity(header.payloadBytes) }
            state.position = .payload(header, done: 0)
        case .end:
            guard header.payloadBytes == TransferEnd.byteCount else {
                throw BlockFrameError("an end frame of \(header.payloadBytes) bytes, \(TransferEnd.byteCount) were expected")
            }
            state.position = .end(header)
        }
    }

    private func check(_ header: BlockHeader, _ state: State) throws(BlockFrameError) {
        let geometry = memory.geometry
        guard header.layer < geometry.layers else { throw BlockFrameError("a block of layer \(header.layer), \(geometry.layers) layers were expected") }
        let end = header.firstToken + header.tokens
        guard header.tokens > 0, header.tokens <= BlockHeader.tokens, header.firstToken % Page.tokens == 0, header.firstToken >= expected.known,
            end <= expected.tokens, end % Page.tokens == 0 || end == expected.tokens
        else {
            throw BlockFrameError(
                "a block of \(header.tokens) tokens from \(header.firstToken) on, whole pages of \(expected.known)..<\(expected.tokens) were expected")
        }
        let bytes = Page.count(forTokens: header.tokens) * geometry.layerBytes
        let room = header.profile == .raw ? bytes...bytes : 1...KeyValueDecoder.mostBytes(for: geometry)
        guard room.contains(header.payloadBytes), header.rawBytes == bytes else {
            throw BlockFrameError("a block of \(header.payloadBytes) bytes for \(header.rawBytes), \(room) for \(bytes) were expected")
        }
        guard header.profile == .raw || coding != nil else { throw BlockFrameError("a coded block, a raw one was expected") }
        for page in pages(of: header) where state.isPresent[place(header.layer, page)] {
            throw BlockFrameError("layer \(header.layer) of tokens \(page * Page.tokens) and following, which came already")
        }
    }

    // MARK: Payloads

    /// Writes a piece of a block that begins at `start` of its payload.
    private func write(_ bytes: RawSpan, of header: BlockHeader, at start: Int) {
        let layerBytes = memory.geometry.layerBytes
        let first = header.firstToken / Page.tokens
        var done = 0
        while done < bytes.byteCount {
            let (page, offset) = (start + done).quotientAndRemainder(dividingBy: layerBytes)
            let count = min(layerBytes - offset, bytes.byteCount - done)
            memory.write(bytes.extracting(done..<(done + count)), toLayer: header.layer, ofPage: expected.pages[first + page], at: offset)
            done += count
        }
    }

    private func finish(_ header: BlockHeader, _ state: inout State) throws(BlockFrameError) {
        guard checksum(header, state.payload) == header.checksum else {
            throw BlockFrameError("the checksum of block \(header.number), layer \(header.layer) from token \(header.firstToken) on, is wrong")
        }
        for page in pages(of: header) { state.isPresent[place(header.layer, page)] = true }
        state.missing -= Page.count(forTokens: header.tokens)
        state.blocks += 1
        state.placed.append(header)
        state.position = .header
        if header.profile == .coded { try decode(header, &state) }
    }

    private func checksum(_ header: BlockHeader, _ payload: [UInt8]) -> UInt64 {
        guard header.profile == .raw else { return Digest(of: payload.rawSpan).low }
        var digest = DigestStream()
        for page in pages(of: header) { memory.withLayer(header.layer, ofPage: expected.pages[page]) { digest.append($0) } }
        return digest.digest.low
    }

    // MARK: Decoding

    /// Has the payload decoded into the pages, here where too much waits already.
    private func decode(_ header: BlockHeader, _ state: inout State) throws(BlockFrameError) {
        guard let coding else { preconditionFailure("a coded block was taken where none can be decoded") }
        let payload = state.payload
        state.payload = []
        if state.profile == nil { state.profile = (try? KeyValueDecoder.profile(of: payload.rawSpan))?.name }
        guard state.pending < Self.mostPending else {
            guard let reason = coding.perform({ self.place(payload, of: header, coding, &$0) }) else { return }
            forget(from: header.number, &state)
            throw BlockFrameError(reason)
        }
        state.pending += 1
        coding.submit { tools in self.decoded(header, self.place(payload, of: header, coding, &tools)) }
    }

    /// Writes a block to its pages; the reason where it is none.
    private func place(_ payload: [UInt8], of header: BlockHeader, _ coding: KeyValueCoding, _ tools: inout CodingTools) -> String? {
        isClosed.withLock { isClosed in
            guard !isClosed else { return nil }
            let pages = pages(of: header).map { expected.pages[$0] }
            // What the last page has room for beyond the tokens is never written again, and must be finite.
            if header.tokens % Page.tokens != 0 { memory.zero(layer: header.layer, ofPage: pages[pages.count - 1]) }
            let block = KeyValueBlock(layer: header.layer, firstToken: header.firstToken, tokens: header.tokens, promptTokens: expected.tokens)
            do throws(KeyValueBlockError) {
                try tools.decoder(coding).decode(payload.rawSpan, as: block, pages: pages, into: memory)
                return nil
            } catch {
                return "block \(header.number), layer \(header.layer) from token \(header.firstToken) on: \(error)"
            }
        }
    }

    /// Blocks from this one on count as not here.
    private func forget(from number: Int, _ state: inout State) {
        for lost in state.placed[number...] {
            for page in pages(of: lost) { state.isPresent[place(lost.layer, page)] = false }
            state.missing += Page.count(forTokens: lost.tokens)
        }
        state.placed.removeSubrange(number...)
        state.blocks = number
    }

    /// A thread is through with a block. One that was none takes all behind it along: they will come again.
    private func decoded(_ header: BlockHeader, _ failure: String?) {
        let isAwaited = state.withLock { state in
            state.pending -= 1
            if let failure, header.number < state.blocks, !state.position.isOver {
                forget(from: header.number, &state)
                state.position = .broken(failure)
                return true
            }
            return state.pending == 0 && state.position.isSettling
        }
        if isAwaited { wake() }
    }

    private func end(_ header: BlockHeader, _ state: State) throws(BlockFrameError) -> TransferEnd {
        guard Digest(of: state.partial.rawSpan).low == header.checksum else { throw BlockFrameError("the checksum of the end frame is wrong") }
        let end = try TransferEnd(state.partial.rawSpan)
        guard state.missing == 0 else { throw BlockFrameError("the end came when \(state.missing) layers of pages were still expected") }
        guard end.tokens == expected.tokens, end.blocks == state.blocks else {
            throw BlockFrameError("an end after \(end.tokens) tokens in \(end.blocks) blocks, \(expected.tokens) in \(state.blocks) were expected")
        }
        guard end.chosen >= 0, end.chosen < expected.vocabulary else {
            throw BlockFrameError("the chosen token is \(end.chosen), one of \(expected.vocabulary) was expected")
        }
        return end
    }

    private func pages(of header: BlockHeader) -> Range<Int> {
        let first = header.firstToken / Page.tokens
        return first..<(first + Page.count(forTokens: header.tokens))
    }

    private func place(_ layer: Int, _ page: Int) -> Int { layer * expected.pages.count + page }
}
