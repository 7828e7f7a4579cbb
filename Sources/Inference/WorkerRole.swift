/// What a worker does, or may be told to do: any of the stages a sequence goes through.
package struct WorkerRole: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let prefill = WorkerRole(rawValue: 1)
    package static let decode = WorkerRole(rawValue: 2)
    /// Reserved for images: no worker has it yet, and no text names it.
    package static let encode = WorkerRole(rawValue: 4)

    /// Every bit that means something.
    package static let known: WorkerRole = [.prefill, .decode, .encode]
}

/// A text that names no roles.
package struct WorkerRoleError: Error, Equatable, CustomStringConvertible {
    /// The part that was not understood.
    package let found: String
    package var description: String { "the role \"\(found)\"; prefill, decode or prefill,decode were expected" }
}

extension WorkerRole: CustomStringConvertible {
    private static let names: [(WorkerRole, String)] = [(.prefill, "prefill"), (.decode, "decode")]

    /// From names with commas between them, in any order, each once, as a user writes them. Spaces around a name do no harm.
    package init(_ text: some StringProtocol) throws(WorkerRoleError) {
        var roles: WorkerRole = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            var name = part.drop { $0 == " " }
            while name.last == " " { name.removeLast() }
            guard let role = Self.names.first(where: { $0.1 == name })?.0, roles.insert(role).inserted else {
                throw WorkerRoleError(found: String(part))
            }
        }
        self = roles
    }

    /// "prefill,decode"; "none" for no role.
    package var description: String {
        var names = Self.names.filter { contains($0.0) }.map(\.1)
        if contains(.encode) { names.append("encode") }
        return names.isEmpty ? "none" : names.joined(separator: ",")
    }
}
