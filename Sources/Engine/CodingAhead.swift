internal import KVCodec
internal import Synchronization
internal import Wire

/// The blocks of one offer that are being coded or wait to be sent: some ahead of the one that the link takes next, so that coding goes on beside
/// computing and sending.
///
/// There is one pull at a time, the last that asked; what was coded for an earlier one is dropped. Any thread.
final class CodingAhead: Sendable {
    let profile: KeyValueProfile
    let coding: KeyValueCoding
    /// Called when another block is ready.
    private let wake: @Sendable () -> Void
    private let state = Mutex(State())

    /// Blocks that are coded and not taken, or being coded, at most.
    private static let most = 8

    /// A block with its header.
    struct Frame {
        var bytes: [UInt8]
        var rawBytes: Int
    }

    private struct State {
        /// Names the pull; in the pulls that were given out it stands for their place.
        var session = 0
        /// Where the next block to be coded is looked for.
        var cursor = Pull(transfer: TransferID(high: 0, low: 0), start: 0, blocks: 0)
        /// By number; nil in place of one whose pages were taken back.
        var ready: [Int: Frame?] = [:]
        var underWay = 0
        /// Why there is nothing further to code.
        var tail = PullProgress.wait
    }

    init(_ profile: KeyValueProfile, coding: KeyValueCoding, wake: @escaping @Sendable () -> Void) {
        self.profile = profile
        self.coding = coding
        self.wake = wake
    }

    typealias Code = @Sendable (KeyValueExport.Place, _ number: Int, _ tools: inout CodingTools) -> Frame?

    func next(_ pull: inout Pull, into bytes: inout [UInt8], export: KeyValueExport, code: @escaping Code) -> PullProgress {
        state.withLock { state in
            if pull.stretch == 0 || pull.stretch != state.session {
                guard pull.stretch == 0 else { return .gone }
                state = State(session: state.session + 1, cursor: pull, underWay: 0)
                pull.stretch = state.session
            }
            look(&state, export, code)
            switch state.ready.removeValue(forKey: pull.blocks) {
            case .some(let frame?):
                bytes.append(contentsOf: frame.bytes)
                pull.blocks += 1
                look(&state, export, code)
                return .block(rawBytes: frame.rawBytes, isPrefilling: export.isPrefilling)
            case .some(nil): return .gone
            case nil: return state.underWay > 0 ? .wait : state.tail
            }
        }
    }

    /// Has coded what can be, as far ahead as is allowed.
    private func look(_ state: inout State, _ export: KeyValueExport, _ code: @escaping Code) {
        while state.underWay + state.ready.count < Self.most {
            switch export.find(&state.cursor) {
            case .failure(let reason):
                state.tail = reason.progress
                return
            case .success(let place):
                state.underWay += 1
                let (session, number) = (state.session, state.cursor.blocks)
                KeyValueExport.pass(&state.cursor)
                coding.submit { tools in self.finish(session, number, code(place, number, &tools)) }
            }
        }
    }

    private func finish(_ session: Int, _ number: Int, _ frame: Frame?) {
        let isAwaited = state.withLock { state in
            guard state.session == session else { return false }
            state.underWay -= 1
            state.ready[number] = .some(frame)
            return true
        }
        if isAwaited { wake() }
    }
}
