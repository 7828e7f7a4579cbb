internal import Platform

/// The cutting of normalised text into words: the file's `pre_tokenizer`, sequences flattened.
struct PreTokenizer: Sendable {
    enum Step: Sendable {
        case words(WordPattern)
        case pattern(RegularExpression, SplitBehavior, inverted: Bool)
        /// Not empty.
        case literal([UInt8], SplitBehavior, inverted: Bool)
        /// Each scalar of the class is a match.
        case scalars(ScalarClass, SplitBehavior)
        /// Runs of word characters and runs of neither those nor whitespace; whitespace is dropped.
        case wordsAndSymbols
        /// Puts a space before each piece that does not begin with one.
        case prefixSpace
        case metaspace(Metaspace)
        /// Spells each byte as a character of `ByteAlphabet`.
        case spellBytes
        /// The reverse, once no step needs the spelling any more.
        case unspellBytes
    }

    struct Metaspace: Sendable {
        enum Prepend: String, Sendable { case always, first, never }

        /// Stands for a space: one scalar, as UTF-8.
        var replacement: [UInt8]
        var prepend: Prepend
        /// Whether to cut before each replacement.
        var splits: Bool
    }

    private(set) var steps: [Step] = []
    /// What the pieces are made of at the end.
    private(set) var alphabet = BytePairEncoder.Alphabet.scalars

    init() {}

    init(_ node: ComponentNode) throws(TokenizerError) {
        guard !node.isAbsent else { return }
        try add(node)
        settleAlphabet()
    }

    /// Leaves pieces as raw bytes where the byte alphabet is the last thing that happens to their text: spelling the bytes out
    /// is then a detour. Splitting rules that come after it do see the spelling.
    private mutating func settleAlphabet() {
        let spellings = steps.indices.filter { if case .spellBytes = steps[$0] { true } else { false } }
        guard spellings.count == 1, let last = spellings.first else { return }
        for step in steps[(last + 1)...] {
            switch step {
            case .prefixSpace, .metaspace: return
            default: continue
            }
        }
        alphabet = .bytes
        if last == steps.count - 1 { steps.removeLast() } else { steps.append(.unspellBytes) }
    }

    private mutating func add(_ node: ComponentNode) throws(TokenizerError) {
        let type = try node.type()
        switch type {
        case "Sequence": for child in try node["pretokenizers"].elements() { try add(child) }
        case "ByteLevel":
            if try node["add_prefix_space"].bool() { steps.append(.prefixSpace) }
            if try node["use_regex"].bool(ifAbsent: true) { steps.append(.words(.gpt2)) }
            steps.append(.spellBytes)
        case "Split": steps.append(try Self.split(node))
        case "Digits": steps.append(.scalars(.numeric, try node["individual_digits"].bool() ? .isolated : .contiguous))
        case "Whitespace": steps.append(.wordsAndSymbols)
        case "WhitespaceSplit": steps.append(.scalars(.whitespace, .removed))
        case "Punctuation":
            let behavior = node["behavior"].isAbsent ? .isolated : try Self.behavior(node["behavior"])
            steps.append(.scalars(.punctuation, behavior))
        case "CharDelimiterSplit": steps.append(.literal(try node["delimiter"].scalar(), .removed, inverted: false))
        case "Metaspace": steps.append(.metaspace(try Metaspace(node)))
        default: throw node.unsupported("the pre-tokenizer \(type)")
        }
        guard steps.count <= TokenizerLimits.steps else {
            throw node.invalid("more than \(TokenizerLimits.steps) steps", expected: "at most that many")
        }
    }

    private static func behavior(_ node: ComponentNode) throws(TokenizerError) -> SplitBehavior {
        let name = try node.string()
        guard let behavior = SplitBehavior(rawValue: name) else {
            throw node.invalid("\"\(name.prefix(40))\"", expected: "a split behavior such as \"Isolated\"")
        }
        return behavior
    }

