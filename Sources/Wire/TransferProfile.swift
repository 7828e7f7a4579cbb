/// How a sequence's KV is coded on its way between two workers, as the gateway decided: a profile of KVCodec by name.
package struct TransferProfile: Sendable, Hashable {
    /// Canonical, as KVCodec prints it.
    package var name: String
    /// Every bit arrives as it was. What is not exact is shared only with those who have it the same way.
    package var isExact: Bool

    package init(name: String, isExact: Bool) {
        self.name = name
        self.isExact = isExact
    }

    /// As the pages hold it.
    package static let raw = TransferProfile(name: "raw", isExact: true)

    /// UTF-8 bytes of a name at most.
    package static let longestName = 128
}
