/// Letters that case folding turns into several, such as ß into ss. Where case is ignored Oniguruma takes the one for the other,
/// PCRE2 does not.
enum PatternFolding {
    /// Each with what it folds to. There are none beyond U+FB17.
    private static let expansions: [(scalar: UInt32, folded: [UInt32])] = {
        var found: [(UInt32, [UInt32])] = [(0x130, [0x69, 0x307]), (0x1E9E, [0x73, 0x73])]
        for value in UInt32(0xDF)...0xFB17 {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let upper = scalar.properties.uppercaseMapping.unicodeScalars
            if upper.count > 1 { found.append((value, upper.map { folded($0.value) })) }
        }
        return found.sorted { $0.0 < $1.0 }
    }()

    private static let joined = Set(expansions.map(\.folded))

    /// Whether a scalar of `range` folds to several.
    static func expands(_ range: ClosedRange<UInt32>) -> Bool { expansions.contains { range.contains($0.scalar) } }

    /// Whether the end of `scalars`, already folded, is what one letter folds to.
    static func endsInExpansion(_ scalars: [UInt32]) -> Bool {
        (2...3).contains { scalars.count >= $0 && joined.contains(Array(scalars.suffix($0))) }
    }

    /// A scalar's simple folding, as far as it matters here.
    static func folded(_ value: UInt32) -> UInt32 {
        if value == 0x17F { return 0x73 }
        guard let lower = Unicode.Scalar(value)?.properties.lowercaseMapping.unicodeScalars, lower.count == 1 else { return value }
        return lower.first!.value
    }
}
