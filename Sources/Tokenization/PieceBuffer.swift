/// A text on its way to the model, and the pieces it has been cut into so far. Text between pieces is dropped.
struct PieceBuffer {
    struct Piece: Equatable {
        var start: Int32
        var end: Int32

        var isEmpty: Bool { start == end }
        var range: Range<Int> { Int(start)..<Int(end) }
    }

    /// Valid UTF-8 at every stage.
    var text: [UInt8]
    /// Ordered, disjoint, on scalar boundaries.
    var pieces: [Piece]
    /// Whether byte 0 of `text` stems from byte 0 of the text to encode.
    var startsAtOrigin: Bool

    init(text: [UInt8], startsAtOrigin: Bool) {
        self.text = text
        pieces = text.isEmpty ? [] : [Piece(start: 0, end: Int32(text.count))]
        self.startsAtOrigin = startsAtOrigin
    }

    /// Rewrites every piece; `rewrite` appends the new text of a piece and hears whether it begins where the text does.
    mutating func rewritePieces(_ rewrite: (borrowing Span<UInt8>, Bool, inout [UInt8]) -> Void) {
        var text: [UInt8] = []
        text.reserveCapacity(self.text.count + self.text.count / 4 + 4)
        let old = self.text
        for index in pieces.indices {
            let piece = pieces[index]
            let start = Int32(text.count)
            rewrite(old.span.extracting(piece.range), piece.start == 0 && startsAtOrigin, &text)
            pieces[index] = Piece(start: start, end: Int32(text.count))
        }
        if let first = pieces.first, first.start != 0 { startsAtOrigin = false }
        self.text = text
    }
}

/// What becomes of the matches of a splitting rule.
enum SplitBehavior: String, Sendable {
    case isolated = "Isolated"
    case removed = "Removed"
    case mergedWithPrevious = "MergedWithPrevious"
    case mergedWithNext = "MergedWithNext"
    case contiguous = "Contiguous"
}

/// Collects the stretches a rule cuts a piece into and joins them as the behaviour says.
///
/// Stretches come in order and cover the piece; empty ones take part in the joining and vanish at the end.
struct PieceSplitter {
    let behavior: SplitBehavior
    private(set) var pieces: [PieceBuffer.Piece] = []
    /// The first piece of the one being cut now.
    private var base = 0
    private var previousMatched = false
    /// A match that waits for what follows it (`mergedWithNext`).
    private var waiting: PieceBuffer.Piece?

    init(behavior: SplitBehavior, capacity: Int) {
        self.behavior = behavior
        pieces.reserveCapacity(capacity)
    }

    mutating func beginPiece() {
        base = pieces.count
        previousMatched = false
    }

    mutating func endPiece() {
        if let waiting { pieces.append(waiting) }
        waiting = nil
        guard pieces[base...].contains(where: \.isEmpty) else { return }
        pieces.replaceSubrange(base..., with: pieces[base...].filter { !$0.isEmpty })
    }

    @inline(__always)
    mutating func add(_ start: Int, _ end: Int, matched: Bool) {
        let piece = PieceBuffer.Piece(start: Int32(truncatingIfNeeded: start), end: Int32(truncatingIfNeeded: end))
        switch behavior {
        case .isolated: pieces.append(piece)
        case .removed: if !matched { pieces.append(piece) }
        case .contiguous: append(piece, joining: matched == previousMatched)
        case .mergedWithPrevious: append(piece, joining: matched && !previousMatched)
        case .mergedWithNext: addBeforeNext(piece, matched)
        }
        previousMatched = matched
    }

    private mutating func append(_ piece: PieceBuffer.Piece, joining: Bool) {
        if joining, pieces.count > base { pieces[pieces.count - 1].end = piece.end } else { pieces.append(piece) }
    }

    private mutating func addBeforeNext(_ piece: PieceBuffer.Piece, _ matched: Bool) {
        if matched {
            if let waiting { pieces.append(waiting) }
            waiting = piece
        } else if let start = waiting?.start {
            pieces.append(PieceBuffer.Piece(start: start, end: piece.end))
            waiting = nil
        } else {
            pieces.append(piece)
        }
    }
}
