/// The keys that open the API. With none, it is open to all who can connect.
package struct APIKeys: Sendable {
    private let keys: [[UInt8]]

    /// Longer ones are refused when read and never match when presented.
    package static let longest = 512

    package var isEmpty: Bool { keys.isEmpty }

    package init(_ keys: [String] = []) throws(APIKeyError) {
        for (index, key) in keys.enumerated() {
            guard !key.isEmpty, key.utf8.count <= Self.longest, key.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
                throw APIKeyError(number: index + 1)
            }
        }
        self.keys = keys.map { Array($0.utf8) }
    }

    /// Keys from a text, as a file or an environment variable holds them: one a line, or separated by commas; blank lines and
    /// lines that begin with `#` do not count.
    package static func texts(in text: String) -> [String] {
        var keys: [String] = []
        for line in text.split(whereSeparator: \.isNewline) {
            let line = line.trimmed
            guard !line.isEmpty, !line.hasPrefix("#") else { continue }
            for key in line.split(separator: ",", omittingEmptySubsequences: true) { keys.append(String(key.trimmed)) }
        }
        return keys
    }

    /// Whether `presented` is one of the keys. Takes the same time for every key of the same length: all keys are compared to
    /// their end, so that the time tells nothing of where the first difference is.
    package func contains(_ presented: some Collection<UInt8>) -> Bool {
        let presented = Array(presented.prefix(Self.longest + 1))
        var found: UInt8 = 0
        for key in keys { found |= Self.equal(key, presented) }
        return found == 1
    }

    /// 1 when equal, else 0, without a branch on the contents.
    private static func equal(_ key: [UInt8], _ presented: [UInt8]) -> UInt8 {
        var difference = UInt64(truncatingIfNeeded: key.count ^ presented.count)
        for index in 0..<key.count {
            // Beyond the presented bytes the key meets itself; the lengths differ then, which `difference` knows already.
            difference |= UInt64(key[index] ^ (index < presented.count ? presented[index] : key[index]))
        }
        return UInt8(truncatingIfNeeded: ((difference | (0 &- difference)) >> 63) ^ 1)
    }

    /// The key in a request's fields: `Authorization: Bearer KEY`, or `x-api-key: KEY` as Anthropic's clients send it. Another scheme of
    /// authorization is not for us: a proxy in front may have asked for it.
    package static func presented(authorization: String?, apiKey: String?) -> Substring.UTF8View? {
        if let authorization {
            let parts = authorization.utf8.split(separator: 0x20, maxSplits: 1)
            if parts.count == 2, parts[0].count == 6, String(Substring(parts[0])).lowercased() == "bearer" {
                return parts[1].drop { $0 == 0x20 }
            }
        }
        return apiKey.map { Substring($0).utf8 }
    }
}

/// A key that cannot be one. The key itself is not repeated: this text is logged.
package struct APIKeyError: Error, Equatable, CustomStringConvertible {
    /// Counted from 1.
    package let number: Int

    package var description: String {
        "API key \(number): 1 to \(APIKeys.longest) visible ASCII characters without spaces were expected"
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        var part = self
        while let first = part.first, first.isWhitespace { part.removeFirst() }
        while let last = part.last, last.isWhitespace { part.removeLast() }
        return part
    }
}
