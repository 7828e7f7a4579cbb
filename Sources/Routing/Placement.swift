internal import Inference
internal import Platform
internal import Wire

/// Where a sequence is to be computed.
enum Placement: Equatable {
    /// One worker prefills and decodes.
    case whole(on: String)
    /// This worker prefills; who decodes is chosen when it begins.
    case split(prefill: String)
}

/// The rules by which sequences are placed. Predictions are in seconds; a worker that has said nothing yet counts as idle.
package struct PlacementRules: Sendable, Equatable {
    /// Prompts with at most this many tokens that nobody knows yet may be prefilled where they are decoded, when that is predicted to be
    /// no later. Longer ones would hold up the streams that are decoded there.
    package var localTokens = 128
    /// What a hop costs beyond the prefill, before one was measured: two messages and the last blocks.
    package var hopSeconds = 0.002
    /// How much later than at the decoding worker a split prefill may be predicted to end before it is not split after all.
    package var patience = 4.0

    package init() {}

    /// - Parameters:
    ///   - names: of the prompt's pages.
    ///   - tokens: of prompt and what was emitted.
    /// - Returns: nil when no worker can be given anything now.
    func place(_ names: [Digest], tokens: Int, mayHop: Bool, fleet: Fleet, directory: PrefixDirectory) -> Placement? {
        func finish(_ member: Fleet.Member) -> Double {
            member.backlog + member.pace.prefillTime(tokens - min(tokens - 1, directory.known(names, on: member.name)))
        }
        guard let decoder = self.decoder(names, tokens: tokens, fleet: fleet, directory: directory),
            let prefiller = fleet.candidates(.prefill).min(by: { (finish($0), $0.name) < (finish($1), $1.name) })
        else { return nil }
        guard mayHop, prefiller.name != decoder.name, prefiller.address != nil,
            self.decoder(names, tokens: tokens, fleet: fleet, directory: directory, after: prefiller) != nil
        else {
            // Whoever prefills soonest among those who decode.
            let both = fleet.candidates(.decode)
            let best = both.min { (finish($0) + load($0), $0.name) < (finish($1) + load($1), $1.name) }
            return best.map { .whole(on: $0.name) }
        }
        let (split, local) = (finish(prefiller) + hopSeconds, finish(decoder))
        let unknown = tokens - directory.known(names, on: decoder.name)
        if unknown <= localTokens, local <= split { return .whole(on: decoder.name) }
        return split > patience * (local + hopSeconds) ? .whole(on: decoder.name) : .split(prefill: prefiller.name)
    }

    /// The worker on which a sequence will be decoded soonest: fewest others, room for its pages, then most of its prefix.
    ///
    /// - Parameter prefiller: where the KV comes from: another worker, to which its bytes mean the same.
    func decoder(
        _ names: [Digest], tokens: Int, fleet: Fleet, directory: PrefixDirectory, after prefiller: Fleet.Member? = nil
    ) -> Fleet.Member? {
        let pages = Page.count(forTokens: tokens + 1)
        func rank(_ member: Fleet.Member) -> (Int, Double, Int, String) {
            let lacksRoom = member.load.pagesAvailable < pages ? 1 : 0
            return (lacksRoom, load(member), -directory.known(names, on: member.name), member.name)
        }
        let fitting = fleet.candidates(.decode).filter { member in
            guard let prefiller else { return true }
            return member.name != prefiller.name && member.registration.keyValueFingerprint == prefiller.registration.keyValueFingerprint
        }
        return fitting.min { rank($0) < rank($1) }
    }

    /// Predicted seconds of a step once it has one more, for comparing: in equal workers the number of sequences.
    private func load(_ member: Fleet.Member) -> Double { (member.pace.decodeStep ?? 0.005) * Double(member.decoders + 1) }
}
