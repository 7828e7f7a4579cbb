@testable import Tokenization
import TestSupport
import Testing

@Suite struct WordPatternTests {
    private func byEngine(_ pattern: WordPattern, _ text: [UInt8]) throws -> [PieceBuffer.Piece] {
        let expression = try RegularExpression(pattern.pattern)
        var matcher = RegularExpression.Matcher(expression)
        var pieces: [PieceBuffer.Piece] = []
        try expression.forEachMatch(in: text.span, with: &matcher) {
            pieces.append(PieceBuffer.Piece(start: Int32($0.lowerBound), end: Int32($0.upperBound)))
        }
        return pieces
    }

    private func expectEqual(_ pattern: WordPattern, _ text: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let bytes = Array(text.utf8)
        var pieces: [PieceBuffer.Piece] = []
        pattern.split(bytes.span, 0, bytes.count, into: &pieces)
        let expected = try byEngine(pattern, bytes)
        #expect(pieces == expected, "\(text.debugDescription)", sourceLocation: sourceLocation)
    }

    @Test("the scanner by hand splits as the engine does", arguments: WordPattern.allCases)
    func goldens(_ pattern: WordPattern) throws {
        for text in Goldens.shared.short + Goldens.shared.many + [Goldens.shared.prose] where known(text) {
            try expectEqual(pattern, text)
        }
    }

    @Test("the scanner by hand splits random text as the engine does", arguments: WordPattern.allCases)
    func random(_ pattern: WordPattern) throws {
        var generator = SeededGenerator(seed: 99)
        let pieces = ["'", "s", "S", "ſ", "t", "re", "RE", "'ll", "'Ve", " ", "  ", "\n", "\r", "\t", "\u{A0}", "\u{3000}", "1", "٣", "½", "é", "日", "!", "👍", "\u{301}", "_"]
        for _ in 0..<400 {
            var text = ""
            for _ in 0..<generator.next(below: 25) {
                if generator.next(below: 4) > 0 {
                    text += pieces[generator.next(below: pieces.count)]
                } else if let scalar = Unicode.Scalar(UInt32(generator.next(below: 0x20000))) {
                    text.unicodeScalars.append(scalar)
                }
            }
            if known(text) { try expectEqual(pattern, text) }
        }
    }

    @Test("the classes of scalars are the engine's, as far as it knows them")
    func classes() throws {
        var scalars = String.UnicodeScalarView()
        for value in stride(from: UInt32(0), to: 0x32000, by: 7) {
            if let scalar = Unicode.Scalar(value), known(scalar) { scalars.append(scalar) }
        }
        let text = Array(String(scalars).utf8)
        for (pattern, kind) in [("\\p{L}", ScalarClass.letter), ("\\p{N}", .number), ("\\s", .whitespace), ("\\p{N}", .numeric)] {
            let expression = try RegularExpression(pattern)
            var matcher = RegularExpression.Matcher(expression)
            var found: [Int] = []
            try expression.forEachMatch(in: text.span, with: &matcher) { found.append($0.lowerBound) }
            var expected: [Int] = []
            var index = 0
            while index < text.count {
                let (scalar, length) = decodeScalar(text.span, at: index)
                if ScalarClassTable.shared[scalar].contains(kind) { expected.append(index) }
                index += length
            }
            #expect(found == expected, "\(pattern)")
        }
    }

    /// Whether the installed engine, which may be older than the rules, has all of the text's scalars: Unicode 14 and before.
    private func known(_ text: String) -> Bool { text.unicodeScalars.allSatisfy(known) }
    private func known(_ scalar: Unicode.Scalar) -> Bool { (scalar.properties.age?.major ?? 14) <= 14 }
}
