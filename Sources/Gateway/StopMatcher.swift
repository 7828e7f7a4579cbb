/// Looks for stop strings in text that arrives in pieces.
///
/// Only the longest end of the text that may still become a stop string is held back. What matches does not depend on how the
/// text was cut: the string that is complete first wins, the longest among those complete at the same byte. Both text and
/// stop strings are whole code points, so nothing given out ever ends inside one. O(bytes × stop strings) with an early exit.
package struct StopMatcher: Sendable {
    private let stops: [[UInt8]]
    private let names: [String]
    private let includesStop: Bool
    /// Shorter than the longest stop string.
    private var held: [UInt8] = []
    package private(set) var matched: String?

    package init(_ stops: [String], includesStop: Bool = false) {
        // Longest first, so that the first match at a byte is the longest.
        let ordered = stops.filter { !$0.isEmpty }.sorted { $0.utf8.count > $1.utf8.count }
        self.names = ordered
        self.stops = ordered.map { Array($0.utf8) }
        self.includesStop = includesStop
    }

    /// Bytes that wait for more text.
    package var heldBytes: Int { held.count }

    /// Adds `text`.
    ///
    /// - Parameter searches: false while stop strings do not count yet; the text then cannot match later either.
    /// - Returns: what can be given out now. After a match nothing more ever comes.
    package mutating func push(_ text: String, searches: Bool = true) -> String {
        guard matched == nil else { return "" }
        guard !stops.isEmpty, searches else {
            guard !held.isEmpty else { return text }
            return flush() + text
        }
        let start = held.count
        held.append(contentsOf: text.utf8)
        for end in start..<held.count {
            guard let index = match(endingAt: end) else { continue }
            matched = names[index]
            let kept = includesStop ? end + 1 : end + 1 - stops[index].count
            let output = String(decoding: held[..<kept], as: UTF8.self)
            held.removeAll()
            return output
        }
        let keep = longestOpenEnd()
        let output = String(decoding: held[..<(held.count - keep)], as: UTF8.self)
        held.removeFirst(held.count - keep)
        return output
    }

    /// The text is over: gives out what was held back.
    package mutating func flush() -> String {
        defer { held.removeAll() }
        return String(decoding: held, as: UTF8.self)
    }

    /// The stop string whose last byte is `held[end]`, if any.
    private func match(endingAt end: Int) -> Int? {
        for (index, stop) in stops.enumerated() where stop.count <= end + 1 && stop[stop.count - 1] == held[end] {
            let offset = end + 1 - stop.count
            var position = 0
            while position < stop.count, held[offset + position] == stop[position] { position += 1 }
            if position == stop.count { return index }
        }
        return nil
    }

    /// Bytes at the end of the text that are the beginning of a stop string, at most.
    private func longestOpenEnd() -> Int {
        var longest = 0
        for stop in stops {
            var length = min(stop.count - 1, held.count)
            while length > longest {
                let offset = held.count - length
                var position = 0
                while position < length, held[offset + position] == stop[position] { position += 1 }
                if position == length {
                    longest = length
                    break
                }
                length -= 1
            }
        }
        return longest
    }
}
