package import Inference

/// Who holds which KV page of a worker, and which prefixes can be reused. Counts only; it never touches the memory itself.
///
/// A page is in one of three places: *free* (holds nothing of value), *held* (by one or more page tables) or *kept*
/// (held by nobody, but its prefix is in the index: it is reused on a match and reclaimed, least recently used first,
/// when pages run out). `checkInvariants()` says so in code.
///
/// Owned by one scheduler on one thread. All operations are O(pages touched).
package struct PageCache: ~Copyable {
    package let total: Int
    private let model: String

    private var free: [PageIndex]
    private var entries: [Entry]
    private var index: [PrefixHash: PageIndex] = [:]
    /// Kept pages, least recently used first.
    private var kept: RecencyList

    /// Kept pages given up for new content, so far.
    package private(set) var reclaimed: UInt64 = 0

    /// What is known of one page.
    private struct Entry {
        var holders: Int32 = 0
        /// The prefix this page completes, once it is full and sealed.
        var sealed: Seal?
    }

    private struct Seal {
        var name: PrefixHash
        var parent: PrefixHash
        var tokens: [TokenID]
    }

    /// - Parameters:
    ///   - pages: how many pages there are; when none is free or kept, `extend` answers nil and the scheduler preempts.
    ///   - model: fingerprint of everything that changes KV (weights, dtype, instruction set); part of every prefix name.
    package init(pages: Int, model: String) {
        precondition(pages > 0 && pages <= Int(PageIndex.max), "a cache of \(pages) pages")
        self.total = pages
        self.model = model
        self.free = (0..<PageIndex(pages)).reversed()
        self.entries = Array(repeating: Entry(), count: pages)
        self.kept = RecencyList(capacity: pages)
    }

    /// Pages a sequence could take now.
    package var available: Int { free.count + kept.count }
    package var held: Int { total - available }

    /// A table for a new sequence, with the longest known prefix of `tokens` already in it.
    ///
    /// At least one token is left uncovered, because the last one must be computed to give logits.
    package mutating func open(for tokens: [TokenID], salt: String) -> PageTable {
        var table = PageTable(chain: PrefixHash(model: model, salt: salt))
        let usable = max(0, tokens.count - 1) / Page.tokens
        while table.sealed < usable {
            let slice = tokens[(table.sealed * Page.tokens)..<((table.sealed + 1) * Page.tokens)]
            let name = table.chain.followed(by: slice)
            guard let page = index[name], let seal = entries[Int(page)].sealed, seal.parent == table.chain,
                seal.tokens[...] == slice
            else { break }
            hold(page)
            table.pages.append(page)
            table.sealed += 1
            table.chain = name
        }
        return table
    }

    /// How many tokens of `tokens` `open` would find, without holding anything.
    package func knownPrefix(of tokens: [TokenID], salt: String) -> Int {
        var chain = PrefixHash(model: model, salt: salt)
        var count = 0
        while count < max(0, tokens.count - 1) / Page.tokens {
            let slice = tokens[(count * Page.tokens)..<((count + 1) * Page.tokens)]
            let name = chain.followed(by: slice)
            guard let page = index[name], let seal = entries[Int(page)].sealed, seal.parent == chain, seal.tokens[...] == slice
            else { break }
            chain = name
            count += 1
        }
        return count * Page.tokens
    }

    /// Adds pages until `table` has room for `tokens` tokens, reclaiming kept pages when no free one is left.
    ///
    /// - Returns: the pages that were added, which hold garbage and must be zeroed before use; nil, with nothing changed,
    ///   when there are not enough.
    package mutating func extend(_ table: inout PageTable, toHold tokens: Int) -> ArraySlice<PageIndex>? {
        let missing = Page.count(forTokens: tokens) - table.pages.count
        guard missing > 0 else { return [] }
        guard missing <= available else { return nil }
        let first = table.pages.count
        for _ in 0..<missing {
            let page = takePage()
            entries[Int(page)].holders = 1
            table.pages.append(page)
        }
        return table.pages[first...]
    }

    /// Tells the index that the KV of the first `computed` of `tokens` is in `table`: its full pages become prefixes for others.
    package mutating func seal(_ table: inout PageTable, tokens: (Int) -> TokenID, computed: Int) {
        while (table.sealed + 1) * Page.tokens <= computed {
            let start = table.sealed * Page.tokens
            let slice = (start..<(start + Page.tokens)).map(tokens)
            let name = table.chain.followed(by: slice[...])
            let page = table.pages[table.sealed]
            // A twin computed at the same time keeps the name; ours stays private and is freed at the end.
            if index[name] == nil {
                entries[Int(page)].sealed = Seal(name: name, parent: table.chain, tokens: slice)
                index[name] = page
            }
            table.chain = name
            table.sealed += 1
        }
    }

    /// Takes back every page of a sequence that ended or was preempted. Sealed pages are kept, the first ones longest.
    package mutating func close(_ table: consuming PageTable) {
        for page in table.pages.reversed() { letGo(page) }
        table.pages.removeAll()
    }

    /// Takes back the pages of a sequence whose content is not to be trusted: those that nobody else holds lose their names.
    package mutating func discard(_ table: consuming PageTable) {
        for page in table.pages.reversed() {
            if entries[Int(page)].holders == 1, entries[Int(page)].sealed != nil { unseal(page) }
            letGo(page)
        }
        table.pages.removeAll()
    }

    /// Forgets every kept prefix.
    package mutating func forgetPrefixes() {
        while let page = kept.removeFirst() {
            unseal(page)
            free.append(page)
        }
    }

    private mutating func hold(_ page: PageIndex) {
        if entries[Int(page)].holders == 0 { kept.remove(page) }
        entries[Int(page)].holders += 1
    }

    private mutating func letGo(_ page: PageIndex) {
        let holders = entries[Int(page)].holders - 1
        precondition(holders >= 0, "page \(page) was given back twice")
        entries[Int(page)].holders = holders
        guard holders == 0 else { return }
        if entries[Int(page)].sealed != nil {
            kept.append(page)
        } else {
            free.append(page)
        }
    }

    /// A page for new content. There must be one.
    private mutating func takePage() -> PageIndex {
        if let page = free.popLast() { return page }
        guard let page = kept.removeFirst() else { preconditionFailure("no page although \(available) were counted") }
        unseal(page)
        reclaimed += 1
        return page
    }

    private mutating func unseal(_ page: PageIndex) {
        guard let seal = entries[Int(page)].sealed else { preconditionFailure("page \(page) has no prefix") }
        index[seal.name] = nil
        entries[Int(page)].sealed = nil
    }

    /// Traps unless every page is in exactly one place and the index names only sealed pages. O(pages); for tests and idle time.
    package func checkInvariants() {
        var seen = Array(repeating: 0, count: total)
        for page in free {
            seen[Int(page)] += 1
            precondition(entries[Int(page)].holders == 0 && entries[Int(page)].sealed == nil, "free page \(page) is in use")
        }
        for page in kept.all {
            seen[Int(page)] += 1
            precondition(entries[Int(page)].holders == 0 && entries[Int(page)].sealed != nil, "kept page \(page) is held or unnamed")
        }
        for (page, entry) in entries.enumerated() where entry.holders > 0 { seen[page] += 1 }
        for (page, count) in seen.enumerated() { precondition(count == 1, "page \(page) is in \(count) places") }
        for (name, page) in index { precondition(entries[Int(page)].sealed?.name == name, "the index misnames page \(page)") }
    }
}
