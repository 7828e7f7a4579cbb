internal import Inference

/// A token that is found in the text as it stands, before any splitting.
struct AddedToken: Sendable, Equatable {
    var id: TokenID
    var content: String
    /// Only where no word character touches it.
    var singleWord = false
    /// Takes the whitespace before it along.
    var stripsLeft = false
    /// Takes the whitespace after it along.
    var stripsRight = false
    /// Sought in the normalised text, in its own normalised form.
    var normalized = false
    var special = false
}

/// Finds added tokens: the longest at the leftmost place, left to right without overlap.
struct AddedTokenMatcher: Sendable {
    /// A stretch of the text: an added token, or what lies between (`token == nil`).
    struct Segment: Equatable {
        var start: Int
        var end: Int
        var token: TokenID?
    }

    /// A trie over bytes. Children of a node are a list; the root has a table.
    private struct Node: Sendable {
        var byte: UInt8
        var firstChild: Int32 = -1
        var sibling: Int32 = -1
        /// Index into `tokens`, or -1.
        var token: Int32 = -1
    }

    private var nodes: [Node] = []
    private var roots = [Int32](repeating: -1, count: 256)
    private var tokens: [AddedToken] = []

    /// Adds `token`, sought as `pattern`. An empty pattern is never found. Of two equal patterns the first counts.
    mutating func insert(_ token: AddedToken, as pattern: [UInt8]) {
        guard let first = pattern.first else { return }
        var node = roots[Int(first)]
        if node < 0 {
            node = append(Node(byte: first))
            roots[Int(first)] = node
        }
        for byte in pattern.dropFirst() { node = child(of: node, byte) ?? addChild(of: node, byte) }
        guard nodes[Int(node)].token < 0 else { return }
        nodes[Int(node)].token = Int32(tokens.count)
        tokens.append(token)
    }

    private mutating func append(_ node: Node) -> Int32 {
        nodes.append(node)
        return Int32(nodes.count - 1)
    }

    private mutating func addChild(of node: Int32, _ byte: UInt8) -> Int32 {
        let child = append(Node(byte: byte, sibling: nodes[Int(node)].firstChild))
        nodes[Int(node)].firstChild = child
        return child
    }

    private func child(of node: Int32, _ byte: UInt8) -> Int32? {
        var child = nodes[Int(node)].firstChild
        while child >= 0 {
            if nodes[Int(child)].byte == byte { return child }
            child = nodes[Int(child)].sibling
        }
        return nil
    }

    /// The longest token that begins at `start`.
    private func match(_ text: borrowing Span<UInt8>, at start: Int) -> (token: Int, end: Int)? {
        var node = roots[Int(text[start])]
        var index = start + 1
        var found: (Int, Int)?
        while node >= 0 {
            if nodes[Int(node)].token >= 0 { found = (Int(nodes[Int(node)].token), index) }
            guard index < text.count, let next = child(of: node, text[index]) else { break }
            node = next
            index += 1
        }
        return found
    }

    /// Cuts valid UTF-8 into segments that are not empty; O(bytes × longest token), times the children of a node where
    /// many tokens part: a list, of 256 at most.
    func segments(of text: borrowing Span<UInt8>) -> [Segment] {
        guard !text.isEmpty else { return [] }
        guard !tokens.isEmpty else { return [Segment(start: 0, end: text.count, token: nil)] }
        var segments: [Segment] = []
        var covered = 0
        var spaces = 0..<0
        var index = 0
        while index < text.count {
            guard roots[Int(text[index])] >= 0, let (number, end) = match(text, at: index) else {
                index += 1
                continue
            }
            var start = index
            var stop = end
            index = end
            let token = tokens[number]
            if token.singleWord, touchesWord(text, start, stop) { continue }
            if token.stripsLeft { start = startOfSpaces(text, before: start, notBefore: min(covered, start)) }
            if token.stripsRight {
                // Runs of tokens that are themselves whitespace would measure the same run again and again.
                if !spaces.contains(stop) { spaces = stop..<endOfSpaces(text, from: stop) }
                stop = max(stop, spaces.upperBound)
            }
            if covered < start { segments.append(Segment(start: covered, end: start, token: nil)) }
            segments.append(Segment(start: start, end: stop, token: token.id))
            covered = stop
        }
        if covered != text.count { segments.append(Segment(start: covered, end: text.count, token: nil)) }
        return segments
    }

    private func touchesWord(_ text: borrowing Span<UInt8>, _ start: Int, _ end: Int) -> Bool {
        let classes = ScalarClassTable.shared
        if start > 0, classes[decodeScalar(text, at: startOfScalar(text, before: start)).value].contains(.word) { return true }
        return end < text.count && classes[decodeScalar(text, at: end).value].contains(.word)
    }

    private func startOfSpaces(_ text: borrowing Span<UInt8>, before end: Int, notBefore limit: Int) -> Int {
        var start = end
        while start > limit {
            let previous = startOfScalar(text, before: start)
            guard ScalarClassTable.shared[decodeScalar(text, at: previous).value].contains(.whitespace) else { break }
            start = previous
        }
        return max(start, limit)
    }

    private func endOfSpaces(_ text: borrowing Span<UInt8>, from start: Int) -> Int {
        var end = start
        while end < text.count {
            let (scalar, length) = decodeScalar(text, at: end)
            guard ScalarClassTable.shared[scalar].contains(.whitespace) else { break }
            end += length
        }
        return end
    }
}
