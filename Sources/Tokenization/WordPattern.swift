/// The patterns that nearly all byte-level tokenizers split words with, by hand: five to ten times as fast as the engine.
///
/// Chosen by the exact text of the pattern. Each covers every character, so a text is cut into matches alone.
enum WordPattern: Sendable, Equatable, CaseIterable {
    case gpt2
    case llama3
    case qwen2

    var pattern: String {
        switch self {
        case .gpt2: #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
        case .llama3: Self.contractions + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"# + Self.rest
        case .qwen2: Self.contractions + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"# + Self.rest
        }
    }

    private static let contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    private static let rest = #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

    init?(pattern: String) {
        guard let known = Self.allCases.first(where: { $0.pattern == pattern }) else { return nil }
        self = known
    }

    /// Cuts `text[start..<end]` as if nothing stood around it.
    func split(_ text: borrowing Span<UInt8>, _ start: Int, _ end: Int, into pieces: inout [PieceBuffer.Piece]) {
        let scanner = WordScanner(end: end, classes: ScalarClassTable.shared)
        var index = start
        while index < end {
            let next = switch self {
            case .gpt2: scanner.endOfGPT2Word(text, index)
            case .llama3: scanner.endOfLlamaWord(text, index, digits: 3)
            case .qwen2: scanner.endOfLlamaWord(text, index, digits: 1)
            }
            pieces.append(PieceBuffer.Piece(start: Int32(truncatingIfNeeded: index), end: Int32(truncatingIfNeeded: next)))
            index = next
        }
    }
}

/// Finds where a word ends. `end` is the end of the piece; what lies beyond is not looked at.
private struct WordScanner {
    let end: Int
    let classes: ScalarClassTable

    /// A scalar's class and length. `other` is what is no letter, number or whitespace.
    @inline(__always)
    private func scan(_ text: borrowing Span<UInt8>, _ index: Int) -> (kind: ScalarClass, length: Int) {
        let (scalar, length) = decodeScalar(text, at: index)
        return (classes[scalar].intersection([.letter, .number, .whitespace]), length)
    }

    /// The end of the run of `kind` that goes on at `index`.
    @inline(__always)
    private func endOfRun(_ text: borrowing Span<UInt8>, _ index: Int, of kind: ScalarClass) -> Int {
        var index = index
        while index < end {
            let (found, length) = scan(text, index)
            guard found == kind else { break }
            index += length
        }
        return index
    }

    @inline(__always)
    func endOfGPT2Word(_ text: borrowing Span<UInt8>, _ start: Int) -> Int {
        if text[start] == UInt8(ascii: "'"), let end = endOfContraction(text, start, foldingCase: false) { return end }
        var first = start
        if text[start] == UInt8(ascii: " "), start + 1 < end { first += 1 }
        let (kind, length) = scan(text, first)
        if kind != .whitespace { return endOfRun(text, first + length, of: kind) }
        return endOfSpaces(text, start)
    }

    @inline(__always)
    func endOfLlamaWord(_ text: borrowing Span<UInt8>, _ start: Int, digits: Int) -> Int {
        let byte = text[start]
        if byte == UInt8(ascii: "'"), let end = endOfContraction(text, start, foldingCase: true) { return end }
        let (kind, length) = scan(text, start)
        if kind == .letter { return endOfRun(text, start + length, of: .letter) }
        if kind == .number { return endOfNumber(text, start + length, more: digits - 1) }
        let isLineEnd = byte == 0x0A || byte == 0x0D
        let second = start + length
        if second < end, !isLineEnd {
            let (next, nextLength) = scan(text, second)
            if next == .letter { return endOfRun(text, second + nextLength, of: .letter) }
            if next == [], byte == UInt8(ascii: " ") { return endOfLineEnds(text, endOfRun(text, second + nextLength, of: [])) }
        }
        if kind == [] { return endOfLineEnds(text, endOfRun(text, second, of: [])) }
        return endOfLines(text, start) ?? endOfSpaces(text, start)
    }

    private func endOfNumber(_ text: borrowing Span<UInt8>, _ index: Int, more: Int) -> Int {
        var index = index
        for _ in 0..<more where index < end {
            let (kind, length) = scan(text, index)
            guard kind == .number else { break }
            index += length
        }
        return index
    }

    @inline(__always)
    private func endOfLineEnds(_ text: borrowing Span<UInt8>, _ index: Int) -> Int {
        var index = index
        while index < end, text[index] == 0x0A || text[index] == 0x0D { index += 1 }
        return index
    }

    /// `\s*[\r\n]+`: up to the last line end of the whitespace at `start`, if there is one.
    private func endOfLines(_ text: borrowing Span<UInt8>, _ start: Int) -> Int? {
        var index = start
        var found: Int?
        while index < end {
            let (kind, length) = scan(text, index)
            guard kind == .whitespace else { break }
            if text[index] == 0x0A || text[index] == 0x0D { found = index + 1 }
            index += length
        }
        return found
    }

    /// `\s+(?!\S)|\s+`: whitespace at `start` up to the end, or up to its last character if something follows it; at least one.
    private func endOfSpaces(_ text: borrowing Span<UInt8>, _ start: Int) -> Int {
        var index = start
        var last = start
        while index < end {
            let (kind, length) = scan(text, index)
            guard kind == .whitespace else { break }
            last = index
            index += length
        }
        return index == end || last == start ? index : last
    }

    /// The end of 's, 't, 're, 've, 'm, 'll or 'd at the apostrophe `start`. Under case folding ſ (U+017F) is an s.
    private func endOfContraction(_ text: borrowing Span<UInt8>, _ start: Int, foldingCase: Bool) -> Int? {
        func letter(_ index: Int) -> UInt8? {
            guard index < end else { return nil }
            let byte = text[index]
            return foldingCase && byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
        }
        switch letter(start + 1) {
        case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return start + 2
        case UInt8(ascii: "r"), UInt8(ascii: "v"): return letter(start + 2) == UInt8(ascii: "e") ? start + 3 : nil
        case UInt8(ascii: "l"): return letter(start + 2) == UInt8(ascii: "l") ? start + 3 : nil
        case 0xC5: return foldingCase && start + 2 < end && text[start + 2] == 0xBF ? start + 3 : nil
        default: return nil
        }
    }
}
