/// A string that equals another only scalar by scalar, and hashes by its bytes.
///
/// Swift's own comparison takes canonically equivalent strings for equal, but a vocabulary holds U+03AF and U+1F77 as two keys.
/// Its own hash is the same for all spellings of one text, so keys that a client chose could collide without end.
package struct ExactText: Hashable, Sendable {
    package let text: String

    package init(_ text: String) { self.text = text }

    /// O(bytes), O(1) for texts of different lengths.
    package static func == (a: Self, b: Self) -> Bool {
        a.text.utf8.count == b.text.utf8.count && a.text.utf8.elementsEqual(b.text.utf8)
    }

    package func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { unsafe hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
