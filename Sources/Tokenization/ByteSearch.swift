/// A search for bytes in bytes, O(text + pattern) whatever they are: both may be hostile.
struct ByteSearch {
    let pattern: [UInt8]
    /// fallback[i]: length of the longest proper prefix of pattern[...i] that is also its suffix. Empty for a short pattern, with
    /// which comparing at each place is as good.
    private let fallback: [Int32]

    private static let shortLimit = 8

    /// - Parameter pattern: not empty.
    init(_ pattern: [UInt8]) {
        precondition(!pattern.isEmpty, "an empty text is found everywhere")
        self.pattern = pattern
        guard pattern.count > Self.shortLimit else {
            fallback = []
            return
        }
        var fallback = [Int32](repeating: 0, count: pattern.count)
        var length = 0
        for index in 1..<pattern.count {
            while length > 0, pattern[index] != pattern[length] { length = Int(fallback[length - 1]) }
            if pattern[index] == pattern[length] { length += 1 }
            fallback[index] = Int32(length)
        }
        self.fallback = fallback
    }

    /// Where `pattern` first stands whole in `text[start..<end]`.
    func first(in text: borrowing Span<UInt8>, from start: Int, to end: Int) -> Int? {
        guard end - start >= pattern.count else { return nil }
        return fallback.isEmpty ? firstOfShort(in: text, from: start, to: end) : firstOfLong(in: text, from: start, to: end)
    }

    private func firstOfShort(in text: borrowing Span<UInt8>, from start: Int, to end: Int) -> Int? {
        let first = pattern[0]
        for index in start...(end - pattern.count) where text[index] == first {
            var length = 1
            while length < pattern.count, text[index + length] == pattern[length] { length += 1 }
            if length == pattern.count { return index }
        }
        return nil
    }

    private func firstOfLong(in text: borrowing Span<UInt8>, from start: Int, to end: Int) -> Int? {
        var matched = 0
        for index in start..<end {
            let byte = text[index]
            while matched > 0, byte != pattern[matched] { matched = Int(fallback[matched - 1]) }
            if byte == pattern[matched] { matched += 1 }
            if matched == pattern.count { return index + 1 - matched }
        }
        return nil
    }
}