    private static func split(_ node: ComponentNode) throws(TokenizerError) -> Step {
        let behavior = try behavior(node["behavior"])
        let inverted = try node["invert"].bool()
        if let known = WordPattern(pattern: node["pattern"]["Regex"].value.string ?? "") {
            // The pattern leaves nothing over, so keeping the matches alone is the same as keeping all.
            if (behavior == .isolated) || (behavior == .removed && inverted) { return .words(known) }
        }
        switch try TextPattern(node["pattern"]) {
        case .literal(let literal) where literal.isEmpty:
            return .pattern(try TextPattern.compile("", node["pattern"]), behavior, inverted: inverted)
        case .literal(let literal): return .literal(literal, behavior, inverted: inverted)
        case .expression(let expression): return .pattern(expression, behavior, inverted: inverted)
        }
    }

    /// - Parameter budget: what the text's regular expressions may take; what is left of it afterwards.
    func apply(to buffer: inout PieceBuffer, within budget: inout MatchBudget) throws(TokenizerError) {
        for step in steps {
            switch step {
            case .words(let pattern): buffer.pieces = Self.split(buffer, by: pattern)
            case .pattern(let expression, let behavior, let inverted):
                buffer.pieces = try Self.split(buffer, by: expression, behavior, inverted, within: &budget)
            case .literal(let literal, let behavior, let inverted):
                buffer.pieces = Self.split(buffer, at: literal, behavior, inverted)
            case .scalars(let kind, let behavior): buffer.pieces = Self.split(buffer, at: kind, behavior)
            case .wordsAndSymbols: buffer.pieces = Self.wordsAndSymbols(buffer)
            case .prefixSpace: Self.prefixSpaces(&buffer)
            case .metaspace(let metaspace): metaspace.apply(to: &buffer)
            case .spellBytes:
                buffer.rewritePieces { piece, _, text in
                    for index in piece.indices { text.append(contentsOf: ByteAlphabet.textOfByte[Int(piece[index])]) }
                }
            case .unspellBytes:
                buffer.rewritePieces { piece, _, text in
                    guard let bytes = ByteAlphabet.bytes(of: piece) else {
                        preconditionFailure("a piece outside the byte alphabet")
                    }
                    text.append(contentsOf: bytes)
                }
            }
            guard buffer.text.count <= TokenizerLimits.rewrittenBytes else {
                throw .textTooLong(bytes: buffer.text.count, limit: TokenizerLimits.rewrittenBytes)
            }
        }
    }
}

extension PreTokenizer.Metaspace {
    /// Older files say `add_prefix_space` in place of `prepend_scheme`, newer ones may say both.
    init(_ node: ComponentNode) throws(TokenizerError) {
        replacement = node["replacement"].isAbsent ? [0xE2, 0x96, 0x81] : try node["replacement"].scalar()
        splits = try node["split"].bool(ifAbsent: true)
        let addsPrefix = try node["add_prefix_space"].bool(ifAbsent: true)
        let scheme = node["prepend_scheme"]
        guard !scheme.isAbsent else {
            prepend = addsPrefix ? .always : .never
            return
        }
        guard let prepend = Prepend(rawValue: try scheme.string()) else {
            throw scheme.invalid("\"\(try scheme.string().prefix(40))\"", expected: "\"always\", \"first\" or \"never\"")
        }
        if !addsPrefix, prepend != .never {
            throw scheme.invalid("\"\(prepend.rawValue)\"", expected: "\"never\", as add_prefix_space is false")
        }
        self.prepend = prepend
    }

    func apply(to buffer: inout PieceBuffer) {
        buffer.rewritePieces { piece, isFirst, text in
            let begins = piece[0] == UInt8(ascii: " ") || startsWithReplacement(piece)
            if !begins, prepend == .always || prepend == .first && isFirst { text.append(contentsOf: replacement) }
            for index in piece.indices {
                if piece[index] == UInt8(ascii: " ") { text.append(contentsOf: replacement) } else { text.append(piece[index]) }
            }
        }
        if splits { buffer.pieces = PreTokenizer.split(buffer, at: replacement, .mergedWithNext, false) }
    }

    private func startsWithReplacement(_ piece: borrowing Span<UInt8>) -> Bool {
        guard piece.count >= replacement.count else { return false }
        for index in replacement.indices where piece[index] != replacement[index] { return false }
        return true
    }
}

extension PreTokenizer {
    private static func split(_ buffer: PieceBuffer, by pattern: WordPattern) -> [PieceBuffer.Piece] {
        var pieces: [PieceBuffer.Piece] = []
        pieces.reserveCapacity(buffer.text.count / 4 + buffer.pieces.count)
        let text = buffer.text.span
        for piece in buffer.pieces { pattern.split(text, Int(piece.start), Int(piece.end), into: &pieces) }
        return pieces
    }

