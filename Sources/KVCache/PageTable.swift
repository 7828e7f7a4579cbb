package import Inference

/// The pages that one sequence holds, in the order of its tokens. Comes from a `PageCache` and must go back to it.
///
/// Dropping a table that still holds pages would leak them, so it traps.
package struct PageTable: ~Copyable {
    /// Page `i` holds the KV of tokens `64 i ..< 64 (i + 1)`.
    package internal(set) var pages: [PageIndex]
    /// How many of the first pages are known to the prefix index (and therefore never written again).
    package internal(set) var sealed: Int
    /// The chain hash after the sealed pages.
    var chain: PrefixHash

    init(chain: PrefixHash) {
        self.pages = []
        self.sealed = 0
        self.chain = chain
    }

    /// Tokens there is room for.
    package var capacity: Int { pages.count * Page.tokens }

    deinit {
        precondition(pages.isEmpty, "a page table with \(pages.count) pages was dropped instead of being given back")
    }
}
