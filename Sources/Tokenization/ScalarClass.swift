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

    /// Computes the classes of `scalar`; 50 ns and more. Hot code asks `ScalarClassTable`.
    init(of scalar: Unicode.Scalar) {
        let properties = scalar.properties
        let age = properties.age?.major ?? Int.max
        var classes: ScalarClass = []
        if properties.isWhitespace { classes.insert(.whitespace) }
        if properties.isAlphabetic && age <= 16 || properties.isJoinControl { classes.insert(.word) }
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
            if age <= 16 { classes.insert(.letter) }
        case .decimalNumber:
            classes.insert(.numeric)
            if age <= 16 { classes.formUnion([.number, .word]) }
        case .letterNumber, .otherNumber:
            classes.insert(.numeric)
            if age <= 16 { classes.insert(.number) }
        case .nonspacingMark, .spacingMark, .enclosingMark:
            if age <= 16 { classes.insert(.word) }
        case .connectorPunctuation:
            classes.insert(.word)
            if age <= 8 { classes.insert(.punctuation) }
        case .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation, .finalPunctuation, .otherPunctuation:
            if age <= 8 { classes.insert(.punctuation) }
        case .mathSymbol, .currencySymbol, .modifierSymbol:
            if scalar.isASCII { classes.insert(.punctuation) }
        case .otherSymbol:
            // U+166D was punctuation until Unicode 12.
            if scalar.value == 0x166D { classes.insert(.punctuation) }
        default: break
        }
        self = classes
    }

    init(rawValue: UInt8) { self.rawValue = rawValue }
}

/// The classes of all scalars: two array reads a look-up. Blocks of 256 scalars that look alike are stored once (about 100 KiB).
struct ScalarClassTable: Sendable {
    private let blockOf: [UInt16]
    private let classes: [UInt8]

    /// Built once a process, on first use; about 50 ms.
    static let shared = ScalarClassTable()

    private init() {
        var blockOf: [UInt16] = []
        var classes: [UInt8] = []
        var known: [[UInt8]: UInt16] = [:]
        for block in UInt32(0)..<0x1100 {
            let content = (block << 8..<(block + 1) << 8).map { value in
                Unicode.Scalar(value).map { ScalarClass(of: $0).rawValue } ?? 0
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
