/// The codec families that files may name.
package struct CodecShelf: Sendable {
    private let families: [any CodecFamily]

    package init(_ families: [any CodecFamily]) { self.families = families }

    /// What Ferry packs and reads.
    package static let standard = CodecShelf([CascadeFamily(), Planes3Family()])

    /// Of tensors that are stored as they are, in a packed file's description and on the command line.
    package static let raw = "raw"

    /// All that may be named, for people.
    package var names: String { (families.map(\.name) + [Self.raw]).joined(separator: ", ") }

    package subscript(name: String) -> (any CodecFamily)? { families.first { $0.name == name } }
}
