/// What a `\p{Name}` or `[:name:]` of a tokenizer's pattern means, in PCRE2's syntax.
///
/// The two engines read several names differently: PCRE2 takes a script's name for its extensions too, its POSIX classes are
/// Perl's, and it has properties of its own. A name that is in no list here is taken for a script; PCRE2 refuses one it does
/// not know.
struct PatternProperty {
    /// The inside of a class that matches what has the property.
    let members: String
    /// The inside of a class that matches all else; nil where there is none.
    let others: String?
    /// Whether both need no class around them.
    let standsAlone: Bool

    private init(_ members: String, others: String?) {
        self.members = members
        self.others = others
        standsAlone = false
    }

    private init(property name: String) {
        members = "\\p{\(name)}"
        others = "\\P{\(name)}"
        standsAlone = true
    }

    /// Oniguruma's `\w`, which the numerals of Latin-1 belong to, as the inside of a class.
    static let word = posixWord + "\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}"
    static let hexDigit = "0-9A-Fa-f"
    private static let posixWord = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"

    /// The property `\p{name}`; nil for a name that means something to PCRE2 alone.
    init?(named name: String) {
        let key = Self.folded(name)
        switch key {
        case "punct": self.init(property: "P")
        case "word": self.init(Self.word, others: nil)
        case "any": self.init(property: "Any")
        case "assigned": self.init("\\P{Cn}", others: "\\p{Cn}")
        default:
            if let posix = Self.posix[key] {
                self = posix
            } else if let category = Self.categories[key] {
                self.init(property: category)
            } else if Self.binary.contains(key) {
                self.init(property: name)
            } else if key.utf8.count > 2, name.utf8.allSatisfy({ Self.isNameByte($0) }) {
                self.init(property: "sc:" + name)
            } else {
                return nil
            }
        }
    }

    /// The class `[:name:]`; nil for an unknown one.
    init?(posix name: String) {
        guard let known = Self.posix[name] else { return nil }
        self = known
    }

    /// Whether folding case, as Oniguruma does it for what stands inside a class, adds nothing to it.
    var isClosedUnderCase: Bool { Self.closed.contains(members) }

    /// Measured on every scalar of Unicode 14 (`patterns.json` of the golden script). `graph` and `print` are sums of categories,
    /// so that their opposites are too.
    private static let posix: [String: Self] = [
        "alnum": Self("\\p{Alphabetic}\\p{Nd}", others: nil),
        "alpha": Self(property: "Alphabetic"),
        "ascii": Self("\\x00-\\x7F", others: "\\x{80}-\\x{10FFFF}"),
        "blank": Self("\\t\\p{Zs}", others: nil),
        "cntrl": Self(property: "Cc"),
        "digit": Self(property: "Nd"),
        "graph": Self("\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Cf}\\p{Co}", others: "\\p{Z}\\p{Cc}\\p{Cn}\\p{Cs}"),
        "lower": Self(property: "Lowercase"),
        "print": Self("\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Cf}\\p{Co}\\p{Zs}", others: "\\p{Zl}\\p{Zp}\\p{Cc}\\p{Cn}\\p{Cs}"),
        "punct": Self("\\p{P}\\p{S}", others: "\\p{L}\\p{M}\\p{N}\\p{Z}\\p{C}"),
        "space": Self(property: "White_Space"),
        "upper": Self(property: "Uppercase"),
        "word": Self(posixWord, others: nil),
        "xdigit": Self(hexDigit, others: "\\x00-/:-@G-`g-\\x{10FFFF}"),
    ]

    private static let closed: Set<String> = [
        "\\p{N}", "\\p{Nd}", "\\p{Nl}", "\\p{No}", "\\p{P}", "\\p{Pc}", "\\p{Pd}", "\\p{Pe}", "\\p{Pf}", "\\p{Pi}", "\\p{Po}", "\\p{Ps}",
        "\\p{S}", "\\p{Z}", "\\p{Zs}", "\\p{Cc}", "\\p{White_Space}", "\\p{Any}",
    ]

    /// General categories by short and long name.
    private static let categories: [String: String] = {
        var names: [String: String] = [:]
        let short = "C Cc Cf Cn Co L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z Zl Zp Zs"
        for name in short.split(separator: " ") { names[name.lowercased()] = String(name) }
        let long = [
            "other C", "control Cc", "format Cf", "unassigned Cn", "privateuse Co", "letter L", "lowercaseletter Ll", "modifierletter Lm",
            "otherletter Lo", "titlecaseletter Lt", "uppercaseletter Lu", "mark M", "spacingmark Mc", "enclosingmark Me",
            "nonspacingmark Mn", "number N", "decimalnumber Nd", "letternumber Nl", "othernumber No", "punctuation P",
            "connectorpunctuation Pc", "dashpunctuation Pd", "closepunctuation Pe", "finalpunctuation Pf", "initialpunctuation Pi",
            "otherpunctuation Po", "openpunctuation Ps", "symbol S", "currencysymbol Sc", "modifiersymbol Sk", "mathsymbol Sm",
            "othersymbol So", "separator Z", "lineseparator Zl", "paragraphseparator Zp", "spaceseparator Zs",
        ]
        for pair in long {
            let parts = pair.split(separator: " ")
            names[String(parts[0])] = String(parts[1])
        }
        return names
    }()

    /// Properties that both engines have and mean alike.
    private static let binary: Set<String> = [
        "alphabetic", "asciihexdigit", "ahex", "bidicontrol", "bidic", "caseignorable", "cased", "changeswhencasefolded", "cwcf",
        "changeswhencasemapped", "cwcm", "changeswhenlowercased", "cwl", "changeswhentitlecased", "cwt", "changeswhenuppercased", "cwu",
        "dash", "defaultignorablecodepoint", "deprecated", "dep", "diacritic", "dia", "emoji", "emojicomponent", "ecomp",
        "emojimodifier", "emod", "emojimodifierbase", "ebase", "emojipresentation", "epres", "extendedpictographic", "extpict",
        "extender", "ext", "graphemebase", "grbase", "graphemeextend", "grext", "graphemelink", "hexdigit", "hex", "idcontinue", "idc",
        "idstart", "ids", "ideographic", "ideo", "idsbinaryoperator", "idsb", "idstrinaryoperator", "idst", "joincontrol", "joinc",
        "logicalorderexception", "loe", "lowercase", "math", "noncharactercodepoint", "nchar", "patternsyntax", "patsyn",
        "patternwhitespace", "patws", "prependedconcatenationmark", "pcm", "quotationmark", "qmark", "radical", "regionalindicator",
        "sentenceterminal", "sterm", "softdotted", "terminalpunctuation", "term", "unifiedideograph", "uideo", "uppercase",
        "variationselector", "whitespace", "wspace", "xidcontinue", "xidc", "xidstart", "xids",
    ]

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"), UInt8(ascii: "-"),
            UInt8(ascii: " "):
            true
        default: false
        }
    }

    /// Case, spaces, hyphens and underscores do not count in a name.
    private static func folded(_ name: String) -> String {
        let kept = name.utf8.filter { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: "_") }
        return String(decoding: kept, as: UTF8.self).lowercased()
    }
}
