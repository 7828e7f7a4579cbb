/// What the splitting rules of tokenizers ask about a Unicode scalar.
///
/// Letters and numbers follow Unicode 16, which the published tokenizers' engine (Oniguruma) has, so that text with younger
/// characters splits as it does there. `numeric` follows the current standard and `punctuation` Unicode 8, for the same reason.
struct ScalarClass: OptionSet {
    let rawValue: UInt8

    /// General category L.
    static let letter = ScalarClass(rawValue: 1)
    /// General category N.
    static let number = ScalarClass(rawValue: 2)
    /// Property White_Space.
    static let whitespace = ScalarClass(rawValue: 4)
    /// General category N, as the `Digits` rule sees it.
    static let numeric = ScalarClass(rawValue: 8)
    /// General category P, or one of the ASCII symbols, as the `Punctuation` rule sees it.
    static let punctuation = ScalarClass(rawValue: 16)
    /// Alphabetic, mark, decimal number, connector punctuation or join control: a regular expression's `\w`.
    static let word = ScalarClass(rawValue: 32)

    /// Computes the classes of `scalar`; 20 ns and more. Hot code asks `ScalarClassTable`.
    static func of(_ scalar: Unicode.Scalar) -> ScalarClass {
        let properties = scalar.properties
        let category = properties.generalCategory
        // Most of the code space; nothing there has a class, whatever its age.
        if category == .unassigned || category == .privateUse { return [] }
        let age = scalar.value < 0x300 ? 1 : properties.age?.major ?? Int.max
        var classes: ScalarClass = []
        switch category {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
            if age <= 16 { classes = [.letter, .word] }
        case .decimalNumber:
            classes = age <= 16 ? [.numeric, .number, .word] : .numeric
        case .letterNumber, .otherNumber:
            classes = age <= 16 ? [.numeric, .number] : .numeric
            if age <= 16, properties.isAlphabetic { classes.insert(.word) }
        case .nonspacingMark, .spacingMark, .enclosingMark:
            if age <= 16 { classes = .word }
        case .connectorPunctuation:
            classes = age <= 8 ? [.word, .punctuation] : .word
        case .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation, .finalPunctuation, .otherPunctuation:
            if age <= 8 { classes = .punctuation }
        case .mathSymbol, .currencySymbol, .modifierSymbol:
            if scalar.isASCII { classes = .punctuation }
        case .otherSymbol:
            if age <= 16, properties.isAlphabetic { classes.insert(.word) }
            // U+166D was punctuation until Unicode 12.
            if scalar.value == 0x166D { classes.insert(.punctuation) }
        case .control, .spaceSeparator, .lineSeparator, .paragraphSeparator:
            if properties.isWhitespace { classes = .whitespace }
        case .format:
            if properties.isJoinControl { classes = .word }
        default: break
        }
        return classes
    }
}

/// The classes of all scalars: two array reads a look-up. Blocks of 256 scalars that look alike are stored once (about 100 KiB).
struct ScalarClassTable: Sendable {
    private let blockOf: [UInt16]
    private let classes: [UInt8]

    /// Built once a process, on first use; about 20 ms.
    static let shared = ScalarClassTable()

    private init() {
        var blockOf: [UInt16] = []
        var classes: [UInt8] = []
        var known: [[UInt8]: UInt16] = [:]
        for block in UInt32(0)..<0x1100 {
            // Planes 4 to 13 are empty, 15 and 16 private.
            let isEmpty = block >= 0x400 && block < 0xE00 || block >= 0xF00
            let content = (block << 8..<(block + 1) << 8).map { value in
                isEmpty ? 0 : Unicode.Scalar(value).map { ScalarClass.of($0).rawValue } ?? 0
            }
            if let number = known[content] {
                blockOf.append(number)
            } else {
                let number = UInt16(known.count)
                known[content] = number
                classes.append(contentsOf: content)
                blockOf.append(number)
            }
        }
        self.blockOf = blockOf
        self.classes = classes
    }

    @inline(__always)
    subscript(scalar: UInt32) -> ScalarClass {
        ScalarClass(rawValue: classes[Int(blockOf[Int(scalar >> 8)]) << 8 | Int(scalar & 255)])
    }
}
