internal import Inference
internal import Platform

/// Which worker has lately seen which prefix, page by page: a hint for placing, never a promise. Bounded: the prefixes named longest ago
/// are forgotten, half of the bound at a time.
struct PrefixDirectory: Sendable {
    private var fresh: [Key: Void] = [:]
    private var old: [Key: Void] = [:]
    private let limit: Int

    private struct Key: Hashable {
        let name: Digest
        let worker: String
    }

    /// - Parameter limit: pages remembered.
    init(limit: Int = 65_536) { self.limit = limit }

    /// The names of all whole pages of `tokens`, each chained to the one before.
    static func names(of tokens: [Int32], salt: String) -> [Digest] {
        var names: [Digest] = []
        var chain = Digest(of: salt)
        for page in 0..<(tokens.count / Page.tokens) {
            let words = [Int64(bitPattern: chain.high), Int64(bitPattern: chain.low)] + tokens[(page * Page.tokens)..<((page + 1) * Page.tokens)].map(Int64.init)
            chain = Digest(of: words.span)
            names.append(chain)
        }
        return names
    }

    /// `worker` computes or receives the pages of these names.
    mutating func note(_ names: [Digest], on worker: String) {
        for name in names {
            let key = Key(name: name, worker: worker)
            old[key] = nil
            fresh[key] = ()
        }
        guard fresh.count > limit / 2 else { return }
        old = fresh
        fresh = [:]
    }

    /// How many tokens at the beginning of a prompt with these page names `worker` is likely to have.
    func known(_ names: [Digest], on worker: String) -> Int {
        var count = 0
        while count < names.count {
            let key = Key(name: names[count], worker: worker)
            guard fresh[key] != nil || old[key] != nil else { break }
            count += 1
        }
        return count * Page.tokens
    }

    /// The worker's memory is gone.
    mutating func forget(_ worker: String) {
        fresh = fresh.filter { $0.key.worker != worker }
        old = old.filter { $0.key.worker != worker }
    }
}
