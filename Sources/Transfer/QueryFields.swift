/// `a=1&b=2`.
struct QueryFields {
    private var fields: [Substring: Substring] = [:]

    init(_ query: String) {
        for part in query.split(separator: "&") {
            guard let equals = part.firstIndex(of: "=") else { continue }
            fields[part[..<equals]] = part[part.index(after: equals)...]
        }
    }

    /// A whole number that is not negative and fits what a block's header has for it.
    func number(_ name: Substring) -> Int? {
        guard let text = fields[name], text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return UInt32(text).map { Int($0) }
    }
}
