/// A token with its log probability under the model's own distribution: before penalties, bias, temperature and filters.
package struct TokenLogprob: Sendable, Equatable {
    package var token: TokenID
    /// Natural logarithm.
    package var logprob: Float

    package init(token: TokenID, logprob: Float) {
        self.token = token
        self.logprob = logprob
    }
}
