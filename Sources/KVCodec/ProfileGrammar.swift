/// Reads the text of a profile, front to back.
struct ProfileGrammar {
    private let text: String
    private let bytes: [UInt8]
    private var place = 0
    /// No profile's text is longer.
    private static let longest = 160

    init(_ text: String) {
        self.text = text
        bytes = Array(text.utf8.prefix(Self.longest + 1))
    }

    mutating func profile() throws(KeyValueProfileError) -> KeyValueProfile {
        guard bytes.count <= Self.longest else { throw error("more than \(Self.longest) bytes") }
        let transform = try word(
            KeyValueProfile.Transform.allCases.map { ($0.word, $0) }, or: "a transform: none, had, shad, anchor, pca or joint; or a preset's name")
        try expect("/")
        let quantiser = try self.quantiser()
        try expect("/")
        let coder = try word(
            KeyValueProfile.Coder.allCases.map { ($0.word, $0) },
            or: "a coder: raw, pack, lz4, bits+lz4, bytes+lz4, rans, rans(channel) or enec")
        var (sinks, recent) = (0, 0)
        if take("/") {
            if take("s") { sinks = try positive("how many first tokens stay exact") }
            if sinks == 0 || take(",") {
                guard take("w") else { throw error("found \(rest); s or w with a number was expected") }
                recent = try positive("how many recent tokens stay exact")
            }
        }
        guard place == bytes.count else { throw error("found \(rest) behind the profile's end") }
        do throws(KeyValueProfileError) {
            return try KeyValueProfile(transform: transform, quantiser: quantiser, coder: coder, sinks: sinks, recent: recent)
        } catch {
            throw KeyValueProfileError(text, error.reason)
        }
    }

    private mutating func quantiser() throws(KeyValueProfileError) -> Quantiser {
        let words: [(String, String)] = ["none", "fp8", "eb", "mm", "mm2", "sym", "lm", "ec"].map { ($0, $0) }
        let name = try word(words, or: "a quantiser: none, mm, mm2, sym, fp8, eb, lm or ec")
        if name == "none" { return .none }
        if name == "fp8" { return .fp8 }
        try expect("(")
        let result: Quantiser
        switch name {
        case "eb":
            let (keys, values) = try numbers("a bound")
            result = .bounded(keys: keys, values: values)
        case "lm":
            let (keys, values) = try levels(.token, .token)
            result = .codebook(.init(keys: keys, values: values, headShare: take(",r") ? try number("a share of heads") : nil))
        case "ec": result = .deadzone(try deadzone())
        default: result = .uniform(try uniform(isSymmetric: name == "sym", isTwoLevel: name == "mm2"))
        }
        try expect(")")
        return result
    }

    private mutating func uniform(isSymmetric: Bool, isTwoLevel: Bool) throws(KeyValueProfileError) -> Quantiser.Uniform {
        let (keys, values) = try levels(
            Quantiser.Uniform.usualAxis(.keys, isSymmetric), Quantiser.Uniform.usualAxis(.values, isSymmetric))
        var result = Quantiser.Uniform(isSymmetric: isSymmetric, keys: keys, values: values, scales: isTwoLevel ? .twoLevel : .narrow)
        if take(",rd") { result.isAllocated = true } else if take(",r") { result.headShare = try number("a share of heads") }
        if take(",g") { result.group = try positive("the size of a group") }
        if take(",bf16") {
            guard !isTwoLevel else { throw error("mm2 has scales of two levels already; bf16 says otherwise") }
            result.scales = .wide
        }
        return result
    }

    private mutating func deadzone() throws(KeyValueProfileError) -> Quantiser.Deadzone {
        let (keys, values) = try numbers("a step")
        var result = Quantiser.Deadzone(keys: keys, values: values)
        if take(",rd") { result.isAllocated = true }
        if take(",rms") { result.isRelative = true }
        if take(",z") { result.rounding = try number("a rounding") }
        if take(",p") { result.pull = try number("a pull towards zero") }
        return result
    }

    private mutating func numbers(_ what: String) throws(KeyValueProfileError) -> (ProfileNumber, ProfileNumber) {
        try expect("k")
        let keys = try number(what)
        try expect(",v")
        return (keys, try number(what))
    }

    private mutating func levels(
        _ keyAxis: Quantiser.Axis, _ valueAxis: Quantiser.Axis
    ) throws(KeyValueProfileError) -> (Quantiser.Levels, Quantiser.Levels) {
        try expect("k")
        let keys = try levels(keyAxis)
        try expect(",v")
        return (keys, try levels(valueAxis))
    }

    private mutating func levels(_ usual: Quantiser.Axis) throws(KeyValueProfileError) -> Quantiser.Levels {
        let high = try positive("a number of levels")
        var result = Quantiser.Levels(high: high, axis: usual)
        if take(":") { result.low = try positive("a number of low levels") }
        if take("@") { result.layerShare = try number("a share of layers") }
        for axis in Quantiser.Axis.allCases where take(axis.letter) {
            result.axis = axis
            break
        }
        return result
    }

    // MARK: Words and numbers

    /// The longest word that stands here.
    private mutating func word<Value>(_ words: [(String, Value)], or expected: String) throws(KeyValueProfileError) -> Value {
        guard let found = words.filter({ stands($0.0) }).max(by: { $0.0.utf8.count < $1.0.utf8.count }) else {
            throw error("found \(rest); expected \(expected)")
        }
        place += found.0.utf8.count
        return found.1
    }

    private func stands(_ word: String) -> Bool { bytes[place...].starts(with: word.utf8) }

    private mutating func take(_ word: String) -> Bool {
        guard stands(word) else { return false }
        place += word.utf8.count
        return true
    }

    private mutating func expect(_ word: String) throws(KeyValueProfileError) {
        guard take(word) else { throw error("found \(rest); '\(word)' was expected") }
    }

    private mutating func digits() -> ArraySlice<UInt8> {
        let start = place
        while place < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[place]) { place += 1 }
        return bytes[start..<place]
    }

    private mutating func positive(_ what: String) throws(KeyValueProfileError) -> Int {
        let found = rest
        let digits = self.digits()
        guard (1...6).contains(digits.count), let value = Int(String(decoding: digits, as: UTF8.self)), value > 0 else {
            throw error("found \(found); \(what) was expected")
        }
        return value
    }

    private mutating func number(_ what: String) throws(KeyValueProfileError) -> ProfileNumber {
        let found = rest
        let whole = digits()
        let fraction = take(".") ? digits() : []
        guard !(whole.isEmpty && fraction.isEmpty), whole.count <= 3, fraction.count <= 6 else {
            throw error("found \(found); \(what) was expected: up to 3 digits, a point, up to 6 digits")
        }
        let text =
            String(decoding: whole, as: UTF8.self) + String(decoding: fraction, as: UTF8.self)
            + String(repeating: "0", count: 6 - fraction.count)
        guard let millionths = UInt32(text), let number = ProfileNumber(millionths: millionths) else {
            throw error("found \(found); \(what) was expected")
        }
        return number
    }

    private var rest: String { place == bytes.count ? "the end" : "'\(String(decoding: bytes[place...].prefix(24), as: UTF8.self))'" }

    private func error(_ reason: String) -> KeyValueProfileError { KeyValueProfileError(String(text.prefix(Self.longest)), reason) }
}
