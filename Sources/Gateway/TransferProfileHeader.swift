internal import HTTP
package import Wire

/// How KV may be coded between workers: what is done for requests that say nothing, and what they may ask for.
package struct TransferProfiles: Sendable {
    package var standard: TransferProfile
    /// By every name that clients may use. Bounded by whoever makes it.
    package var allowed: [String: TransferProfile]

    package init(standard: TransferProfile = .raw, allowed: [String: TransferProfile] = [:]) {
        self.standard = standard
        self.allowed = allowed
    }
}

/// The header `x-ferry-kv-profile`: the name of a profile, or `default`.
enum TransferProfileHeader {
    private static let name = "x-ferry-kv-profile"

    static func read(_ head: HTTPHead, _ profiles: TransferProfiles) throws(APIError) -> TransferProfile {
        guard let text = head.headers[name], text != "default" else { return profiles.standard }
        guard let profile = profiles.allowed[text] else {
            let names = profiles.allowed.keys.sorted().joined(separator: ", ")
            throw APIError(
                .invalidValue, "\(name) is \"\(text.prefix(64))\"; default or one that this server allows was expected: \(names.isEmpty ? "none" : names)",
                param: name)
        }
        return profile
    }
}
