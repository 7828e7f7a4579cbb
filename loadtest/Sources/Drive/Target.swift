package import Reactor

/// Where requests go: a base URL taken apart. `http://127.0.0.1:8000/v1`, `https://host`, `http+unix:/run/ferry.sock`.
package struct Target: Sendable, Equatable, CustomStringConvertible {
    package var endpoint: Endpoint
    package var isEncrypted: Bool
    /// `host[:port]`, as requests name it.
    package var authority: String
    /// What stands before every path, without a slash at its end.
    package var prefix: String
    package let description: String

    package init(_ text: String) throws(TargetError) {
        description = text
        if text.hasPrefix("unix:") || text.hasPrefix("http+unix:") {
            isEncrypted = false
            authority = "localhost"
            prefix = ""
            let path = text.drop { $0 != ":" }.dropFirst().drop { $0 == "/" }
            endpoint = try Self.endpoint("unix:/" + path, of: text)
            return
        }
        let lowered = text.lowercased()
        let rest: Substring
        if lowered.hasPrefix("http://") {
            isEncrypted = false
            rest = text.dropFirst(7)
        } else if lowered.hasPrefix("https://") {
            isEncrypted = true
            rest = text.dropFirst(8)
        } else {
            throw TargetError(text, "it begins with neither http:// nor https:// nor unix:")
        }
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        authority = String(rest[..<slash])
        guard !authority.isEmpty, !authority.contains("@") else { throw TargetError(text, "the address is missing or has a user name") }
        var path = rest[slash...]
        guard path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "#") }) else {
            throw TargetError(text, "the path has characters that must be escaped")
        }
        while path.hasSuffix("/") { path.removeLast() }
        prefix = String(path)
        let hasPort = authority.drop { $0 != "]" }.contains(":") || (!authority.hasPrefix("[") && authority.contains(":"))
        endpoint = try Self.endpoint(hasPort ? authority : authority + (isEncrypted ? ":443" : ":80"), of: text)
    }

    private static func endpoint(_ part: String, of text: String) throws(TargetError) -> Endpoint {
        do { return try Endpoint(part) } catch { throw TargetError(text, error.problem) }
    }

    package var scheme: String { isEncrypted ? "https" : "http" }

    /// The full path of `path`, which begins with a slash. A base that ends in `/v1` already has the version.
    package func path(_ path: String) -> String {
        let whole = prefix.hasSuffix("/v1") && path.hasPrefix("/v1/") ? prefix + path.dropFirst(3) : prefix + path
        return whole.isEmpty ? "/" : whole
    }

    /// What the server's certificate must be for.
    var serverName: String? { if case .tcp(let host, _) = endpoint { host } else { nil } }
}

/// What is wrong with a URL.
package struct TargetError: Error, Equatable, CustomStringConvertible {
    package let text: String
    package let problem: String

    init(_ text: String, _ problem: String) {
        self.text = text
        self.problem = problem
    }

    package var description: String { "\"\(text)\" is no address of a server: \(problem); expected for example http://127.0.0.1:8000" }
}
