/// Facts about KV pages that the cache, the kernels and the wire share.
package enum Page {
    /// Tokens in a page, and keys in a panel of the attention kernels (DESIGN §4).
    package static let tokens = 64

    /// Pages that `tokens` tokens occupy.
    package static func count(forTokens tokens: Int) -> Int { (tokens + Self.tokens - 1) / Self.tokens }
}

/// The place of one page in a worker's KV memory: an index, not a pointer.
package typealias PageIndex = Int32
