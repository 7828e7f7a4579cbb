internal import Inference
internal import Platform

/// The name of a prefix: a hash chained over whole pages of tokens, starting from the model and the tenant's salt.
///
/// Equal names may collide; the index compares the tokens and the parent before it believes one.
package struct PrefixHash: Hashable, Sendable {
    let digest: Digest

    /// The name of the empty prefix for one model and one tenant.
    package init(model: String, salt: String) {
        digest = Digest(of: "\(model.utf8.count):\(model)\(salt)")
    }

    private init(digest: Digest) { self.digest = digest }

    /// The name after one more page of tokens.
    func followed(by tokens: ArraySlice<TokenID>) -> PrefixHash {
        let hash = Digest(of: tokens.span, seed: digest.low)
        return PrefixHash(digest: Digest(high: hash.high ^ digest.high, low: hash.low))
    }
}

