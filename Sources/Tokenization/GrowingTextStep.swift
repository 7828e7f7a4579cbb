/// A rule of a decoder for the joined text, applied while the text grows. It holds back what later text may still change: at
/// most as many bytes as its pattern has, or as many characters as it strips.
struct GrowingTextStep: Sendable {
    private let step: Decoder.TextStep
    private var held: [UInt8] = []
    /// How many characters may still be stripped from the start.
    private var startsLeft: Int

    init(_ step: Decoder.TextStep) {
        self.step = step
        startsLeft = if case .strip(_, let start, _) = step { start } else { 0 }
    }

    /// Takes `text` (whole characters) and returns what is settled now.
    mutating func append(_ text: [UInt8]) -> [UInt8] {
        switch step {
        case .replace(let pattern, let content): replace(pattern, content, in: text)
        case .strip(let content, _, let end): strip(content, end, from: text)
        }
    }

    /// What was held back, now that nothing follows.
    mutating func finish() -> [UInt8] {
        defer { held = [] }
        return if case .replace = step { held } else { [] }
    }

    private mutating func replace(_ pattern: [UInt8], _ content: [UInt8], in text: [UInt8]) -> [UInt8] {
        held.append(contentsOf: text)
        var settled: [UInt8] = []
        var start = 0
        if held.count >= pattern.count {
            let search = ByteSearch(pattern)
            while let found = search.first(in: held.span, from: start, to: held.count) {
                settled.append(contentsOf: held[start..<found])
                settled.append(contentsOf: content)
                start = found + pattern.count
            }
        }
        var tail = max(start, held.count - pattern.count + 1)
        while tail < held.count, !pattern.starts(with: held[tail...]) { tail += 1 }
        settled.append(contentsOf: held[start..<tail])
        held.removeFirst(tail)
        return settled
    }

    /// `held` is a run of `content`, at most `end` times.
    private mutating func strip(_ content: [UInt8], _ end: Int, from text: [UInt8]) -> [UInt8] {
        var rest = text[...]
        while startsLeft > 0, !rest.isEmpty {
            guard rest.starts(with: content) else {
                startsLeft = 0
                break
            }
            rest = rest.dropFirst(content.count)
            startsLeft -= 1
        }
        guard end > 0 else { return Array(rest) }
        held.append(contentsOf: rest)
        var kept = 0
        while kept < end, held.count >= (kept + 1) * content.count,
            held[(held.count - (kept + 1) * content.count)...].starts(with: content)
        { kept += 1 }
        let settled = Array(held.dropLast(kept * content.count))
        held.removeFirst(settled.count)
        return settled
    }
}