    private static func split(
        _ buffer: PieceBuffer, by expression: RegularExpression, _ behavior: SplitBehavior, _ inverted: Bool,
        within budget: inout MatchBudget
    ) throws(TokenizerError) -> [PieceBuffer.Piece] {
        var splitter = PieceSplitter(behavior: behavior, capacity: buffer.pieces.count)
        var matcher = RegularExpression.Matcher(expression, budget: budget)
        let text = buffer.text.span
        for piece in buffer.pieces {
            let start = Int(piece.start)
            var covered = 0
            splitter.beginPiece()
            try expression.forEachMatch(in: text.extracting(piece.range), with: &matcher) { match in
                if covered < match.lowerBound { splitter.add(start + covered, start + match.lowerBound, matched: inverted) }
                splitter.add(start + match.lowerBound, start + match.upperBound, matched: !inverted)
                covered = match.upperBound
            }
            if start + covered < Int(piece.end) { splitter.add(start + covered, Int(piece.end), matched: inverted) }
            splitter.endPiece()
        }
        budget = matcher.finish()
        return splitter.pieces
    }

    fileprivate static func split(
        _ buffer: PieceBuffer, at literal: [UInt8], _ behavior: SplitBehavior, _ inverted: Bool
    ) -> [PieceBuffer.Piece] {
        var splitter = PieceSplitter(behavior: behavior, capacity: buffer.pieces.count)
        let search = ByteSearch(literal)
        let text = buffer.text.span
        for piece in buffer.pieces {
            let end = Int(piece.end)
            var covered = Int(piece.start)
            splitter.beginPiece()
            while let index = search.first(in: text, from: covered, to: end) {
                if covered < index { splitter.add(covered, index, matched: inverted) }
                splitter.add(index, index + literal.count, matched: !inverted)
                covered = index + literal.count
            }
            if covered < end { splitter.add(covered, end, matched: inverted) }
            splitter.endPiece()
        }
        return splitter.pieces
    }

    private static func split(
        _ buffer: PieceBuffer, at kind: ScalarClass, _ behavior: SplitBehavior
    ) -> [PieceBuffer.Piece] {
        var splitter = PieceSplitter(behavior: behavior, capacity: buffer.pieces.count)
        let classes = ScalarClassTable.shared
        let text = buffer.text.span
        for piece in buffer.pieces {
            let end = Int(piece.end)
            var covered = Int(piece.start)
            var index = covered
            splitter.beginPiece()
            while index < end {
                let (scalar, length) = decodeScalar(text, at: index)
                if classes[scalar].contains(kind) {
                    if covered < index { splitter.add(covered, index, matched: false) }
                    splitter.add(index, index + length, matched: true)
                    covered = index + length
                }
                index += length
            }
            if covered < end { splitter.add(covered, end, matched: false) }
            splitter.endPiece()
        }
        return splitter.pieces
    }

    private static func wordsAndSymbols(_ buffer: PieceBuffer) -> [PieceBuffer.Piece] {
        enum Kind { case word, symbol, space }
        var pieces: [PieceBuffer.Piece] = []
        let classes = ScalarClassTable.shared
        let text = buffer.text.span
        for piece in buffer.pieces {
            var start = Int(piece.start)
            var run = Kind.space
            var index = start
            while index <= Int(piece.end) {
                var kind = Kind.space
                var length = 1
                if index < Int(piece.end) {
                    let (scalar, found) = decodeScalar(text, at: index)
                    length = found
                    kind = classes[scalar].contains(.word) ? .word : classes[scalar].contains(.whitespace) ? .space : .symbol
                }
                if kind != run {
                    if run != .space { pieces.append(PieceBuffer.Piece(start: Int32(start), end: Int32(index))) }
                    start = index
                    run = kind
                }
                index += length
            }
        }
        return pieces
    }

    private static func prefixSpaces(_ buffer: inout PieceBuffer) {
        buffer.rewritePieces { piece, _, text in
            if piece[0] != UInt8(ascii: " ") { text.append(UInt8(ascii: " ")) }
            text.append(piece, 0..<piece.count)
        }
    }
}
